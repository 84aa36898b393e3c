#include "phial/quantize/hessian.h"

#include <vector>

#include "phial/base/check.h"
#include "phial/kernels/kernels.h"

namespace phial::quantize {

size_t Panels::bytes(size_t columns) {
  const size_t count = columns / kPanel;
  return kPanel * kPanel * (count * (count + 1) / 2) * sizeof(float);
}

Result<Panels> Panels::make(size_t columns) {
  PHIAL_CHECK(columns % kPanel == 0);
  Panels panels;
  panels.columns_ = columns;
  PHIAL_TRY(panels.memory_, model::AlignedBytes::make(bytes(columns), "the calibration of a matrix"));
  return panels;
}

void add_outer_products(const float* x, size_t stride, size_t tokens, ThreadPool& pool, Panels& hessian) {
  const size_t columns = hessian.columns();
  std::vector<float> turned(columns * tokens);  // [columns, tokens]
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t c = 0; c < columns; ++c) turned[c * tokens + t] = x[t * stride + c];
  }
  const kernels::KernelSet& kernels = kernels::active();
  pool.parallel_for(hessian.count(), 1, [&](size_t begin, size_t end) {
    std::vector<float> inputs(tokens * kPanel), products;
    for (size_t p = begin; p < end; ++p) {
      const size_t rows = (p + 1) * kPanel;
      for (size_t t = 0; t < tokens; ++t) {
        for (size_t c = 0; c < kPanel; ++c) inputs[t * kPanel + c] = x[t * stride + p * kPanel + c];
      }
      products.resize(rows * kPanel);
      kernels.gemm_f32(inputs.data(), {.D = tokens,
                                       .n_tokens = rows,
                                       .x = turned.data(),
                                       .x_stride = tokens,
                                       .y = products.data(),
                                       .y_stride = kPanel});
      float* panel = hessian.panel(p);
      for (size_t i = 0; i < products.size(); ++i) panel[i] += products[i];
    }
  });
}

}  // namespace phial::quantize

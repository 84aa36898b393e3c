#include "phial/model/encoder_parts.h"

#include <utility>

namespace phial::model {

Result<LayerNorm> EncoderParts::norm(const std::string& name, uint64_t size) {
  LayerNorm out;
  PHIAL_TRY(out.gain, find_.vector(name + ".weight", size));
  PHIAL_TRY(out.bias, find_.vector(name + ".bias", size));
  return out;
}

Status EncoderParts::append(const std::string& name, uint64_t rows, uint64_t cols, Linear& linear,
                            std::vector<float>& bias) {
  PHIAL_TRY(const StoredRows stored, find_.matrix(name + ".weight", rows, cols));
  PHIAL_TRY(const std::vector<float> own, find_.vector(name + ".bias", rows));
  PHIAL_CHECKED(append(stored, name, precision_ == Precision::kFast ? fast_layout(stored) : Layout::kF32, linear));
  bias.insert(bias.end(), own.begin(), own.end());
  return ok();
}

Status EncoderParts::append(const StoredRows& stored, const std::string& name, Layout layout, Linear& linear) {
  PHIAL_CHECKED(hold(checkpoint_, stored));
  auto matrix = Matrix::make(stored, layout, pool_);
  if (!matrix) return std::move(matrix).error().in(name);
  linear.append(*std::move(matrix));
  release(checkpoint_, stored);
  return ok();
}

}  // namespace phial::model

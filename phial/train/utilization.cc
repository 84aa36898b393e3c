#include "phial/train/utilization.h"

#include <algorithm>
#include <chrono>

#include "phial/spec/tensors.h"

namespace phial::train {
namespace {

// Weights that each token is multiplied with.
double matrix_weights(const spec::DecoderSpec& spec) {
  double weights = 0;
  for (const spec::DecoderTensor& tensor : decoder_tensors(spec)) {
    const bool is_output = tensor.role == spec::TensorRole::kEmbedding && spec.tied_output;
    if (!is_output && tensor.role != spec::TensorRole::kHead && !is_hidden_matrix(tensor.role)) continue;
    weights += static_cast<double>(tensor.shape[0]) * static_cast<double>(tensor.shape[1]);
  }
  return weights;
}

}  // namespace

double operations(const spec::DecoderSpec& spec, const ComputedRows& rows, bool is_adapter) {
  const double query = static_cast<double>(spec.n_heads) * spec.head_dim;
  return (is_adapter ? 4 : 6) * matrix_weights(spec) * static_cast<double>(rows.tokens) +
         12 * spec.n_layers * query * static_cast<double>(rows.pairs);
}

double peak_operations(at::ScalarType type) {
  using std::chrono::steady_clock;
  constexpr int64_t kSide = 1024;
  constexpr std::chrono::milliseconds kTime(100);
  const at::NoGradGuard no_grad;
  const at::Tensor a = at::ones({kSide, kSide}, type);
  at::Tensor product = a.mm(a);  // the first one prepares
  double best = 0;
  const auto began = steady_clock::now();
  do {
    const auto before = steady_clock::now();
    at::mm_out(product, a, a);
    const std::chrono::duration<double> seconds = steady_clock::now() - before;
    best = std::max(best, 2.0 * kSide * kSide * kSide / seconds.count());
  } while (steady_clock::now() - began < kTime);
  return best;
}

}  // namespace phial::train

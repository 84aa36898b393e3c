#include "phial/train/utilization.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include "phial/spec/tensors.h"
#include "phial/train/device.h"

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

// NVIDIA's data sheets, without sparsity. By what the driver calls them, the narrower name first.
struct PublishedPeak {
  std::string_view name;
  double bf16;
};
constexpr PublishedPeak kPublished[] = {
    {"H100 PCIe", 756e12}, {"H100 NVL", 835e12}, {"H100", 989e12}, {"H200", 989e12}, {"A100", 312e12}};

}  // namespace

double operations(const spec::DecoderSpec& spec, const ComputedRows& rows, bool is_adapter) {
  const double query = static_cast<double>(spec.n_heads) * spec.head_dim;
  return (is_adapter ? 4 : 6) * matrix_weights(spec) * static_cast<double>(rows.tokens) +
         12 * spec.n_layers * query * static_cast<double>(rows.pairs);
}

double peak_operations(at::ScalarType type, const at::Device& device) {
  using std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kTime(100);
  const std::string name = device_name(device);
  for (const PublishedPeak& each : kPublished) {
    if (type == at::kBFloat16 && name.find(each.name) != std::string::npos) return each.bf16;
  }
  const at::NoGradGuard no_grad;
  const int64_t side = device.is_cpu() ? 1024 : 8192;
  const at::Tensor a = at::ones({side, side}, at::device(device).dtype(type));
  at::Tensor product = a.mm(a);  // the first one prepares
  const auto wait = [&] {
    if (!device.is_cpu()) product.view(-1)[0].item();
  };
  wait();
  double best = 0;
  const auto began = steady_clock::now();
  do {
    const auto before = steady_clock::now();
    at::mm_out(product, a, a);
    wait();
    const std::chrono::duration<double> seconds = steady_clock::now() - before;
    best = std::max(best, 2.0 * static_cast<double>(side * side * side) / seconds.count());
  } while (steady_clock::now() - began < kTime);
  return best;
}

}  // namespace phial::train

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <mutex>
#include <vector>

#include "phial/kernels/cuda/block_sparse.h"
#include "phial/kernels/cuda/fused.h"
#include "phial/train/block_sparse_tiles.h"
#include "phial/train/device_operations.h"

namespace phial::train {

namespace cuda = kernels::cuda;

// A plan's lists, on one device.
struct TilesOnDevice {
  BlockSparseTiles tiles;
  at::Tensor numbers;
};

namespace {

// The device of a tensor is the current one while this lives.
class OnDeviceOf {
 public:
  explicit OnDeviceOf(const at::Tensor& tensor)
      : guard_(tensor.device()), stream_(c10::cuda::getCurrentCUDAStream(tensor.device().index()).stream()) {}
  cuda::Stream stream() const { return stream_; }

 private:
  c10::cuda::CUDAGuard guard_;
  cuda::Stream stream_;
};

void hold(const char* error) { TORCH_CHECK(error == nullptr, "CUDA: ", error); }

void check_together(at::TensorList tensors) {
  for (const at::Tensor& each : tensors) {
    TORCH_CHECK(each.device() == tensors[0].device(), "tensors of one operation are on ", tensors[0].device(),
                " and on ", each.device());
  }
}

cuda::Number number_of(const at::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  TORCH_CHECK(type == at::kFloat || type == at::kBFloat16, "kernels for CUDA take f32 and bf16, not ", type);
  return type == at::kFloat ? cuda::Number::kF32 : cuda::Number::kBf16;
}

cuda::HeadStrides strides_of(const at::Tensor& heads) {
  return {.batch = heads.stride(0), .head = heads.stride(1), .token = heads.stride(2)};
}

// Memory for [B, heads, T, E] in which a token's heads lie side by side, as the products before and behind have them.
at::Tensor heads_like(const at::Tensor& heads, bool zeros) {
  const std::vector<int64_t> shape = {heads.size(0), heads.size(2), heads.size(1), heads.size(3)};
  return (zeros ? at::zeros(shape, heads.options()) : at::empty(shape, heads.options())).transpose(1, 2);
}

// As the kernels read it: rows contiguous and, with bf16, at 16 bytes.
at::Tensor in_rows(const at::Tensor& heads) {
  const int64_t at_once = heads.scalar_type() == at::kBFloat16 ? 8 : 1;
  bool is_ready = heads.stride(3) == 1 && reinterpret_cast<uintptr_t>(heads.const_data_ptr()) % (2 * at_once) == 0;
  for (int64_t d = 0; d < 3; ++d) is_ready = is_ready && heads.stride(d) % at_once == 0;
  return is_ready ? heads : heads.clone(at::MemoryFormat::Contiguous);
}

cuda::AttentionTensor as_attention(const at::Tensor& heads) {
  // One type for what kernels read and what they write.
  return {.data = const_cast<void*>(heads.const_data_ptr()),  // NOLINT(cppcoreguidelines-pro-type-const-cast)
          .batch = heads.stride(0),
          .head = heads.stride(1),
          .token = heads.stride(2)};
}

// Tensor cores read rows in pieces of 16 bytes; others are computed in f32.
at::ScalarType computed_type(const at::Tensor& queries) {
  const auto type = queries.scalar_type();
  if (type == at::kDouble || (type == at::kBFloat16 && queries.size(3) % 8 == 0)) return type;
  return at::kFloat;
}

std::shared_ptr<const TilesOnDevice> tiles_on(const BlockSparsePlan& plan, const at::Tensor& queries, int n_kv_heads) {
  const std::lock_guard lock(plan.uploading);
  auto& kept = plan.uploaded;
  if (kept == nullptr || kept->numbers.device() != queries.device()) {
    BlockSparseTiles tiles(plan, static_cast<int>(queries.size(1)), n_kv_heads);
    // From pinned memory, which the copy need not be waited for.
    const auto n = static_cast<int64_t>(tiles.numbers().size());
    const at::Tensor here = at::empty({n}, at::TensorOptions(at::kInt).pinned_memory(true));
    std::copy(tiles.numbers().begin(), tiles.numbers().end(), here.data_ptr<int>());
    at::Tensor there = here.to(queries.device(), /*non_blocking=*/true);
    kept = std::make_shared<TilesOnDevice>(std::move(tiles), std::move(there));
  }
  return kept;
}

bool has_padding(const BlockSparsePlan& plan, const at::Tensor& queries) {
  int64_t tokens = 0;
  for (const auto& document : plan.documents) tokens += document.tokens;
  return tokens < queries.size(0) * queries.size(2);
}

cuda::BlockSparseProblem problem_of(const TilesOnDevice& on_device, const at::Tensor& queries, const at::Tensor& keys,
                                    const at::Tensor& values, const at::Tensor& mixed, const at::Tensor& log_sums,
                                    double scale) {
  const auto type = queries.scalar_type();
  return {.tiles = on_device.tiles.at(on_device.numbers.const_data_ptr<int>()),
          .type = type == at::kDouble ? cuda::Number::kF64 : number_of(queries),
          .head_dim = static_cast<int>(queries.size(3)),
          .rows = queries.size(0),
          .tokens = queries.size(2),
          .scale = scale,
          .queries = as_attention(queries),
          .keys = as_attention(keys),
          .values = as_attention(values),
          .mixed = as_attention(mixed),
          .log_sums = log_sums.data_ptr()};
}

}  // namespace

bool has_device_operations() { return true; }

std::string cuda_device_name(int device) {
  cudaDeviceProp properties;
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  return properties.name;
}

void device_rms_norm(const at::Tensor& x, const at::Tensor& gain, double eps, const at::Tensor& out,
                     const at::Tensor& inverses) {
  check_together({x, gain, out, inverses});
  const OnDeviceOf device(x);
  hold(cuda::rms_norm(inverses.numel(), x.size(-1), x.const_data_ptr<float>(), gain.const_data_ptr<float>(),
                      static_cast<float>(eps), number_of(out), out.data_ptr(), inverses.data_ptr<float>(),
                      device.stream()));
}

at::Tensor device_rms_norm_gradient(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& inverses,
                                    const at::Tensor& gradient, const at::Tensor& of_x) {
  check_together({x, gain, inverses, gradient, of_x});
  const OnDeviceOf device(x);
  const int64_t rows = inverses.numel(), D = x.size(-1);
  const at::Tensor of_gain = at::empty({cuda::rms_norm_parts(rows), D}, x.options());
  hold(cuda::rms_norm_gradient(rows, D, x.const_data_ptr<float>(), gain.const_data_ptr<float>(),
                               inverses.const_data_ptr<float>(), number_of(gradient), gradient.const_data_ptr(),
                               of_x.data_ptr<float>(), of_gain.data_ptr<float>(), device.stream()));
  return of_gain.sum(0);
}

void device_swiglu(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& out) {
  check_together({gate, up, out});
  const OnDeviceOf device(gate);
  hold(cuda::swiglu(gate.size(0), gate.size(1), gate.stride(0), number_of(gate), gate.const_data_ptr(),
                    up.const_data_ptr(), out.data_ptr(), device.stream()));
}

void device_swiglu_gradient(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& gradient,
                            const at::Tensor& of_gate, const at::Tensor& of_up) {
  check_together({gate, up, gradient, of_gate, of_up});
  const OnDeviceOf device(gate);
  hold(cuda::swiglu_gradient(gate.size(0), gate.size(1), gate.stride(0), number_of(gate), gate.const_data_ptr(),
                             up.const_data_ptr(), gradient.const_data_ptr(), of_gate.data_ptr(), of_up.data_ptr(),
                             device.stream()));
}

void device_turn(const at::Tensor& heads, const at::Tensor& cos, const at::Tensor& sin, float sign,
                 const at::Tensor& out) {
  check_together({heads, cos, sin, out});
  const OnDeviceOf device(heads);
  hold(cuda::rotate(heads.size(0), heads.size(1), heads.size(2), heads.size(3), cos.size(3), number_of(heads),
                    heads.const_data_ptr(), strides_of(heads), cos.const_data_ptr<float>(), sin.const_data_ptr<float>(),
                    sign, out.data_ptr(), strides_of(out), device.stream()));
}

std::pair<at::Tensor, at::Tensor> device_block_sparse(const at::Tensor& queries, const at::Tensor& keys,
                                                      const at::Tensor& values, const BlockSparsePlan& plan,
                                                      double scale) {
  check_together({queries, keys, values});
  TORCH_CHECK(queries.size(3) <= cuda::kMaxHeadDim, "block-sparse attention on a CUDA device takes heads of at most ",
              cuda::kMaxHeadDim, ", these have ", queries.size(3), ": train on the processor");
  TORCH_CHECK(scale > 0, "block-sparse attention on a CUDA device wants a scale above 0, this is ", scale);
  const OnDeviceOf device(queries);
  const auto type = computed_type(queries);
  const at::Tensor q = in_rows(queries.to(type)), k = in_rows(keys.to(type)), v = in_rows(values.to(type));
  at::Tensor mixed = heads_like(q, has_padding(plan, q));
  at::Tensor log_sums =
      at::empty({q.size(0), q.size(1), q.size(2)}, q.options().dtype(type == at::kDouble ? at::kDouble : at::kFloat));
  const auto tiles = tiles_on(plan, q, static_cast<int>(k.size(1)));
  hold(cuda::block_sparse_forward(problem_of(*tiles, q, k, v, mixed, log_sums, scale), device.stream()));
  return {std::move(mixed), std::move(log_sums)};
}

std::array<at::Tensor, 3> device_block_sparse_gradients(const at::Tensor& queries, const at::Tensor& keys,
                                                        const at::Tensor& values, const at::Tensor& mixed,
                                                        const at::Tensor& log_sums, const at::Tensor& gradient,
                                                        const BlockSparsePlan& plan, double scale) {
  const OnDeviceOf device(queries);
  const auto given = queries.scalar_type(), type = computed_type(queries);
  const at::Tensor q = in_rows(queries.to(type)), k = in_rows(keys.to(type)), v = in_rows(values.to(type));
  const at::Tensor of_mixed = in_rows(gradient.to(type)), means = at::empty_like(log_sums);
  const bool padded = has_padding(plan, q);
  const at::Tensor dq = heads_like(q, padded), dk = heads_like(k, padded), dv = heads_like(v, padded);
  const auto tiles = tiles_on(plan, q, static_cast<int>(k.size(1)));
  hold(cuda::block_sparse_backward(problem_of(*tiles, q, k, v, mixed, log_sums, scale),
                                   {.of_mixed = as_attention(of_mixed),
                                    .means = means.data_ptr(),
                                    .of_queries = as_attention(dq),
                                    .of_keys = as_attention(dk),
                                    .of_values = as_attention(dv)},
                                   device.stream()));
  return {dq.to(given), dk.to(given), dv.to(given)};
}

}  // namespace phial::train

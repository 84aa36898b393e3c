// One block of threads a row; backwards it takes several rows and keeps their gradients of the gain in shared memory,
// where each thread has its own columns.
#include <cstddef>

#include "phial/kernels/cuda/fused.h"
#include "phial/kernels/cuda/launch.cuh"
#include "phial/kernels/cuda/numbers.cuh"

namespace phial::kernels::cuda {
namespace {

constexpr int kNormThreads = 256, kNormWarps = kNormThreads / 32;
constexpr int64_t kMostParts = 1024;

// The sum over the block of threads, in all of them.
__device__ float block_sum(float x) {
  __shared__ float of_warps[kNormWarps];
  for (int lanes = 16; lanes > 0; lanes /= 2) x += __shfl_xor_sync(~0U, x, lanes);
  __syncthreads();  // the sum before has been read
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int warp = 0; warp < kNormWarps; ++warp) sum += of_warps[warp];
  return sum;
}

template <class T, int N>
__global__ void __launch_bounds__(kNormThreads)
    normalize(int64_t rows, int D, const float* x, const float* gain, float eps, T* out, float* inverses) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float* const in = x + row * D;
    float sum = 0;
    for (int d = static_cast<int>(threadIdx.x) * N; d < D; d += kNormThreads * N) {
      const auto some = *reinterpret_cast<const Numbers<float, N>*>(in + d);
      for (int i = 0; i < N; ++i) sum += some.at[i] * some.at[i];
    }
    const float inverse = 1 / sqrtf(block_sum(sum) / static_cast<float>(D) + eps);
    if (threadIdx.x == 0) inverses[row] = inverse;
    for (int d = static_cast<int>(threadIdx.x) * N; d < D; d += kNormThreads * N) {
      const auto some = *reinterpret_cast<const Numbers<float, N>*>(in + d);
      const auto gains = *reinterpret_cast<const Numbers<float, N>*>(gain + d);
      Numbers<T, N> to;
      for (int i = 0; i < N; ++i) to.at[i] = narrowed<T>(some.at[i] * inverse * gains.at[i]);
      *reinterpret_cast<Numbers<T, N>*>(out + row * D + d) = to;
    }
  }
}

// With n = x inverse and g = gradient gain: (g - n mean(g n)) inverse, and of the gain gradient n.
template <class T, int N>
__global__ void __launch_bounds__(kNormThreads)
    normalize_gradient(int64_t rows, int64_t rows_of_part, int D, const float* x, const float* gain,
                       const float* inverses, const T* gradient, float* of_x, float* of_gain) {
  extern __shared__ float of_columns[];  // [D]
  for (int d = static_cast<int>(threadIdx.x) * N; d < D; d += kNormThreads * N) {
    for (int i = 0; i < N; ++i) of_columns[d + i] = 0;
  }
  const int64_t first = blockIdx.x * rows_of_part, end = min(rows, first + rows_of_part);
  for (int64_t row = first; row < end; ++row) {
    const float* const in = x + row * D;
    const T* const from = gradient + row * D;
    const float inverse = inverses[row];
    float sum = 0;
    for (int d = static_cast<int>(threadIdx.x) * N; d < D; d += kNormThreads * N) {
      const auto some = *reinterpret_cast<const Numbers<float, N>*>(in + d);
      const auto gains = *reinterpret_cast<const Numbers<float, N>*>(gain + d);
      const auto g = *reinterpret_cast<const Numbers<T, N>*>(from + d);
      for (int i = 0; i < N; ++i) sum += widened(g.at[i]) * gains.at[i] * some.at[i];
    }
    const float shared = block_sum(sum) / static_cast<float>(D) * inverse * inverse;
    for (int d = static_cast<int>(threadIdx.x) * N; d < D; d += kNormThreads * N) {
      const auto some = *reinterpret_cast<const Numbers<float, N>*>(in + d);
      const auto gains = *reinterpret_cast<const Numbers<float, N>*>(gain + d);
      const auto g = *reinterpret_cast<const Numbers<T, N>*>(from + d);
      Numbers<float, N> to;
      for (int i = 0; i < N; ++i) {
        to.at[i] = (widened(g.at[i]) * gains.at[i] - some.at[i] * shared) * inverse;
        of_columns[d + i] += widened(g.at[i]) * some.at[i] * inverse;
      }
      *reinterpret_cast<Numbers<float, N>*>(of_x + row * D + d) = to;
    }
  }
  for (int d = static_cast<int>(threadIdx.x) * N; d < D; d += kNormThreads * N) {
    for (int i = 0; i < N; ++i) of_gain[static_cast<int64_t>(blockIdx.x) * D + d + i] = of_columns[d + i];
  }
}

int64_t rows_of_part(int64_t rows) { return (rows + kMostParts - 1) / kMostParts; }

template <class T>
const char* norm(int64_t rows, int64_t D, const float* x, const float* gain, float eps, void* out, float* inverses,
                 Stream stream) {
  const bool aligned = D % 4 == 0 && at_16_bytes(x) && at_16_bytes(gain) && at_16_bytes(out);
  auto* const kernel = aligned ? normalize<T, 4> : normalize<T, 1>;
  return start(kernel, blocks_for(rows, 1), kNormThreads, 0, stream, rows, static_cast<int>(D), x, gain, eps,
               static_cast<T*>(out), inverses);
}

template <class T>
const char* norm_gradient(int64_t rows, int64_t D, const float* x, const float* gain, const float* inverses,
                          const void* gradient, float* of_x, float* of_gain, Stream stream) {
  const bool aligned = D % 4 == 0 && at_16_bytes(x) && at_16_bytes(gain) && at_16_bytes(gradient) && at_16_bytes(of_x);
  auto* const kernel = aligned ? normalize_gradient<T, 4> : normalize_gradient<T, 1>;
  const auto parts = static_cast<unsigned>(rms_norm_parts(rows));
  return start(kernel, parts, kNormThreads, D * static_cast<int64_t>(sizeof(float)), stream, rows, rows_of_part(rows),
               static_cast<int>(D), x, gain, inverses, static_cast<const T*>(gradient), of_x, of_gain);
}

}  // namespace

int64_t rms_norm_parts(int64_t rows) { return rows == 0 ? 0 : (rows - 1) / rows_of_part(rows) + 1; }

const char* rms_norm(int64_t rows, int64_t D, const float* x, const float* gain, float eps, Number type, void* out,
                     float* inverses, Stream stream) {
  if (rows == 0) return nullptr;
  return type == Number::kBf16 ? norm<__nv_bfloat16>(rows, D, x, gain, eps, out, inverses, stream)
                               : norm<float>(rows, D, x, gain, eps, out, inverses, stream);
}

const char* rms_norm_gradient(int64_t rows, int64_t D, const float* x, const float* gain, const float* inverses,
                              Number type, const void* gradient, float* of_x, float* of_gain, Stream stream) {
  if (rows == 0) return nullptr;
  return type == Number::kBf16
             ? norm_gradient<__nv_bfloat16>(rows, D, x, gain, inverses, gradient, of_x, of_gain, stream)
             : norm_gradient<float>(rows, D, x, gain, inverses, gradient, of_x, of_gain, stream);
}

}  // namespace phial::kernels::cuda

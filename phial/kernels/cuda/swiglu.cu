// Element by element, 16 bytes at once where rows are aligned.
#include "phial/kernels/cuda/fused.h"
#include "phial/kernels/cuda/launch.cuh"
#include "phial/kernels/cuda/numbers.cuh"

namespace phial::kernels::cuda {
namespace {

constexpr int kGateThreads = 256;

template <class T, int N>
__global__ void __launch_bounds__(kGateThreads)
    gate_forward(int64_t n, int64_t of_row, int64_t distance, const T* gate, const T* up, T* out) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kGateThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kGateThreads + threadIdx.x; i < n; i += step) {
    const int64_t at = i / of_row * distance + i % of_row * N;
    const auto gates = *reinterpret_cast<const Numbers<T, N>*>(gate + at);
    const auto ups = *reinterpret_cast<const Numbers<T, N>*>(up + at);
    Numbers<T, N> to;
    for (int k = 0; k < N; ++k) {
      const float x = widened(gates.at[k]);
      to.at[k] = narrowed<T>(x / (1 + expf(-x)) * widened(ups.at[k]));
    }
    *reinterpret_cast<Numbers<T, N>*>(out + i * N) = to;
  }
}

// With s = 1 / (1 + exp(-gate)): of the gate gradient up s (1 + gate (1 - s)), of the other gradient gate s.
template <class T, int N>
__global__ void __launch_bounds__(kGateThreads)
    gate_backward(int64_t n, int64_t of_row, int64_t distance, const T* gate, const T* up, const T* gradient,
                  T* of_gate, T* of_up) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kGateThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kGateThreads + threadIdx.x; i < n; i += step) {
    const int64_t at = i / of_row * distance + i % of_row * N;
    const auto gates = *reinterpret_cast<const Numbers<T, N>*>(gate + at);
    const auto ups = *reinterpret_cast<const Numbers<T, N>*>(up + at);
    const auto from = *reinterpret_cast<const Numbers<T, N>*>(gradient + i * N);
    Numbers<T, N> to_gate, to_up;
    for (int k = 0; k < N; ++k) {
      const float x = widened(gates.at[k]), g = widened(from.at[k]);
      // Of the small exponential, so that neither part is the difference of numbers near 1.
      const float small = expf(-fabsf(x)), near = 1 / (1 + small), far = small * near;
      const float s = x < 0 ? far : near, rest = x < 0 ? near : far;
      to_gate.at[k] = narrowed<T>(g * widened(ups.at[k]) * s * (1 + x * rest));
      to_up.at[k] = narrowed<T>(g * x * s);
    }
    *reinterpret_cast<Numbers<T, N>*>(of_gate + at) = to_gate;
    *reinterpret_cast<Numbers<T, N>*>(of_up + at) = to_up;
  }
}

template <class T>
bool rows_aligned(int64_t F, int64_t distance) {
  return F % kAtOnce<T> == 0 && distance % kAtOnce<T> == 0;
}

template <class T>
const char* gated(int64_t rows, int64_t F, int64_t distance, const void* gate, const void* up, void* out,
                  Stream stream) {
  const bool aligned = rows_aligned<T>(F, distance) && at_16_bytes(gate) && at_16_bytes(up) && at_16_bytes(out);
  const int64_t of_row = aligned ? F / kAtOnce<T> : F;
  auto* const kernel = aligned ? gate_forward<T, kAtOnce<T>> : gate_forward<T, 1>;
  return start(kernel, blocks_for(rows * of_row, kGateThreads), kGateThreads, 0, stream, rows * of_row, of_row,
               distance, static_cast<const T*>(gate), static_cast<const T*>(up), static_cast<T*>(out));
}

template <class T>
const char* gated_gradient(int64_t rows, int64_t F, int64_t distance, const void* gate, const void* up,
                           const void* gradient, void* of_gate, void* of_up, Stream stream) {
  const bool aligned = rows_aligned<T>(F, distance) && at_16_bytes(gate) && at_16_bytes(up) && at_16_bytes(gradient) &&
                       at_16_bytes(of_gate) && at_16_bytes(of_up);
  const int64_t of_row = aligned ? F / kAtOnce<T> : F;
  auto* const kernel = aligned ? gate_backward<T, kAtOnce<T>> : gate_backward<T, 1>;
  return start(kernel, blocks_for(rows * of_row, kGateThreads), kGateThreads, 0, stream, rows * of_row, of_row,
               distance, static_cast<const T*>(gate), static_cast<const T*>(up), static_cast<const T*>(gradient),
               static_cast<T*>(of_gate), static_cast<T*>(of_up));
}

}  // namespace

const char* swiglu(int64_t rows, int64_t F, int64_t distance, Number type, const void* gate, const void* up, void* out,
                   Stream stream) {
  if (rows * F == 0) return nullptr;
  return type == Number::kBf16 ? gated<__nv_bfloat16>(rows, F, distance, gate, up, out, stream)
                               : gated<float>(rows, F, distance, gate, up, out, stream);
}

const char* swiglu_gradient(int64_t rows, int64_t F, int64_t distance, Number type, const void* gate, const void* up,
                            const void* gradient, void* of_gate, void* of_up, Stream stream) {
  if (rows * F == 0) return nullptr;
  return type == Number::kBf16
             ? gated_gradient<__nv_bfloat16>(rows, F, distance, gate, up, gradient, of_gate, of_up, stream)
             : gated_gradient<float>(rows, F, distance, gate, up, gradient, of_gate, of_up, stream);
}

}  // namespace phial::kernels::cuda

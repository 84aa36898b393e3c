// Numbers as kernels read, compute and write them. For device code only.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace phial::kernels::cuda {

__device__ inline float widened(float x) { return x; }
__device__ inline float widened(__nv_bfloat16 x) { return __bfloat162float(x); }

template <class T>
__device__ inline T narrowed(float x);
template <>
__device__ inline float narrowed<float>(float x) {
  return x;
}
template <>
__device__ inline __nv_bfloat16 narrowed<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// N numbers that are read and written at once. Promise: aligned to all of them.
template <class T, int N>
struct alignas(N * sizeof(T)) Numbers {
  T at[N];
};

// How many of T are read at once where everything is aligned: 16 bytes.
template <class T>
inline constexpr int kAtOnce = 16 / sizeof(T);

}  // namespace phial::kernels::cuda

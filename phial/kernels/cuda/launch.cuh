// How kernels are started, and what is asked before. For the host's code.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "phial/kernels/cuda/device.h"

namespace phial::kernels::cuda {

// Starts a kernel with as much shared memory as it asks for. Null, or the runtime's words.
template <class... Arguments>
const char* start(void (*kernel)(Arguments...), dim3 blocks, int threads, int64_t shared_bytes, Stream stream,
                  std::type_identity_t<Arguments>... arguments) {
  cudaError_t error = cudaSuccess;
  constexpr int64_t kWithoutAsking = 40 << 10;
  if (shared_bytes > kWithoutAsking) {
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  }
  if (error == cudaSuccess) {
    kernel<<<blocks, threads, static_cast<size_t>(shared_bytes), stream>>>(arguments...);
    error = cudaGetLastError();
  }
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

inline bool at_16_bytes(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

// Blocks of threads for n pieces of work; past a number that fills any device threads take several.
inline unsigned blocks_for(int64_t n, int threads) {
  constexpr int64_t kMost = 1 << 20;
  const int64_t blocks = (n + threads - 1) / threads;
  return static_cast<unsigned>(blocks < kMost ? blocks : kMost);
}

}  // namespace phial::kernels::cuda

// The instructions of Hopper's tensor cores (sm_90a), which a warpgroup, four warps, issues together, and tiles as they
// read them. For device code only.
//
// A tile is 64 rows of D numbers, D a multiple of 64: part by part of 64 columns, a part's rows 128 bytes each, in
// which the 16-byte piece p of row r is where piece p ^ r % 8 would be (swizzling by 128 bytes). Tiles begin at
// multiples of 1,024 bytes. Warp w holds rows 16 w on of a product, in the fragments of tensor_cores.cuh. Source: the
// PTX manual, wgmma: matrix descriptors.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "phial/kernels/cuda/tensor_cores.cuh"

namespace phial::kernels::cuda {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDACC__)
#define PHIAL_HAS_WARPGROUPS
#endif

inline constexpr int kTileAlignment = 1024;
inline constexpr int kPartColumns = 64, kPartNumbers = 64 * kPartColumns;

// The first place for a tile in shared memory.
__device__ inline Bf16* aligned_tiles(unsigned char* shared_bytes) {
  const uint32_t over = shared_address(shared_bytes) % kTileAlignment;
  return reinterpret_cast<Bf16*>(shared_bytes + (over == 0 ? 0 : kTileAlignment - over));
}

// Begins to copy 64 rows of E numbers, `stride` apart, into a tile, by kThreads threads from `thread` on. Columns from
// E on, and rows from `valid` on, are zeros.
template <int D, int kThreads>
__device__ inline void copy_tile(Bf16* tile, const Bf16* from, int64_t stride, int valid, int E) {
  constexpr int kPieces = D / 8, kStep = kThreads / kPieces;
  const int first = static_cast<int>(threadIdx.x) % kThreads / kPieces;
  const int piece = static_cast<int>(threadIdx.x) % kPieces;
  const int n_valid = 8 * piece < E ? valid : 0;
  Bf16* const part = tile + piece / 8 * kPartNumbers;
  from += first * stride + 8 * piece;
#pragma unroll 2
  for (int row = first; row < 64; row += kStep, from += kStep * stride) {
    copy_begin<16>(part + row * kPartColumns + ((piece ^ row) % 8) * 8, from, row < n_valid);
  }
}

// What this thread has written to shared memory is seen by tensor cores, after a barrier.
__device__ inline void show_to_tensor_cores() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Of a tile: the 16 columns from `column` on of all its rows, the rows being those of the product (or its columns, of
// B).
__device__ inline uint64_t columns_of(const Bf16* tile, int column) {
  constexpr uint64_t kGroupBytes = 1024, kSwizzled128 = uint64_t{1} << 62;  // eight rows
  const uint32_t at = shared_address(tile + column / kPartColumns * kPartNumbers + column % kPartColumns);
  return kSwizzled128 | kGroupBytes / 16 << 32 | uint64_t{1} << 16 | at / 16;
}

// Of a tile as B: its 16 rows from `row` on, all columns.
__device__ inline uint64_t rows_of(const Bf16* tile, int row) {
  constexpr uint64_t kGroupBytes = 1024, kPartBytes = 2 * kPartNumbers, kSwizzled128 = uint64_t{1} << 62;
  const uint32_t at = shared_address(tile + row * kPartColumns);
  return kSwizzled128 | kGroupBytes / 16 << 32 | kPartBytes / 16 << 16 | at / 16;
}

// Before the first product after registers were written otherwise.
__device__ inline void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
__device__ inline void products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// Keeps the compiler from moving what it does with accumulators across a wait.
template <int N>
__device__ inline void hold(float (&c)[N][4]) {
#pragma unroll
  for (int i = 0; i < N; ++i) {
#pragma unroll
    for (int k = 0; k < 4; ++k) asm volatile("" : "+f"(c[i][k])::"memory");
  }
}

// 64 rows by 64 columns, or zero, += 16 columns of A by 16 of B transposed: both are tiles of rows.
__device__ inline void multiply_add_scores(float (&c)[8][4], uint64_t a, uint64_t b, int adds) {
  asm volatile(
      "{.reg .pred p; setp.ne.b32 p, %34, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "
      "%24, %25, %26, %27, %28, %29, %30, %31}, "
      "%32, %33, p, 1, 1, 0, 0;}"
      : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]), "+f"(c[1][2]),
        "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]),
        "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]), "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]),
        "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]), "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]),
        "+f"(c[7][0]), "+f"(c[7][1]), "+f"(c[7][2]), "+f"(c[7][3])
      : "l"(a), "l"(b), "r"(adds));
}

// 64 rows by 64 columns += A, in registers, by 16 rows of the tile B.
__device__ inline void multiply_add_rows(float (&c)[8][4], const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "{.reg .pred p; setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "
      "%24, %25, %26, %27, %28, %29, %30, %31}, "
      "{%32, %33, %34, %35}, %36, p, 1, 1, 1;}"
      : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]), "+f"(c[1][2]),
        "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]),
        "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]), "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]),
        "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]), "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]),
        "+f"(c[7][0]), "+f"(c[7][1]), "+f"(c[7][2]), "+f"(c[7][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

// 64 rows by 128 columns += A, in registers, by 16 rows of the tile B.
__device__ inline void multiply_add_rows(float (&c)[16][4], const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "{.reg .pred p; setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "
      "%24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, "
      "%46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "{%64, %65, %66, %67}, %68, p, 1, 1, 1;}"
      : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]), "+f"(c[1][2]),
        "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]),
        "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]), "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]),
        "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]), "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]),
        "+f"(c[7][0]), "+f"(c[7][1]), "+f"(c[7][2]), "+f"(c[7][3]), "+f"(c[8][0]), "+f"(c[8][1]), "+f"(c[8][2]),
        "+f"(c[8][3]), "+f"(c[9][0]), "+f"(c[9][1]), "+f"(c[9][2]), "+f"(c[9][3]), "+f"(c[10][0]), "+f"(c[10][1]),
        "+f"(c[10][2]), "+f"(c[10][3]), "+f"(c[11][0]), "+f"(c[11][1]), "+f"(c[11][2]), "+f"(c[11][3]), "+f"(c[12][0]),
        "+f"(c[12][1]), "+f"(c[12][2]), "+f"(c[12][3]), "+f"(c[13][0]), "+f"(c[13][1]), "+f"(c[13][2]), "+f"(c[13][3]),
        "+f"(c[14][0]), "+f"(c[14][1]), "+f"(c[14][2]), "+f"(c[14][3]), "+f"(c[15][0]), "+f"(c[15][1]), "+f"(c[15][2]),
        "+f"(c[15][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

// c = the rows of A by those of B, tiles both.
template <int D>
__device__ inline void multiply_tiles(float (&c)[8][4], const Bf16* a, const Bf16* b) {
  products_begin();
#pragma unroll
  for (int k = 0; k < D; k += 16) multiply_add_scores(c, columns_of(a, k), columns_of(b, k), k);
  products_commit();
}

// c += the weights, 64 rows by 64 columns, by the rows of a tile. Weights are read until products_wait().
template <int D>
__device__ inline void add_weighted_rows(float (&c)[D / 8][4], const uint32_t (&weights)[4][4], const Bf16* tile) {
  hold(c);
  products_begin();
#pragma unroll
  for (int k = 0; k < 4; ++k) multiply_add_rows(c, weights[k], rows_of(tile, 16 * k));
  products_commit();
}

}  // namespace phial::kernels::cuda

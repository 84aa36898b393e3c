// The instructions of tensor cores and of copies into shared memory that bf16 kernels use (sm_80 and later), and tiles
// of rows in shared memory. For device code only.
//
// A tile's rows lie D + 8 numbers apart: an odd number of 16-byte pieces, so that eight rows at the same column are in
// different banks. Fragments are those of the PTX manual, mma.m16n8k16: of A four registers, of B two for 8 columns, of
// C four numbers: rows lane / 4 and that + 8, columns 2 (lane % 4) and the next.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace phial::kernels::cuda {

using Bf16 = __nv_bfloat16;

template <int D>
inline constexpr int kRowStride = D + 8;

// C += A B.
__device__ inline void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ inline void load_matrices(uint32_t (&to)[4], const Bf16* from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(from))
               : "memory");
}

__device__ inline void load_matrices_transposed(uint32_t (&to)[4], const Bf16* from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(from))
               : "memory");
}

// A: 16 rows of a tile from `row`, 16 of their columns from `column`.
template <int D>
__device__ inline void load_a(uint32_t (&to)[4], const Bf16* tile, int row, int column) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  load_matrices(to, tile + (row + lane % 16) * kRowStride<D> + column + lane / 16 * 8);
}

// B, the tile being B transposed: its rows from `row` are 16 columns of B, its columns from `column` 16 rows of B.
// to[0], to[1] are the first 8 columns.
template <int D>
__device__ inline void load_b_of_rows(uint32_t (&to)[4], const Bf16* tile, int row, int column) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  load_matrices(to, tile + (row + lane % 8 + lane / 16 * 8) * kRowStride<D> + column + lane / 8 % 2 * 8);
}

// B, the tile being B: 16 of its rows from `row`, 16 columns from `column`. to[0], to[1] are the first 8 columns.
template <int D>
__device__ inline void load_b(uint32_t (&to)[4], const Bf16* tile, int row, int column) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  load_matrices_transposed(to, tile + (row + lane % 16) * kRowStride<D> + column + lane / 16 * 8);
}

__device__ inline uint32_t packed(float low, float high) {
  uint32_t to;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(to) : "f"(high), "f"(low));
  return to;
}

// The A fragment of 16 columns from 16 k of a row of C fragments.
template <int N>
__device__ inline void as_a(uint32_t (&to)[4], const float (&c)[N][4], int k) {
  to[0] = packed(c[2 * k][0], c[2 * k][1]);
  to[1] = packed(c[2 * k][2], c[2 * k][3]);
  to[2] = packed(c[2 * k + 1][0], c[2 * k + 1][1]);
  to[3] = packed(c[2 * k + 1][2], c[2 * k + 1][3]);
}

__device__ inline float exp2_fast(float x) {
  float to;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(to) : "f"(x));
  return to;
}

// kBytes (4 or 16) from device to shared memory, or as many zeros; done after copies_wait().
template <int kBytes>
__device__ inline void copy_begin(void* to, const void* from, bool is_there) {
  const int bytes = is_there ? kBytes : 0;
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes)
                 : "memory");
  }
}
__device__ inline void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until all but the last kPending groups of this thread are there.
template <int kPending>
__device__ inline void copies_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// Begins to copy kRows rows of E numbers, `stride` apart, into a tile, by kThreads threads. Columns from E on, and rows
// from `valid` on, are zeros.
template <int D, int kRows, int kThreads>
__device__ inline void copy_rows(Bf16* tile, const Bf16* from, int64_t stride, int valid, int E) {
  constexpr int kPieces = D <= 32   ? 4
                          : D <= 64 ? 8
                                    : 16;  // of a row; a power of two, so that a thread keeps its column
  constexpr int kStep = kThreads / kPieces;
  const int first = static_cast<int>(threadIdx.x) / kPieces, column = static_cast<int>(threadIdx.x) % kPieces * 8;
  if (D % (8 * kPieces) != 0 && column >= D) return;
  const int n_valid = column < E ? valid : 0;
  from += first * stride + column;
  tile += first * kRowStride<D> + column;
#pragma unroll 2
  for (int row = first; row < kRows; row += kStep, tile += kStep * kRowStride<D>) {
    copy_begin<16>(tile, from, row < n_valid);
    from += kStep * stride;
  }
}

}  // namespace phial::kernels::cuda

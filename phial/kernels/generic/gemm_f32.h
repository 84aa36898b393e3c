// The f32 product: a block of tile rows x tokens stays in registers while one pass over the columns adds to it.
#pragma once

#include "phial/kernels/generic/vocabulary.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {

template <class Simd, int kRows, int kTokens>
void gemm_f32_block(const float* w, const float* x, float* y, const GemmF32Args& args) {
  constexpr int kParts = kTileRows / Simd::kLanes;
  constexpr int kVectors = kRows * kParts;
  typename Simd::F32 out[kTokens][kVectors];
#pragma GCC unroll 16
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) out[t][i] = Simd::zero_f32();
  }
  const size_t row = args.D * kTileRows;
  for (size_t d = 0; d < args.D; ++d) {
    typename Simd::F32 column[kVectors];
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) {
      column[i] = Simd::load_f32(w + row * (i / kParts) + kTileRows * d + Simd::kLanes * (i % kParts));
    }
#pragma GCC unroll 16
    for (int t = 0; t < kTokens; ++t) {
      const auto number = Simd::set_f32(x[t * args.x_stride + d]);
#pragma GCC unroll 16
      for (int i = 0; i < kVectors; ++i) out[t][i] = Simd::fma(column[i], number, out[t][i]);
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) Simd::store_f32(y + t * args.y_stride + Simd::kLanes * i, out[t][i]);
  }
}

// Tokens [t, args.n_tokens) in groups of kTokens, the rest in one smaller group.
template <class Simd, int kRows, int kTokens>
void gemm_f32_tokens(const float* w, size_t t, float* y, const GemmF32Args& args) {
  for (; t + kTokens <= args.n_tokens; t += kTokens) {
    gemm_f32_block<Simd, kRows, kTokens>(w, args.x + t * args.x_stride, y + t * args.y_stride, args);
  }
  if constexpr (kTokens > 1) {
    if (t < args.n_tokens) gemm_f32_tokens<Simd, kRows, kTokens - 1>(w, t, y, args);
  }
}

template <class Simd, int kRows>
void gemm_f32_rows(const float* w, size_t row, const GemmF32Args& args) {
  for (; row + kRows <= args.tile_rows; row += kRows) {
    gemm_f32_tokens<Simd, kRows, Simd::kF32Tokens>(w + row * args.D * kTileRows, 0, args.y + row * kTileRows, args);
  }
  if constexpr (kRows > 1) gemm_f32_rows<Simd, 1>(w, row, args);
}

template <class Simd>
void gemm_f32(const float* w, const GemmF32Args& args) {
  gemm_f32_rows<Simd, Simd::kF32Rows>(w, 0, args);
}

}  // namespace phial::kernels

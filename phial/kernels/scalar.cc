// The reference: what every entry of the menu means, in plain loops for the baseline CPU.
#include "phial/kernels/scalar.h"

#include <float.h>
#include <math.h>

#include <algorithm>
#include <cstring>

#include "phial/tensor/codebooks.h"
#include "phial/tensor/half.h"

namespace phial::kernels {
namespace {

using tensor::f16_to_f32;
using tensor::f8_to_f32;

// a b + c, rounded once.
float fused(float a, float b, float c) {
#if defined(__wasm__)
  // The C library's own rounds some results below the smallest normal float twice. A double holds the product exactly;
  // where their sum loses something, its last bit becomes 1, and rounding that to a float is rounding once.
  const double product = double{a} * b;
  double sum = product + c;
  const double shadow = sum - product;
  const double lost = (product - (sum - shadow)) + (c - shadow);
  uint64_t bits;
  std::memcpy(&bits, &sum, sizeof bits);
  if ((lost < 0 || lost > 0) && bits % 2 == 0) {
    bits += (lost < 0) == (sum < 0) ? 1 : uint64_t{0} - 1;
    std::memcpy(&sum, &bits, sizeof bits);
  }
  return static_cast<float>(sum);
#else
  return fmaf(a, b, c);
#endif
}

// Columns 4 * step .. 4 * step + 3 of row r, for each way of packing.
int weight_of(const uint8_t (&nibbles)[256], int r, int column) {
  const uint8_t pair = nibbles[64 * (column / 8) + 4 * r + column % 4];
  return column % 8 < 4 ? pair & 15 : pair >> 4;
}
int weight_of(const Q4Tile& tile, int r, int column) { return weight_of(tile.nibbles, r, column) - 8; }
int weight_of(const Q4MinTile& tile, int r, int column) { return weight_of(tile.nibbles, r, column); }
int weight_of(const PhialQ4Tile& tile, int r, int column) {
  return tensor::kPhialQ4Levels[weight_of(tile.nibbles, r, column)];
}
int weight_of(const PhialQ3Tile& tile, int r, int column) {
  const int s = column / 4;
  const auto plane = [&](int k) { return tile.planes[64 * k + 4 * r + column % 4]; };
  if (s < 6) return tensor::kPhialQ3Levels[plane(s / 2) >> (s % 2 == 0 ? 0 : 3) & 7];
  return tensor::kPhialQ3Levels[plane(s == 6 ? 0 : 2) >> 6 | (plane(1) >> s & 1) << 2];
}
int weight_of(const Q8Tile& tile, int r, int column) { return tile.q[64 * (column / 4) + 4 * r + column % 4]; }

template <class Tile>
float scale_of(const Tile& tile, int r) {
  return f16_to_f32(tile.scale[r]);
}
float scale_of(const PhialQ4Tile& tile, int r) { return f8_to_f32(tile.scale[r]); }
float scale_of(const PhialQ3Tile& tile, int r) { return f8_to_f32(tile.scale[r]); }

float add_min(const Q4MinTile& tile, int r, const Q8Block& x, float y) {
  return fused(f16_to_f32(tile.min[r]), x.scale * static_cast<float>(x.sum), y);
}
template <class Tile>
float add_min(const Tile&, int, const Q8Block&, float y) {
  return y;
}

template <class Tile>
void gemm(const Tile* w, const GemmArgs& args) {
  for (size_t i = 0; i < args.tile_rows; ++i, w += args.blocks) {
    for (size_t t = 0; t < args.n_tokens; ++t) std::fill_n(args.y + t * args.y_stride + kTileRows * i, kTileRows, 0.0F);
    for (size_t b = 0; b < args.blocks; ++b) {
      int8_t rows[kTileRows][kBlock];
      float scale[kTileRows];
      for (int r = 0; r < kTileRows; ++r) {
        scale[r] = scale_of(w[b], r);
        for (int c = 0; c < kBlock; ++c) rows[r][c] = static_cast<int8_t>(weight_of(w[b], r, c));
      }
      for (size_t t = 0; t < args.n_tokens; ++t) {
        const Q8Block& x = args.x[t * args.x_stride + b];
        float* y = args.y + t * args.y_stride + kTileRows * i;
        for (int r = 0; r < kTileRows; ++r) {
          int32_t sum = 0;
          for (int c = 0; c < kBlock; ++c) sum += rows[r][c] * x.q[c];
          y[r] = add_min(w[b], r, x, fused(static_cast<float>(sum), scale[r] * x.scale, y[r]));
        }
      }
    }
  }
}

void gemm_f32(const float* w, const GemmF32Args& args) {
  for (size_t i = 0; i < args.tile_rows; ++i, w += args.D * kTileRows) {
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const float* x = args.x + t * args.x_stride;
      float sums[kTileRows] = {};
      for (size_t d = 0; d < args.D; ++d) {
        for (int r = 0; r < kTileRows; ++r) sums[r] = fused(w[kTileRows * d + r], x[d], sums[r]);
      }
      std::memcpy(args.y + t * args.y_stride + kTileRows * i, sums, sizeof sums);
    }
  }
}

void quantize_q8(const float* x, size_t blocks, Q8Block* out) {
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it leaves no bits for a fraction
  for (size_t b = 0; b < blocks; ++b, x += kBlock) {
    float largest = 0;
    for (int c = 0; c < kBlock; ++c) largest = std::max(largest, fabsf(x[c]));
    const bool zero = !(largest > 0x1p-120F);
    const float inverse = zero ? 0 : 127 / largest;
    out[b].scale = zero ? 0 : largest / 127;
    out[b].sum = 0;
    for (int c = 0; c < kBlock; ++c) {
      const float rounded = x[c] * inverse + kRounder - kRounder;
      out[b].q[c] = static_cast<int8_t>(std::clamp(rounded, -127.0F, 127.0F));
      out[b].sum += out[b].q[c];
    }
  }
}

// Column e of a row.
float number(const uint16_t* row, size_t e) { return f16_to_f32(row[e]); }
float number(const float* row, size_t e) { return row[e]; }
float number(const KvQ8* row, size_t e) {
  const KvQ8& block = row[e / kBlock];
  return f16_to_f32(block.scale) * static_cast<float>(block.q[e % kBlock]);
}
float number(const KvQ4* row, size_t e) {
  const KvQ4& block = row[e / kBlock];
  const uint8_t pair = block.nibbles[e % (kBlock / 2)];
  const int n = e % kBlock < kBlock / 2 ? pair & 15 : pair >> 4;
  return fused(f16_to_f32(block.scale), static_cast<float>(n), f16_to_f32(block.min));
}

template <class T>
void scores(const float* q, size_t q_stride, size_t n_queries, const KvRows<T>& keys, size_t E, float scale,
            float* scores, size_t scores_stride) {
  for (size_t t = 0; t < n_queries; ++t) {
    for (size_t n = 0; n < keys.n; ++n) {
      double sum = 0;
      for (size_t e = 0; e < E; ++e)
        sum += double{q[t * q_stride + e]} * double{number(keys.first + n * keys.stride, e)};
      scores[t * scores_stride + n] = static_cast<float>(sum) * scale;
    }
  }
}

template <class T>
void mix(const float* weights, size_t weights_stride, size_t n_queries, const KvRows<T>& values, size_t E, float* out,
         size_t out_stride) {
  for (size_t t = 0; t < n_queries; ++t) {
    for (size_t n = 0; n < values.n; ++n) {
      const float weight = weights[t * weights_stride + n];
      for (size_t e = 0; e < E; ++e) {
        float& sum = out[t * out_stride + e];
        sum = fused(weight, number(values.first + n * values.stride, e), sum);
      }
    }
  }
}

// The least f16 whose `steps` steps reach as far as `range`.
uint16_t scale_for(float range, float steps) {
  const uint16_t scale = tensor::f32_to_f16(range / steps);
  return static_cast<uint16_t>(scale + (f16_to_f32(scale) * steps < range ? 1 : 0));
}

// Column c of a block that holds n, and the first beyond them.
float column(const float* x, size_t n, size_t c) { return x[c < n ? c : 0]; }

// Number of steps from `from` to x, ties to even.
int steps(float x, float from, uint16_t scale) {
  const float step = f16_to_f32(scale);
  const float inverse = step > 0 ? 1 / step : 0;
  return static_cast<int>(nearbyintf((x - from) * inverse));
}

void quantize_kv_q8(const float* x, size_t E, KvQ8* out) {
  for (size_t e = 0; e < E; e += kBlock, ++out) {
    float most = 0;
    for (size_t c = 0; c < kBlock; ++c) most = std::max(most, fabsf(column(x + e, E - e, c)));
    out->scale = scale_for(most, 127);
    for (size_t c = 0; c < kBlock; ++c) {
      out->q[c] = static_cast<int8_t>(steps(column(x + e, E - e, c), 0, out->scale));
    }
  }
}

void quantize_kv_q4(const float* x, size_t E, KvQ4* out) {
  for (size_t e = 0; e < E; e += kBlock, ++out) {
    float lowest = x[e], highest = x[e];
    for (size_t c = 1; c < std::min<size_t>(kBlock, E - e); ++c) {
      lowest = std::min(lowest, x[e + c]);
      highest = std::max(highest, x[e + c]);
    }
    out->min = tensor::f32_to_f16(lowest + 0.0F);  // +0 for -0
    const float min = f16_to_f32(out->min);
    out->scale = scale_for(highest > min ? highest - min : 0, 15);
    for (size_t c = 0; c < kBlock / 2; ++c) {
      const int low = std::max(steps(column(x + e, E - e, c), min, out->scale), 0);
      const int high = std::max(steps(column(x + e, E - e, c + kBlock / 2), min, out->scale), 0);
      out->nibbles[c] = static_cast<uint8_t>(low | high << 4);
    }
  }
}

void softmax(float* scores, size_t n) {
  const float largest = *std::max_element(scores, scores + n);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    scores[i] = expf(scores[i] - largest);
    sum += scores[i];
  }
  for (size_t i = 0; i < n; ++i) {
    const auto weight = static_cast<float>(scores[i] / sum);
    scores[i] = weight < FLT_MIN ? 0 : weight;
  }
}

void add_product(const ProductArgs& args) {
  for (size_t m = 0; m < args.M; ++m) {
    for (size_t k = 0; k < args.K; ++k) {
      const float factor = args.a[m * args.a_row + k * args.a_column];
      for (size_t n = 0; n < args.N; ++n) {
        float& sum = args.y[m * args.y_stride + n];
        sum = fused(factor, args.b[k * args.b_stride + n], sum);
      }
    }
  }
}

float flushed(float value) { return fabsf(value) < FLT_MIN ? 0 : value; }

void online_softmax(const OnlineSoftmaxArgs& args) {
  for (size_t row = 0; row < args.n_rows; ++row) {
    float* scores = args.scores + row * args.n_keys;
    const float largest = std::max(args.largest[row], *std::max_element(scores, scores + args.n_keys));
    const float shrink = flushed(expf(args.largest[row] - largest));
    double sum = 0;
    for (size_t n = 0; n < args.n_keys; ++n) {
      scores[n] = flushed(expf(scores[n] - largest));
      sum += scores[n];
    }
    args.largest[row] = largest;
    args.sums[row] = static_cast<float>(double{args.sums[row]} * shrink + sum);
    for (size_t e = 0; e < args.E; ++e) args.mixed[row * args.E + e] *= shrink;
  }
}

void softmax_gradient(const SoftmaxGradientArgs& args) {
  for (size_t row = 0; row < args.n_rows; ++row) {
    for (size_t i = row * args.n_keys; i < (row + 1) * args.n_keys; ++i) {
      args.scores[i] = flushed(expf(args.scores[i] - args.log_sums[row]));
      args.gradients[i] = flushed(args.scores[i] * (args.gradients[i] - args.means[row]));
    }
  }
}

void rmsnorm(const float* x, const float* gain, size_t D, float eps, float* y) {
  double squares = 0;
  for (size_t d = 0; d < D; ++d) squares += double{x[d]} * x[d];
  const double inverse = 1 / sqrt(squares / static_cast<double>(D) + eps);
  for (size_t d = 0; d < D; ++d) y[d] = static_cast<float>(x[d] * inverse) * gain[d];
}

void layernorm(const float* x, const float* gain, const float* bias, size_t D, float eps, float* y) {
  double sum = 0;
  for (size_t d = 0; d < D; ++d) sum += x[d];
  const double mean = sum / static_cast<double>(D);
  double squares = 0;
  for (size_t d = 0; d < D; ++d) squares += (x[d] - mean) * (x[d] - mean);
  const double inverse = 1 / sqrt(squares / static_cast<double>(D) + eps);
  for (size_t d = 0; d < D; ++d) y[d] = static_cast<float>((x[d] - mean) * inverse) * gain[d] + bias[d];
}

void rope_half(float* x, const float* cos, const float* sin, size_t half) {
  for (size_t d = 0; d < half; ++d) {
    const float first = x[d];
    const float second = x[d + half];
    x[d] = fused(-second, sin[d], first * cos[d]);
    x[d + half] = fused(first, sin[d], second * cos[d]);
  }
}

void silu_mul(const float* gate, const float* up, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) {
    const double x = gate[i];
    out[i] = static_cast<float>(x / (1 + exp(-x))) * up[i];
  }
}

void gelu(float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const double v = x[i];
    x[i] = static_cast<float>(0.5 * v * (1 + erf(v * 0.70710678118654752)));
  }
}

void add(const float* x, float* y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] += x[i];
}

void f32_to_f16(const float* x, size_t n, uint16_t* out) {
  for (size_t i = 0; i < n; ++i) out[i] = tensor::f32_to_f16(x[i]);
}

void dot_rows(const float* query, const float* rows, size_t n, size_t D, float* out) {
  scores<float>(query, D, 1, {rows, D, n}, D, 1.0F, out, n);
}

uint32_t sum_words(const uint32_t* p, size_t n, int) {
  uint32_t sum = 0;
  for (size_t i = 0; i < n; ++i) sum += p[i];
  return sum;
}

uint64_t multiply_bytes(size_t rounds, uint32_t* total) {
  constexpr int kProducts = 64;
  uint32_t sums[kProducts] = {};
  for (size_t round = 0; round < rounds; ++round) {
    uint8_t w = 3;
    asm volatile("" : "+r"(w));  // else the compiler knows the product
    for (uint32_t& sum : sums) sum += uint32_t{w} * 2;
  }
  *total = 0;
  for (const uint32_t sum : sums) *total += sum;
  return kProducts * rounds;
}

}  // namespace

constinit const KernelSet kScalar = {
    .name = "scalar",
    .gemm_q4 = gemm<Q4Tile>,
    .gemm_q4_min = gemm<Q4MinTile>,
    .gemm_q8 = gemm<Q8Tile>,
    .gemm_phial_q4 = gemm<PhialQ4Tile>,
    .gemm_phial_q3 = gemm<PhialQ3Tile>,
    .gemm_f32 = gemm_f32,
    .quantize_q8 = quantize_q8,
    .scores_f16 = scores<uint16_t>,
    .scores_f32 = scores<float>,
    .scores_q8 = scores<KvQ8>,
    .scores_q4 = scores<KvQ4>,
    .mix_f16 = mix<uint16_t>,
    .mix_f32 = mix<float>,
    .mix_q8 = mix<KvQ8>,
    .mix_q4 = mix<KvQ4>,
    .quantize_kv_q8 = quantize_kv_q8,
    .quantize_kv_q4 = quantize_kv_q4,
    .softmax = softmax,
    .add_product = add_product,
    .online_softmax = online_softmax,
    .softmax_gradient = softmax_gradient,
    .rmsnorm = rmsnorm,
    .layernorm = layernorm,
    .rope_half = rope_half,
    .silu_mul = silu_mul,
    .gelu = gelu,
    .add = add,
    .f32_to_f16 = f32_to_f16,
    .dot_rows = dot_rows,
    .sum_words = sum_words,
    .multiply_bytes = multiply_bytes,
};

}  // namespace phial::kernels

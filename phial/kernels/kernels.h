// The menu of kernels: arithmetic on one thread.
//
// Every entry runs on the calling thread, allocates nothing, cannot fail, and may be called from many threads at once.
// Sizes are the caller's promise. Letters are those of docs/glossary.md: T tokens, D columns, E head width, N keys.
//
// One rule above speed: what a kernel computes for one row (one token, one query) has the same bits however many rows
// are computed in the same call. Drafting, prefix reuse and batching rest on it. So sums over D, E and N run in an
// order that depends on nothing but D, E and N themselves.
//
// A tile is 16 rows of a weight matrix: one AVX-512 vector of 32-bit lanes, two of AVX2, four of NEON. Rows that pad
// the last tile are zero.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <span>

namespace phial::kernels {

inline constexpr int kTileRows = 16;
inline constexpr int kBlock = 32;  // columns that share a scale
inline constexpr int kReadWays = 6;

// 16 rows x 32 columns of w = scale * (n - 8), n in 0..15 (GGUF Q4_0).
// nibbles[64 p + 4 r + j]: low half is column 8 p + j of row r, high half is column 8 p + 4 + j (p, j in 0..3).
struct Q4Tile {
  uint16_t scale[kTileRows];  // f16
  uint8_t nibbles[256];
};
// 16 rows x 32 columns of w = scale * n + min (GGUF Q4_1, Q4_K). Nibbles as in Q4Tile.
struct Q4MinTile {
  uint16_t scale[kTileRows], min[kTileRows];  // f16
  uint8_t nibbles[256];
};
// 16 rows x 32 columns of w = scale * q. q[64 p + 4 r + j] is column 4 p + j of row r (p in 0..7). q is never -128.
struct Q8Tile {
  uint16_t scale[kTileRows];  // f16
  int8_t q[512];
};
// 16 rows x 32 columns of w = scale * level(n), n in 0..15: the numbers and scales of phial_q4 (tensor/codebooks.h).
// Nibbles as in Q4Tile.
struct PhialQ4Tile {
  uint8_t scale[kTileRows];  // f8
  uint8_t nibbles[256];
};
// The same with n in 0..7, of phial_q3. Column c of row r is number s = c / 4 at place j = c % 4: for s in 0..5 three
// bits of planes[64 (s / 2) + 4 r + j], the lowest for even s and the next for odd; for s = 6 (7) the upper two bits of
// plane 0 (2), and above them bit 6 (7) of plane 1.
struct PhialQ3Tile {
  uint8_t scale[kTileRows];  // f8
  uint8_t planes[192];
};
// 32 activations, x = scale * q, q in -127..127 (never -128: the 16-bit steps count on it); `sum` is the sum of q.
struct Q8Block {
  float scale;
  int32_t sum;
  int8_t q[kBlock];
};
// 32 columns of a row of keys or values, scale * q, q in -127..127. Rows of E columns are (E + 31) / 32 blocks.
struct KvQ8 {
  uint16_t scale;  // f16
  int8_t q[kBlock];
};
// The same as scale * n + min, n in 0..15, rounded once. The low half of nibbles[i] is column i, the high half column
// i + 16.
struct KvQ4 {
  uint16_t scale, min;  // f16
  uint8_t nibbles[kBlock / 2];
};
static_assert(sizeof(KvQ8) == 34 && sizeof(KvQ4) == 20);
static_assert(sizeof(PhialQ4Tile) == 272 && sizeof(PhialQ3Tile) == 208);
static_assert(sizeof(Q4Tile) == 288 && sizeof(Q4MinTile) == 320 && sizeof(Q8Tile) == 544 && sizeof(Q8Block) == 40);

// `tile_rows` tile rows of W, one after the other at w (row i at w + i * blocks), times T tokens of `blocks` Q8Blocks,
// token t at x + t * x_stride. Result: y[t * y_stride + 16 * i + r] for row r of tile row i; written, not added to.
// Calls with several tile rows run faster: two or more are in flight at once, and their successors are prefetched (so
// give a thread's whole range of rows in one call). Best with W in huge pages.
struct GemmArgs {
  size_t blocks;         // D / 32
  size_t tile_rows = 1;  // rows of W / 16
  size_t n_tokens;       // T
  const Q8Block* x;
  size_t x_stride;  // in Q8Blocks
  float* y;
  size_t y_stride;  // in floats
};

// The same in f32: w[(i * D + d) * 16 + r] is column d of row r of tile row i; token t at x + t * x_stride.
struct GemmF32Args {
  size_t D;
  size_t tile_rows = 1;
  size_t n_tokens;
  const float* x;
  size_t x_stride;  // in floats
  float* y;
  size_t y_stride;  // in floats
};

// y[m][n] = fma(a[m][k], b[k][n], y[m][n]) over k in order, for M rows and N columns. Row m of y is at y + m *
// y_stride, row k of b at b + k * b_stride; a[m][k] is a[m * a_row + k * a_column], so that it may be taken transposed.
struct ProductArgs {
  size_t M, N, K;
  const float* a;
  size_t a_row, a_column;
  const float* b;
  size_t b_stride;
  float* y;
  size_t y_stride;
};

// Attention over keys that come block by block, for training: what `n_rows` queries keep between blocks, and a block's
// scores. Before the first block `largest` is -inf, `sums` and `mixed` are 0.
struct OnlineSoftmaxArgs {
  size_t n_rows, n_keys, E;
  float* scores;          // [n_rows, n_keys]
  float *largest, *sums;  // [n_rows]
  float* mixed;           // [n_rows, E]: weighted values so far
};

// Its way back: scores of queries against a block of keys, and the gradients of their weights.
struct SoftmaxGradientArgs {
  size_t n_rows, n_keys;
  float *scores, *gradients;  // [n_rows, n_keys]
  const float* log_sums;      // [n_rows]: of the exponentials of all scores of the row
  const float* means;         // [n_rows]: of the gradients of all weights of the row, each by its weight
};

// N rows of keys or values: floats, f16s, or blocks, as many as E columns take; row n at first + n * stride.
template <class T>
struct KvRows {
  const T* first;
  size_t stride;  // in T
  size_t n;       // N
  // What the caller reads after these, n_next rows at the same distance: asked of memory while these are read, never
  // touched. Null: not known.
  const void* next = nullptr;
  size_t n_next = 0;
};

struct KernelSet {
  const char* name = "";  // "scalar", "avx2", ...: the ISA whose file filled it

  // W times T tokens. For each block, in order: an exact integer sum over its 32 columns, then
  // y = fma(float(sum), scale_w * scale_x, y), from y = 0 (Q4Tile: sum of (n - 8) q; Q4MinTile: sum of n q, then
  // y = fma(min, scale_x * float(x.sum), y); Phial's own: sum of level(n) q). All sets round alike, so results are
  // equal to the bit across sets.
  void (*gemm_q4)(const Q4Tile* w, const GemmArgs& args) = nullptr;
  void (*gemm_q4_min)(const Q4MinTile* w, const GemmArgs& args) = nullptr;
  void (*gemm_q8)(const Q8Tile* w, const GemmArgs& args) = nullptr;
  void (*gemm_phial_q4)(const PhialQ4Tile* w, const GemmArgs& args) = nullptr;
  void (*gemm_phial_q3)(const PhialQ3Tile* w, const GemmArgs& args) = nullptr;

  // y[t][r] = fma(w, x[t][d], y) over d in order, from y = 0. Equal to the bit across sets.
  void (*gemm_f32)(const float* w, const GemmF32Args& args) = nullptr;

  // x: [32 * blocks], finite -> out: [blocks]. scale = max|x| / 127, q = round to nearest (ties to even) of
  // x * (127 / max|x|); a block of zeros, or of nothing above 2^-120, has scale 0 and q 0. Equal to the bit across
  // sets.
  void (*quantize_q8)(const float* x, size_t blocks, Q8Block* out) = nullptr;

  // scores[t * scores_stride + n] = scale * q[t] . keys[n], for T queries [E] and N keys [E].
  // Each within (E / 4 + 8) * 2^-24 * sum|q||k| * scale of the exact value; score n does not depend on N.
  void (*scores_f16)(const float* q, size_t q_stride, size_t n_queries, const KvRows<uint16_t>& keys, size_t E,
                     float scale, float* scores, size_t scores_stride) = nullptr;
  void (*scores_f32)(const float* q, size_t q_stride, size_t n_queries, const KvRows<float>& keys, size_t E,
                     float scale, float* scores, size_t scores_stride) = nullptr;
  // The same of keys in blocks, to the numbers that they stand for. E <= 8192.
  void (*scores_q8)(const float* q, size_t q_stride, size_t n_queries, const KvRows<KvQ8>& keys, size_t E, float scale,
                    float* scores, size_t scores_stride) = nullptr;
  void (*scores_q4)(const float* q, size_t q_stride, size_t n_queries, const KvRows<KvQ4>& keys, size_t E, float scale,
                    float* scores, size_t scores_stride) = nullptr;

  // out[t][e] = fma(weights[t][n], values[n][e], out[t][e]) over n in order. Equal to the bit across sets; cutting N
  // into several calls changes nothing, nor do keys of weight 0 at the end.
  void (*mix_f16)(const float* weights, size_t weights_stride, size_t n_queries, const KvRows<uint16_t>& values,
                  size_t E, float* out, size_t out_stride) = nullptr;
  void (*mix_f32)(const float* weights, size_t weights_stride, size_t n_queries, const KvRows<float>& values, size_t E,
                  float* out, size_t out_stride) = nullptr;
  void (*mix_q8)(const float* weights, size_t weights_stride, size_t n_queries, const KvRows<KvQ8>& values, size_t E,
                 float* out, size_t out_stride) = nullptr;
  void (*mix_q4)(const float* weights, size_t weights_stride, size_t n_queries, const KvRows<KvQ4>& values, size_t E,
                 float* out, size_t out_stride) = nullptr;

  // A row of E columns, E >= 1, finite and below 65504, into blocks. Scales are rounded to f16 so that 127 (15) steps
  // reach the farthest number, min to the nearest f16. Off by at most half a step and 2^-21 of the number, and for q4
  // 2^-11 of min, or 2^-24 where that is more. The last block is filled up with its first column. Equal to the bit
  // across sets.
  void (*quantize_kv_q8)(const float* x, size_t E, KvQ8* out) = nullptr;
  void (*quantize_kv_q4)(const float* x, size_t E, KvQ4* out) = nullptr;

  // In place: exp(s - max) / sum. Each within 2e-6 + |s - max| * 2^-23 of itself, + 1e-37; none is
  // subnormal. N >= 1; scores finite or -inf, not all -inf.
  void (*softmax)(float* scores, size_t n) = nullptr;

  // For training.
  // Equal to the bit across sets; cutting M, N or K into several calls changes nothing.
  void (*add_product)(const ProductArgs& args) = nullptr;
  // largest' = max(largest, scores of the row), finite (scores may be -inf); with shrink = exp(largest - largest'):
  // scores = exp(scores - largest'), sums = sums * shrink + the scores' sum, mixed *= shrink. The new scores are within
  // the bound of softmax, and none is subnormal; a score of NaN makes its weight and its row's sum NaN. Source: arXiv
  // 1805.02867, arXiv 2307.08691.
  void (*online_softmax)(const OnlineSoftmaxArgs& args) = nullptr;
  // scores = exp(scores - log_sums), within the bound of softmax; gradients = scores * (gradients - means). Neither is
  // subnormal. Scores are at most log_sums + 1, or -inf.
  void (*softmax_gradient)(const SoftmaxGradientArgs& args) = nullptr;

  // y[d] = x[d] * gain[d] / sqrt(mean(x^2) + eps); y may be x. Within (D / 4 + 8) * 2^-24 of itself.
  void (*rmsnorm)(const float* x, const float* gain, size_t D, float eps, float* y) = nullptr;
  // y[d] = (x[d] - mean) / sqrt(variance + eps) * gain[d] + bias[d]; y may be x. Two passes: the mean comes first.
  void (*layernorm)(const float* x, const float* gain, const float* bias, size_t D, float eps, float* y) = nullptr;

  // Rotates pairs (x[d], x[d + half]) by the angle whose cosine and sine are cos[d], sin[d]; in place. Equal to the bit
  // across sets.
  void (*rope_half)(float* x, const float* cos, const float* sin, size_t half) = nullptr;

  // out[i] = silu(gate[i]) * up[i]; error of silu below 1e-6 of itself + 1e-37. out may be gate or up.
  void (*silu_mul)(const float* gate, const float* up, size_t n, float* out) = nullptr;
  // x[i] = 0.5 x (1 + erf(x / sqrt 2)), in place; absolute error below 1e-6 * max(1, |x|).
  void (*gelu)(float* x, size_t n) = nullptr;

  void (*add)(const float* x, float* y, size_t n) = nullptr;  // y += x
  void (*f32_to_f16)(const float* x, size_t n, uint16_t* out) = nullptr;

  // For vector search: the dot products of one query with `n` rows of D floats. Error as of scores_f32.
  void (*dot_rows)(const float* query, const float* rows, size_t n, size_t D, float* out) = nullptr;

  // For measuring the machine.
  // The sum, modulo 2^32, of n words at p (aligned to 64 bytes; n a multiple of 1024), read in one of kReadWays ways:
  // 1, 2 or 4 runs side by side, each without and with prefetch. Equal to the bit in every way and across sets.
  uint32_t (*sum_words)(const uint32_t* p, size_t n, int way) = nullptr;
  // Nothing but the byte products of gemm_q4, in registers: 3 times 2, added up. Returns how many multiply-adds they
  // were, a fixed number a round; *total is 6 times that if rounds <= 1000 (then no set's partial sums overflow).
  uint64_t (*multiply_bytes)(size_t rounds, uint32_t* total) = nullptr;
};

// The best set that this machine can run, or the one of them that the environment variable PHIAL_ISA names.
const KernelSet& active();

// What PHIAL_ISA holds if that names no set that runs here, and active() is the best one therefore; else null. This
// room has no errors: the program refuses it before it computes anything.
const char* refused_choice();

// All sets that this machine can run, scalar first. Slots are filled: what a set leaves empty comes from the lesser
// one.
std::span<const KernelSet* const> runnable();

// Names of all sets compiled in, also those that this machine cannot run.
std::span<const char* const> compiled();

}  // namespace phial::kernels

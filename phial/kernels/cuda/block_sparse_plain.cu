// f32 and f64, whose products tensor cores do not make exactly enough: 256 threads compute 32 queries against 32 keys
// at a time from shared memory, each thread two rows (r, r + 16) by two columns of scores, and by every 16th column of
// what is mixed. Rows in shared memory lie an odd number of numbers apart.
#include <cmath>

#include "phial/kernels/cuda/block_sparse_device.cuh"
#include "phial/kernels/cuda/launch.cuh"

namespace phial::kernels::cuda {
namespace {

constexpr int kPlainThreads = 256, kPart = 32, kLanes = 16;  // a part: half a tile
constexpr int kPartsOfTile = kTileTokens / kPart, kMostColumns = kMaxHeadDim / kLanes;
constexpr int kWeightStride = kPart + 1;

template <class T>
struct PlainRows {
  T* at;
  int stride;

  __device__ T& operator()(int row, int column) const { return at[row * stride + column]; }
};

// 32 rows of E numbers; those from `valid` on are zeros.
template <class T>
__device__ void read_rows(const PlainRows<T>& to, const T* from, int64_t stride, int valid, int E) {
  for (int i = static_cast<int>(threadIdx.x); i < kPart * E; i += kPlainThreads) {
    const int row = i / E, column = i % E;
    to(row, column) = row < valid ? from[row * stride + column] : T{0};
  }
}

// products[r][c]: row r of a by row c of b, of this thread.
template <class T>
__device__ void multiply_rows(const PlainRows<T>& a, const PlainRows<T>& b, int E, T (&products)[2][2]) {
  const int r = static_cast<int>(threadIdx.x) / kLanes, c = static_cast<int>(threadIdx.x) % kLanes;
  for (auto& row : products) row[0] = row[1] = 0;
  for (int e = 0; e < E; ++e) {
    const T a0 = a(r, e), a1 = a(r + kLanes, e), b0 = b(c, e), b1 = b(c + kLanes, e);
    products[0][0] += a0 * b0;
    products[0][1] += a0 * b1;
    products[1][0] += a1 * b0;
    products[1][1] += a1 * b1;
  }
}

// sums[r][i] += the weights of row r by column i * 16 of rows.
template <class T>
__device__ void add_weighted(const PlainRows<T>& weights, const PlainRows<T>& rows, int E, T (&sums)[2][kMostColumns]) {
  const int r = static_cast<int>(threadIdx.x) / kLanes, c = static_cast<int>(threadIdx.x) % kLanes;
  for (int k = 0; k < kPart; ++k) {
    const T w0 = weights(r, k), w1 = weights(r + kLanes, k);
#pragma unroll
    for (int i = 0; i < kMostColumns; ++i) {
      if (c + i * kLanes >= E) continue;
      const T x = rows(k, c + i * kLanes);
      sums[0][i] += w0 * x;
      sums[1][i] += w1 * x;
    }
  }
}

template <class T>
__device__ void put_weights(const PlainRows<T>& to, const T (&weights)[2][2]) {
  const int r = static_cast<int>(threadIdx.x) / kLanes, c = static_cast<int>(threadIdx.x) % kLanes;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) to(r + i * kLanes, c + j * kLanes) = weights[i][j];
  }
}

template <class T>
__device__ void put_sums(const T (&sums)[2][kMostColumns], const T (&factors)[2], T* to, int64_t stride, int valid,
                         int E) {
  const int r = static_cast<int>(threadIdx.x) / kLanes, c = static_cast<int>(threadIdx.x) % kLanes;
  for (int i = 0; i < 2; ++i) {
    if (r + i * kLanes >= valid) continue;
#pragma unroll
    for (int k = 0; k < kMostColumns; ++k) {
      if (c + k * kLanes < E) to[(r + i * kLanes) * stride + c + k * kLanes] = sums[i][k] * factors[i];
    }
  }
}

// Over the 16 threads of a row.
template <class T>
__device__ T largest_of_row(T x) {
  for (int lanes = kLanes / 2; lanes > 0; lanes /= 2) x = fmax(x, __shfl_xor_sync(~0U, x, lanes));
  return x;
}
template <class T>
__device__ T sum_of_row(T x) {
  for (int lanes = kLanes / 2; lanes > 0; lanes /= 2) x += __shfl_xor_sync(~0U, x, lanes);
  return x;
}

// Shared memory: so many parts of rows, so many of weights.
template <class T, int kRowParts, int kWeightParts>
struct PlainMemory {
  PlainRows<T> rows[kRowParts], weights[kWeightParts];

  __device__ explicit PlainMemory(int E) {
    extern __shared__ __align__(16) unsigned char shared_bytes[];
    auto* at = reinterpret_cast<T*>(shared_bytes);
    for (auto& each : rows) {
      each = {at, E | 1};
      at += kPart * (E | 1);
    }
    for (auto& each : weights) {
      each = {at, kWeightStride};
      at += kPart * kWeightStride;
    }
  }
  static int bytes(int E) {
    return (kRowParts * kPart * (E | 1) + kWeightParts * kPart * kWeightStride) * static_cast<int>(sizeof(T));
  }
};

// Queries of one block of threads: part blockIdx.y of what QueryWork names.
struct PlainQueries {
  QueryWork work;
  DocumentPlace document;
  int first, tile;  // position of the first query, its tile
  bool has_rows;

  __device__ explicit PlainQueries(const BlockSparseTiles& tiles)
      : work(tiles, static_cast<int>(blockIdx.x)), document(tiles, work.document) {
    first = work.first_tile * kTileTokens + static_cast<int>(blockIdx.y) * kPart;
    tile = first / kTileTokens;
    has_rows = first < document.tokens;
  }
  // Of [B, H, T].
  __device__ int64_t row(const BlockSparseProblem& problem, int r) const {
    return (int64_t{document.row} * problem.tiles.n_heads + work.head) * problem.tokens + document.first + first + r;
  }
};

// Reads the i-th part of the keys that the queries see, and its values. The position of its first; -1 behind the
// document's end, where nothing is read.
template <class T>
__device__ int read_key_part(const BlockSparseProblem& problem, const PlainQueries& mine, const KeyTiles& key_tiles,
                             int i, const PlainRows<T>& keys, const PlainRows<T>& values) {
  const int first = key_tiles[i / kPartsOfTile] * kTileTokens + i % kPartsOfTile * kPart;
  const int n_keys = mine.document.tokens - first, head = mine.work.kv_head, E = problem.head_dim;
  if (n_keys <= 0) return -1;
  __syncthreads();  // what was there has been read
  read_rows(keys, place<const T>(problem.keys, mine.document, head, first), problem.keys.token, n_keys, E);
  read_rows(values, place<const T>(problem.values, mine.document, head, first), problem.values.token, n_keys, E);
  __syncthreads();
  return first;
}

template <class T>
using ForwardMemory = PlainMemory<T, 3, 1>;
template <class T>
using OfQueriesMemory = PlainMemory<T, 4, 1>;
template <class T>
using OfKeysMemory = PlainMemory<T, 4, 2>;

template <class T>
__global__ void __launch_bounds__(kPlainThreads) attend_plain(const __grid_constant__ BlockSparsePass pass) {
  const BlockSparseProblem& problem = pass.problem;
  const PlainQueries mine(problem.tiles);
  if (!mine.has_rows) return;
  const int E = problem.head_dim, r = static_cast<int>(threadIdx.x) / kLanes;
  const int c = static_cast<int>(threadIdx.x) % kLanes, n_left = mine.document.tokens - mine.first;
  const ForwardMemory<T> memory(E);
  const auto &queries = memory.rows[0], &keys = memory.rows[1], &values = memory.rows[2], &weights = memory.weights[0];
  const VisiblePairs visible(problem.tiles, mine.work.head);
  read_rows(queries, place<const T>(problem.queries, mine.document, mine.work.head, mine.first), problem.queries.token,
            n_left, E);
  T mixed[2][kMostColumns] = {}, largest[2] = {-INFINITY, -INFINITY}, sums[2] = {};
  const KeyTiles key_tiles(problem.tiles, mine.work.head, mine.tile, mine.tile);
  for (int i = 0; i < key_tiles.n * kPartsOfTile; ++i) {
    const int first_key = read_key_part(problem, mine, key_tiles, i, keys, values);
    if (first_key < 0) break;
    T scores[2][2];
    multiply_rows(queries, keys, E, scores);
    for (int row = 0; row < 2; ++row) {
      for (int column = 0; column < 2; ++column) {
        const bool is_seen = visible(mine.first + r + row * kLanes, first_key + c + column * kLanes);
        scores[row][column] = is_seen ? scores[row][column] * static_cast<T>(problem.scale) : -INFINITY;
      }
      const T before = largest[row];
      largest[row] = fmax(before, largest_of_row(fmax(scores[row][0], scores[row][1])));
      const T offset =
          largest[row] == -INFINITY ? T{0} : largest[row];  // a row that has seen nothing yet keeps nothing
      const T shrink = exp(before - offset);
      for (T& score : scores[row]) score = exp(score - offset);
      sums[row] = sums[row] * shrink + sum_of_row(scores[row][0] + scores[row][1]);
      for (T& number : mixed[row]) number *= shrink;
    }
    put_weights(weights, scores);
    __syncthreads();
    add_weighted(weights, values, E, mixed);
  }
  const T factors[2] = {1 / sums[0], 1 / sums[1]};
  put_sums(mixed, factors, place<T>(problem.mixed, mine.document, mine.work.head, mine.first), problem.mixed.token,
           n_left, E);
  for (int row = 0; row < 2; ++row) {
    if (c == 0 && r + row * kLanes < n_left) {
      static_cast<T*>(problem.log_sums)[mine.row(problem, r + row * kLanes)] = largest[row] + log(sums[row]);
    }
  }
}

// The products of the output and its gradient, added up, of every row of a document: here with the queries' gradients,
// which need them, for the keys' afterwards.
template <class T>
__global__ void __launch_bounds__(kPlainThreads) of_queries_plain(const __grid_constant__ BlockSparsePass pass) {
  const BlockSparseProblem& problem = pass.problem;
  const PlainQueries mine(problem.tiles);
  if (!mine.has_rows) return;
  const int E = problem.head_dim, r = static_cast<int>(threadIdx.x) / kLanes;
  const int c = static_cast<int>(threadIdx.x) % kLanes, n_left = mine.document.tokens - mine.first;
  const OfQueriesMemory<T> memory(E);
  const auto &queries = memory.rows[0], &of_mixed = memory.rows[1], &keys = memory.rows[2], &values = memory.rows[3];
  const auto& weights = memory.weights[0];
  const VisiblePairs visible(problem.tiles, mine.work.head);
  const int head = mine.work.head;
  read_rows(queries, place<const T>(problem.queries, mine.document, head, mine.first), problem.queries.token, n_left,
            E);
  read_rows(of_mixed, place<const T>(pass.gradients.of_mixed, mine.document, head, mine.first),
            pass.gradients.of_mixed.token, n_left, E);
  read_rows(keys, place<const T>(problem.mixed, mine.document, head, mine.first), problem.mixed.token, n_left, E);
  __syncthreads();
  T log_sums[2] = {}, means[2] = {};
  for (int row = 0; row < 2; ++row) {
    const int at = r + row * kLanes;
    for (int e = c; e < E; e += kLanes) means[row] += keys(at, e) * of_mixed(at, e);
    means[row] = sum_of_row(means[row]);
    if (at >= n_left) continue;
    log_sums[row] = static_cast<const T*>(problem.log_sums)[mine.row(problem, at)];
    if (c == 0) static_cast<T*>(pass.gradients.means)[mine.row(problem, at)] = means[row];
  }
  T gradients[2][kMostColumns] = {};
  const KeyTiles key_tiles(problem.tiles, head, mine.tile, mine.tile);
  for (int i = 0; i < key_tiles.n * kPartsOfTile; ++i) {
    const int first_key = read_key_part(problem, mine, key_tiles, i, keys, values);
    if (first_key < 0) break;
    T scores[2][2], of_weights[2][2];
    multiply_rows(queries, keys, E, scores);
    multiply_rows(of_mixed, values, E, of_weights);
    for (int row = 0; row < 2; ++row) {
      for (int column = 0; column < 2; ++column) {
        const bool is_seen = visible(mine.first + r + row * kLanes, first_key + c + column * kLanes);
        const T weight = is_seen ? exp(scores[row][column] * static_cast<T>(problem.scale) - log_sums[row]) : T{0};
        scores[row][column] = weight * (of_weights[row][column] - means[row]);
      }
    }
    put_weights(weights, scores);
    __syncthreads();
    add_weighted(weights, keys, E, gradients);
  }
  const T factors[2] = {static_cast<T>(problem.scale), static_cast<T>(problem.scale)};
  put_sums(gradients, factors, place<T>(pass.gradients.of_queries, mine.document, head, mine.first),
           pass.gradients.of_queries.token, n_left, E);
}

// Rows are keys here, columns queries.
template <class T>
__global__ void __launch_bounds__(kPlainThreads) of_keys_plain(const __grid_constant__ BlockSparsePass pass) {
  const BlockSparseProblem& problem = pass.problem;
  const BlockSparseTiles& tiles = problem.tiles;
  const int* const item = tiles.key_items + 2 * int64_t{blockIdx.x};
  const int kv_head = static_cast<int>(blockIdx.x) / tiles.n_key_items, key_tile = item[1];
  const DocumentPlace document(tiles, item[0]);
  const int first_key = key_tile * kTileTokens + static_cast<int>(blockIdx.y) * kPart;
  const int n_keys = document.tokens - first_key;
  if (n_keys <= 0) return;
  const int E = problem.head_dim, r = static_cast<int>(threadIdx.x) / kLanes;
  const int c = static_cast<int>(threadIdx.x) % kLanes;
  const OfKeysMemory<T> memory(E);
  const auto &keys = memory.rows[0], &values = memory.rows[1], &queries = memory.rows[2], &of_mixed = memory.rows[3];
  read_rows(keys, place<const T>(problem.keys, document, kv_head, first_key), problem.keys.token, n_keys, E);
  read_rows(values, place<const T>(problem.values, document, kv_head, first_key), problem.values.token, n_keys, E);
  T of_key_rows[2][kMostColumns] = {}, of_value_rows[2][kMostColumns] = {};
  for (SeeingTiles at(tiles, kv_head, key_tile, document.n_tiles()); !at.is_over(); at.next()) {
    const VisiblePairs visible(tiles, at.head);
    for (int part = 0; part < kPartsOfTile; ++part) {
      const int first = at.tile * kTileTokens + part * kPart, n_left = document.tokens - first;
      if (n_left <= 0) break;
      __syncthreads();  // what was there has been read
      read_rows(queries, place<const T>(problem.queries, document, at.head, first), problem.queries.token, n_left, E);
      read_rows(of_mixed, place<const T>(pass.gradients.of_mixed, document, at.head, first),
                pass.gradients.of_mixed.token, n_left, E);
      __syncthreads();
      T weights[2][2], of_weights[2][2];
      multiply_rows(keys, queries, E, weights);
      multiply_rows(values, of_mixed, E, of_weights);
      for (int column = 0; column < 2; ++column) {
        const int query = c + column * kLanes;
        T log_sum = 0, mean = 0;
        if (query < n_left) {
          const int64_t row =
              (int64_t{document.row} * tiles.n_heads + at.head) * problem.tokens + document.first + first + query;
          log_sum = static_cast<const T*>(problem.log_sums)[row];
          mean = static_cast<const T*>(pass.gradients.means)[row];
        }
        for (int row = 0; row < 2; ++row) {
          const bool is_seen = query < n_left && visible(first + query, first_key + r + row * kLanes);
          weights[row][column] = is_seen ? exp(weights[row][column] * static_cast<T>(problem.scale) - log_sum) : T{0};
          of_weights[row][column] = weights[row][column] * (of_weights[row][column] - mean);
        }
      }
      put_weights(memory.weights[0], weights);
      put_weights(memory.weights[1], of_weights);
      __syncthreads();
      add_weighted(memory.weights[0], of_mixed, E, of_value_rows);
      add_weighted(memory.weights[1], queries, E, of_key_rows);
    }
  }
  const T scale[2] = {static_cast<T>(problem.scale), static_cast<T>(problem.scale)}, one[2] = {1, 1};
  put_sums(of_key_rows, scale, place<T>(pass.gradients.of_keys, document, kv_head, first_key),
           pass.gradients.of_keys.token, n_keys, E);
  put_sums(of_value_rows, one, place<T>(pass.gradients.of_values, document, kv_head, first_key),
           pass.gradients.of_values.token, n_keys, E);
}

template <class T>
const char* forward_plain(const BlockSparsePass& pass, Stream stream) {
  return start(attend_plain<T>, query_blocks(pass.problem.tiles, kQueryTiles * kPartsOfTile), kPlainThreads,
               ForwardMemory<T>::bytes(pass.problem.head_dim), stream, pass);
}

template <class T>
const char* backward_plain(const BlockSparsePass& pass, Stream stream) {
  const BlockSparseTiles& tiles = pass.problem.tiles;
  const char* const error = start(of_queries_plain<T>, query_blocks(tiles, kQueryTiles * kPartsOfTile), kPlainThreads,
                                  OfQueriesMemory<T>::bytes(pass.problem.head_dim), stream, pass);
  return error != nullptr ? error
                          : start(of_keys_plain<T>, key_blocks(tiles, kPartsOfTile), kPlainThreads,
                                  OfKeysMemory<T>::bytes(pass.problem.head_dim), stream, pass);
}

}  // namespace

const char* block_sparse_forward_plain(const BlockSparsePass& pass, Stream stream) {
  return pass.problem.type == Number::kF64 ? forward_plain<double>(pass, stream) : forward_plain<float>(pass, stream);
}

const char* block_sparse_backward_plain(const BlockSparsePass& pass, Stream stream) {
  return pass.problem.type == Number::kF64 ? backward_plain<double>(pass, stream) : backward_plain<float>(pass, stream);
}

}  // namespace phial::kernels::cuda

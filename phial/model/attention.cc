#include "phial/model/attention.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace phial::model {
namespace {

size_t size(int n) { return static_cast<size_t>(n); }

// Consecutive positions that stand in one page.
struct Run {
  int first = 0, count = 0;
};

// body(run) over positions [first, last], in order.
template <class Body>
void for_each_run(int first, int last, const Body& body) {
  for (int position = first; position <= last;) {
    const int count = std::min(last - position + 1, kPageTokens - position % kPageTokens);
    body(Run{position, count});
    position += count;
  }
}

class Attention {
 public:
  Attention(const kernels::KernelSet& kernels, const AttentionShape& shape, const KvAccess& cache,
            const Queries& queries, std::span<float> scratch)
      : kernels_(kernels), shape_(shape), cache_(cache), queries_(queries), scores_(scratch.data()) {
    const int last = queries.first_position + queries.tokens - 1;
    first_key_ = first_seen(0);
    n_keys_ = last - first_key_ + 1;
    scale_ = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  }

  void run(int layer, int kv_head) {
    const int last = first_key_ + n_keys_ - 1;
    for_each_run(first_key_, last, [&](const Run& r) { score(cache_.key(layer, kv_head, r.first), r); });
    for (int t = 0; t < queries_.tokens; ++t) {
      for (int h = 0; h < shape_.heads_per_kv; ++h) normalise(t, h);
    }
    for_each_run(first_key_, last, [&](const Run& r) { mix(cache_.value(layer, kv_head, r.first), r); });
  }

 private:
  int first_seen(int token) const {
    const int position = queries_.first_position + token;
    return shape_.window == 0 ? 0 : std::max(0, position - shape_.window + 1);
  }
  float* row(int token, int head) const {
    return scores_ + (size(token) * size(shape_.heads_per_kv) + size(head)) * size(n_keys_);
  }
  size_t head_offset(int head) const { return size(head) * size(shape_.head_dim); }
  // The kernels take queries at one distance: the heads of a token, or the tokens of a head, whichever are more.
  bool by_token() const { return shape_.heads_per_kv >= queries_.tokens; }

  // body(rows, their stride, the kernels that read them).
  template <class Body>
  void with_type(const std::byte* from, const Body& body) {
    const auto rows = [&]<class Row>(std::type_identity<Row>, auto score_kernel, auto mix_kernel) {
      body(reinterpret_cast<const Row*>(from), cache_.row_bytes() / sizeof(Row), score_kernel, mix_kernel);
    };
    switch (cache_.type()) {
      case KvType::kF32:
        return rows(std::type_identity<float>(), kernels_.scores_f32, kernels_.mix_f32);
      case KvType::kF16:
        return rows(std::type_identity<uint16_t>(), kernels_.scores_f16, kernels_.mix_f16);
      case KvType::kQ8:
        return rows(std::type_identity<kernels::KvQ8>(), kernels_.scores_q8, kernels_.mix_q8);
      case KvType::kQ4:
        return rows(std::type_identity<kernels::KvQ4>(), kernels_.scores_q4, kernels_.mix_q4);
    }
  }

  void score(const std::byte* keys, const Run& r) {
    const size_t dim = size(shape_.head_dim), column = size(r.first - first_key_);
    const auto call = [&](const float* q, size_t q_stride, int n, float* scores, size_t stride) {
      with_type(keys, [&](const auto* rows, size_t row_stride, auto kernel, auto) {
        kernel(q, q_stride, size(n), rows, row_stride, size(r.count), dim, scale_, scores, stride);
      });
    };
    if (by_token()) {
      for (int t = 0; t < queries_.tokens; ++t) {
        call(queries_.q + size(t) * queries_.q_stride, dim, shape_.heads_per_kv, row(t, 0) + column, size(n_keys_));
      }
    } else {
      for (int h = 0; h < shape_.heads_per_kv; ++h) {
        call(queries_.q + head_offset(h), queries_.q_stride, queries_.tokens, row(0, h) + column,
             size(shape_.heads_per_kv) * size(n_keys_));
      }
    }
  }

  // Weights of the keys that the query sees; 0 for the others that its neighbours see.
  void normalise(int token, int head) {
    float* weights = row(token, head);
    const int begin = first_seen(token) - first_key_;
    const int end = queries_.first_position + token - first_key_ + 1;
    std::fill(weights, weights + begin, 0.0F);
    kernels_.softmax(weights + begin, size(end - begin));
    std::fill(weights + end, weights + n_keys_, 0.0F);
    float* out = queries_.out + size(token) * queries_.out_stride + head_offset(head);
    std::fill(out, out + shape_.head_dim, 0.0F);
  }

  void mix(const std::byte* values, const Run& r) {
    const size_t dim = size(shape_.head_dim), column = size(r.first - first_key_);
    const auto call = [&](const float* weights, size_t stride, int n, float* out, size_t out_stride) {
      with_type(values, [&](const auto* rows, size_t row_stride, auto, auto kernel) {
        kernel(weights, stride, size(n), rows, row_stride, size(r.count), dim, out, out_stride);
      });
    };
    if (by_token()) {
      for (int t = 0; t < queries_.tokens; ++t) {
        call(row(t, 0) + column, size(n_keys_), shape_.heads_per_kv, queries_.out + size(t) * queries_.out_stride, dim);
      }
    } else {
      for (int h = 0; h < shape_.heads_per_kv; ++h) {
        call(row(0, h) + column, size(shape_.heads_per_kv) * size(n_keys_), queries_.tokens,
             queries_.out + head_offset(h), queries_.out_stride);
      }
    }
  }

  const kernels::KernelSet& kernels_;
  const AttentionShape& shape_;
  const KvAccess& cache_;
  const Queries& queries_;
  float* scores_;
  int first_key_ = 0, n_keys_ = 0;
  float scale_ = 1;
};

}  // namespace

int query_block(int keys, int heads_per_kv) {
  constexpr int kScores = 128 << 10;  // half a MiB
  constexpr int kMost = 32;
  return std::clamp(kScores / std::max(1, keys) / heads_per_kv, 1, kMost);
}

size_t attention_scratch(int queries, int keys, int heads_per_kv) {
  return size(queries) * size(heads_per_kv) * size(keys);
}

void attend(const kernels::KernelSet& kernels, const AttentionShape& shape, const KvAccess& cache, int layer,
            int kv_head, const Queries& queries, std::span<float> scratch) {
  Attention attention(kernels, shape, cache, queries, scratch);
  attention.run(layer, kv_head);
}

}  // namespace phial::model

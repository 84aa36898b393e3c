#include "phial/model/attention.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>
#include <vector>

#include "phial/model/size.h"

namespace phial::model {
namespace {

// Consecutive positions that stand in one page, and the heads that see them.
struct PageRun {
  int first = 0, count = 0;
  int column = 0;                            // of the first, in those heads' scores
  int head = 0, n_heads = 0, head_step = 1;  // head, head + head_step, ...
};

// Of one page; none if `count` is 0.
struct Positions {
  int first = 0, count = 0;
};
struct PageRows {
  const std::byte* first = nullptr;
  int count = 0;
};

// Of `left` positions from `first` on, those in its page.
int in_page(int first, int left) { return std::min(left, kPageTokens - first % kPageTokens); }

// body(run, what is read after it: the next run's positions, or `after`) over positions [seen.first, seen.first +
// seen.count), in order.
template <class Body>
void for_each_run(PageRun seen, const Positions& after, const Body& body) {
  for (int left = seen.count; left > 0;) {
    seen.count = in_page(seen.first, left);
    left -= seen.count;
    const int next = seen.first + seen.count;
    body(seen, left > 0 ? Positions{.first = next, .count = in_page(next, left)} : after);
    seen.first = next;
    seen.column += seen.count;
  }
}

class Attention {
 public:
  Attention(const kernels::KernelSet& kernels, const AttentionShape& shape, const KvAccess& cache, int layer,
            int kv_head, const Queries& queries, std::span<float> scratch)
      : kernels_(kernels),
        shape_(shape),
        cache_(cache),
        layer_(layer),
        kv_head_(kv_head),
        queries_(queries),
        scores_(scratch.data()) {
    for (int h = 0; h < shape.heads_per_kv; ++h) most_far_ = std::max(most_far_, n_far(h));
    if (most_far_ > 0) find_far();
    near_ = {.first = first_seen(0), .column = most_far_, .n_heads = shape.heads_per_kv};
    near_.count = queries.first_position + queries.tokens - near_.first;
    n_columns_ = most_far_ + near_.count;
  }

  void run() {
    const Positions first_values = in_first_page(far_.empty() ? near_ : far_.front());
    for_each_seen([&](const PageRun& r, const Positions& next) {
      score(keys({r.first, r.count}), next.count == 0 ? values(first_values) : keys(next), r);
    });
    for (int t = 0; t < queries_.tokens; ++t) {
      for (int h = 0; h < shape_.heads_per_kv; ++h) normalise(t, h);
    }
    for_each_seen([&](const PageRun& r, const Positions& next) { mix(values({r.first, r.count}), values(next), r); });
  }

 private:
  PageRows keys(const Positions& p) const {
    return {p.count == 0 ? nullptr : cache_.key(layer_, kv_head_, p.first), p.count};
  }
  PageRows values(const Positions& p) const {
    return {p.count == 0 ? nullptr : cache_.value(layer_, kv_head_, p.first), p.count};
  }

  // Of the near keys, which all heads see.
  int first_seen(int token) const {
    const int position = queries_.first_position + token;
    if (shape_.sparse != nullptr) return shape_.sparse->first_local(query_block()) * block();
    return shape_.window == 0 ? 0 : std::max(0, position - shape_.window + 1);
  }
  int block() const { return shape_.sparse->pattern().block; }
  int query_block() const { return queries_.first_position / block(); }
  // Far keys that a head sees.
  int n_far(int head) const {
    if (shape_.sparse == nullptr) return 0;
    const int end = shape_.sparse->first_local(query_block());
    return shape_.sparse->n_before(kv_head_, queries_.first_head + head, end) * block();
  }

  // A row of scores holds the far keys of its head, up to column most_far_, and then the near ones.
  float* row(int token, int head) const {
    return scores_ + (size(token) * size(shape_.heads_per_kv) + size(head)) * size(n_columns_);
  }
  size_t head_offset(int head) const { return size(head) * size(shape_.head_dim); }

  static Positions in_first_page(const PageRun& run) { return {run.first, in_page(run.first, run.count)}; }

  // body(run, what comes next; nothing at the end) over what any head sees, positions ascending.
  template <class Body>
  void for_each_seen(const Body& body) const {
    for (size_t i = 0; i < far_.size(); ++i) {
      for_each_run(far_[i], in_first_page(i + 1 < far_.size() ? far_[i + 1] : near_), body);
    }
    for_each_run(near_, {}, body);
  }

  void find_far() {
    const uint64_t computed = (~uint64_t{0} >> (64 - shape_.heads_per_kv)) << queries_.first_head;
    for (const auto& entry : shape_.sparse->far(kv_head_, query_block())) {
      const uint64_t heads = (entry.heads & computed) >> queries_.first_head;
      if (heads == 0) continue;
      PageRun seen = {.first = entry.block * block(), .count = block(), .n_heads = std::popcount(heads)};
      seen.head = std::countr_zero(heads);
      if (seen.n_heads > 1) seen.head_step = std::countr_zero(heads & (heads - 1)) - seen.head;
      const int before = shape_.sparse->n_before(kv_head_, queries_.first_head + seen.head, entry.block) * block();
      seen.column = most_far_ - n_far(seen.head) + before;
      far_.push_back(seen);
    }
  }

  // The kernels take queries at one distance: the heads of a token, or the tokens of a head, whichever are more.
  // body(token, head, how many, whether they are heads).
  template <class Body>
  void for_each_call(const PageRun& r, const Body& body) const {
    if (r.n_heads >= queries_.tokens) {
      for (int t = 0; t < queries_.tokens; ++t) body(t, r.head, r.n_heads, true);
    } else {
      for (int i = 0; i < r.n_heads; ++i) body(0, r.head + i * r.head_step, queries_.tokens, false);
    }
  }

  // body(rows, the kernels that read them).
  template <class Body>
  void with_type(const PageRows& of, const PageRows& next, const Body& body) {
    const auto rows = [&]<class Row>(std::type_identity<Row>, auto score_kernel, auto mix_kernel) {
      const size_t stride = cache_.row_bytes() / sizeof(Row);
      body(kernels::KvRows<Row>{reinterpret_cast<const Row*>(of.first), stride, size(of.count), next.first,
                                size(next.count)},
           score_kernel, mix_kernel);
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

  void score(const PageRows& keys, const PageRows& next, const PageRun& r) {
    const size_t dim = size(shape_.head_dim), heads = size(shape_.heads_per_kv), columns = size(n_columns_);
    for_each_call(r, [&](int t, int h, int n, bool are_heads) {
      const float* q = queries_.q + size(t) * queries_.q_stride + head_offset(h);
      const size_t q_stride = are_heads ? head_offset(r.head_step) : queries_.q_stride;
      const size_t stride = are_heads ? size(r.head_step) * columns : heads * columns;
      with_type(keys, next, [&](const auto& rows, auto kernel, auto) {
        kernel(q, q_stride, size(n), rows, dim, shape_.scale, row(t, h) + r.column, stride);
      });
    });
  }

  // Weights of the keys that the query sees; 0 for the others that its neighbours see.
  void normalise(int token, int head) {
    float* weights = row(token, head);
    const int begin = most_far_ - n_far(head) + first_seen(token) - near_.first;
    const int end = most_far_ + queries_.first_position + token - near_.first + 1;
    std::fill(weights, weights + begin, 0.0F);
    kernels_.softmax(weights + begin, size(end - begin));
    std::fill(weights + end, weights + n_columns_, 0.0F);
    float* out = queries_.out + size(token) * queries_.out_stride + head_offset(head);
    std::fill(out, out + shape_.head_dim, 0.0F);
  }

  void mix(const PageRows& values, const PageRows& next, const PageRun& r) {
    const size_t dim = size(shape_.head_dim), heads = size(shape_.heads_per_kv), columns = size(n_columns_);
    for_each_call(r, [&](int t, int h, int n, bool are_heads) {
      const size_t stride = are_heads ? size(r.head_step) * columns : heads * columns;
      float* out = queries_.out + size(t) * queries_.out_stride + head_offset(h);
      const size_t out_stride = are_heads ? head_offset(r.head_step) : queries_.out_stride;
      with_type(values, next, [&](const auto& rows, auto, auto kernel) {
        kernel(row(t, h) + r.column, stride, size(n), rows, dim, out, out_stride);
      });
    });
  }

  const kernels::KernelSet& kernels_;
  const AttentionShape& shape_;
  const KvAccess& cache_;
  int layer_, kv_head_;
  const Queries& queries_;
  float* scores_;
  int most_far_ = 0;  // far keys of the head that sees most
  std::vector<PageRun> far_;
  PageRun near_;
  int n_columns_ = 0;
};

}  // namespace

int sparse_keys(const spec::BlockSparse& pattern, int keys) {
  const int64_t near = std::min<int64_t>(keys, pattern.dense_tokens());
  const int64_t far_blocks = (keys - near) / pattern.block / pattern.stride + 1;
  return static_cast<int>(std::min<int64_t>(keys, near + far_blocks * pattern.block));
}

QueryTile query_tile(int tokens, int keys, int heads_per_kv) {
  constexpr int kScores = 128 << 10;  // half a MiB
  constexpr int kMost = 32;           // the tokens of a tile meet the keys of the last of them
  constexpr int kMostApart = 64;      // a block of Phi-3-small
  constexpr int kKernel = 4;          // queries that kernels take at once
  const int fit = kScores / std::max(1, keys), of_all_heads = std::clamp(fit / heads_per_kv, 1, kMost);
  // Beyond a cache's size scores are still fewer bytes than the keys and values that they share.
  const int apart = std::clamp(fit - fit % kKernel, kKernel, kMostApart);
  // Keys are read once a tile. Of few tokens that is what takes the time; of a prompt, what rounding up costs is
  // little.
  const auto tiles = [tokens](int of) { return (tokens + of - 1) / of; };
  const bool reads_more = heads_per_kv * tiles(apart) > tiles(of_all_heads) + tokens / kMostApart;
  if (of_all_heads == kMost || reads_more) return {of_all_heads, heads_per_kv};
  return {apart, 1};
}

size_t attention_scratch(int queries, int keys, int heads_per_kv) {
  return size(queries) * size(heads_per_kv) * size(keys);
}

void attend(const kernels::KernelSet& kernels, const AttentionShape& shape, const KvAccess& cache, int layer,
            int kv_head, const Queries& queries, std::span<float> scratch) {
  Attention(kernels, shape, cache, layer, kv_head, queries, scratch).run();
}

}  // namespace phial::model

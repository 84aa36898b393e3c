#include "phial/train/block_sparse_attention.h"

#include <ATen/Parallel.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <limits>
#include <utility>

#include "phial/base/check.h"
#include "phial/train/block_arithmetic.h"
#include "phial/train/device_operations.h"
#include "phial/train/row_loops.h"

namespace phial::train {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using PlanPointer = std::shared_ptr<const BlockSparsePlan>;

// Of one pass over all heads. Contiguous.
template <class T>
struct Tensors {
  const T *queries, *keys, *values;  // [B, H, T, E], [B, K, T, E] twice
  T *mixed, *log_sums;               // [B, H, T, E], [B, H, T]; backwards they are read
  const T* mixed_gradient;           // [B, H, T, E]; from here backwards only
  T *query_gradient, *key_gradient, *value_gradient;
};

struct Sizes {
  int64_t H, K, T, E;
  double scale;

  Sizes(const at::Tensor& queries, const at::Tensor& keys, double of_scores)
      : H(queries.size(1)), K(keys.size(1)), T(queries.size(2)), E(queries.size(3)), scale(of_scores) {}
};

// One key-value head of one document, and the query heads that share it. Its memory is kept for the next one.
//
// Rows: those of the query heads one after the other, each with the positions of a block. Keys and values are laid out
// anew block by block: as rows, which lie E apart, and as columns [E, keys of a block], which scores are made with.
template <class T>
class HeadOfDocument {
 public:
  HeadOfDocument(const BlockSparsePlan& plan, const Sizes& sizes, const Tensors<T>& tensors)
      : lists_(plan.lists), sizes_(sizes), tensors_(tensors), group_(sizes.H / sizes.K) {
    const size_t block = static_cast<size_t>(lists_.pattern().block), rows = block * static_cast<size_t>(group_);
    E_ = static_cast<size_t>(sizes.E);
    for (auto* each : {&queries_, &mixed_, &gradients_}) each->resize(rows * E_);
    for (auto* each : {&scores_, &score_gradients_}) each->resize(rows * block);
    for (auto* each : {&largest_, &sums_}) each->resize(rows);
    const size_t longest = static_cast<size_t>(plan.documents.front().tokens) * E_;
    key_columns_.resize(longest);
    if (tensors.mixed_gradient != nullptr) value_columns_.resize(longest);
  }

  void forward(const DocumentInBatch& document, int64_t kv_head) {
    begin(document, kv_head);
    lay_out_columns(keys_, key_columns_);
    for (int block = 0; block < n_blocks_; ++block) {
      const size_t n = tokens_of(block), rows = n * static_cast<size_t>(group_);
      gather(tensors_.queries, block, queries_.data());
      for (size_t i = 0; i < rows * E_; ++i) queries_[i] *= static_cast<T>(sizes_.scale);
      std::fill_n(mixed_.begin(), rows * E_, T{0});
      std::fill_n(sums_.begin(), rows, T{0});
      std::fill_n(largest_.begin(), rows, -std::numeric_limits<T>::infinity());
      for_each_visible(block, [&](int of_keys, size_t first_row, size_t n_rows) {
        const size_t n_keys = tokens_of(of_keys);
        T* mixed = &mixed_[first_row * E_];
        score(block, of_keys, first_row, n_rows);
        online_softmax(n_rows, n_keys, E_, scores_.data(), &largest_[first_row], &sums_[first_row], mixed);
        add_product(n_rows, E_, n_keys, {scores_.data(), n_keys, 1}, rows_of(values_, of_keys), E_, mixed);
      });
      for (size_t row = 0; row < rows; ++row) {
        log_sums_at(block, row, n) = largest_[row] + std::log(sums_[row]);
        for (size_t e = 0; e < E_; ++e) mixed_[row * E_ + e] /= sums_[row];
      }
      scatter(mixed_.data(), block, tensors_.mixed);
    }
  }

  void backward(const DocumentInBatch& document, int64_t kv_head) {
    begin(document, kv_head);
    lay_out_columns(keys_, key_columns_);
    lay_out_columns(values_, value_columns_);
    for (int block = 0; block < n_blocks_; ++block) {
      const size_t n = tokens_of(block), rows = n * static_cast<size_t>(group_);
      // The mean gradient of a row's weights, each by its weight, is the gradient of what they mixed, times that.
      gather(tensors_.mixed, block, mixed_.data());
      gather(tensors_.mixed_gradient, block, gradients_.data());
      for (size_t row = 0; row < rows; ++row) {
        largest_[row] = log_sums_at(block, row, n);
        sums_[row] = 0;
        for (size_t e = row * E_; e < (row + 1) * E_; ++e) sums_[row] += mixed_[e] * gradients_[e];
      }
      gather(tensors_.queries, block, queries_.data());
      for (size_t i = 0; i < rows * E_; ++i) queries_[i] *= static_cast<T>(sizes_.scale);
      std::vector<T>& query_gradient = mixed_;
      std::fill_n(query_gradient.begin(), rows * E_, T{0});
      for_each_visible(block, [&](int of_keys, size_t first_row, size_t n_rows) {
        const size_t n_keys = tokens_of(of_keys), first = first_row * E_;
        score(block, of_keys, first_row, n_rows);
        std::fill_n(score_gradients_.begin(), n_rows * n_keys, T{0});
        add_product(n_rows, n_keys, E_, {&gradients_[first], E_, 1}, columns_of(value_columns_, of_keys), n_keys,
                    score_gradients_.data());
        softmax_gradient(n_rows, n_keys, scores_.data(), score_gradients_.data(), &largest_[first_row],
                         &sums_[first_row]);
        add_product(n_keys, E_, n_rows, {scores_.data(), 1, n_keys}, &gradients_[first], E_,
                    rows_of(value_gradient_, of_keys));
        add_product(n_keys, E_, n_rows, {score_gradients_.data(), 1, n_keys}, &queries_[first], E_,
                    rows_of(key_gradient_, of_keys));
        add_product(n_rows, E_, n_keys, {score_gradients_.data(), n_keys, 1}, rows_of(keys_, of_keys), E_,
                    &query_gradient[first]);
      });
      for (size_t i = 0; i < rows * E_; ++i) query_gradient[i] *= static_cast<T>(sizes_.scale);
      scatter(query_gradient.data(), block, tensors_.query_gradient);
    }
  }

 private:
  void begin(const DocumentInBatch& document, int64_t kv_head) {
    document_ = document;
    kv_head_ = static_cast<int>(kv_head);
    n_blocks_ = static_cast<int>((document.tokens - 1) / lists_.pattern().block + 1);
    const int64_t of_head = ((document.row * sizes_.K + kv_head) * sizes_.T + document.first) * sizes_.E;
    keys_ = tensors_.keys + of_head;
    values_ = tensors_.values + of_head;
    if (tensors_.key_gradient == nullptr) return;
    key_gradient_ = tensors_.key_gradient + of_head;
    value_gradient_ = tensors_.value_gradient + of_head;
  }

  int64_t first_of(int block) const { return int64_t{block} * lists_.pattern().block; }
  size_t tokens_of(int block) const {
    return static_cast<size_t>(std::min<int64_t>(lists_.pattern().block, document_.tokens - first_of(block)));
  }
  template <class U>
  U* rows_of(U* of_document, int block) const {
    return of_document + first_of(block) * sizes_.E;
  }
  const T* columns_of(const std::vector<T>& columns, int block) const {
    return columns.data() + first_of(block) * sizes_.E;
  }

  void lay_out_columns(const T* rows, std::vector<T>& columns) const {
    for (int block = 0; block < n_blocks_; ++block) {
      const size_t n = tokens_of(block);
      const T* from = rows_of(rows, block);
      T* to = columns.data() + first_of(block) * sizes_.E;
      for (size_t e = 0; e < E_; ++e) {
        for (size_t i = 0; i < n; ++i) to[e * n + i] = from[i * E_ + e];
      }
    }
  }

  // Of the r-th query head: its place in [B, H, T].
  int64_t place(int block, int64_t r) const {
    return (document_.row * sizes_.H + kv_head_ * group_ + r) * sizes_.T + document_.first + first_of(block);
  }
  T& log_sums_at(int block, size_t row, size_t n) const {
    return tensors_.log_sums[place(block, static_cast<int64_t>(row / n)) + static_cast<int64_t>(row % n)];
  }
  void gather(const T* heads, int block, T* rows) const {
    const size_t n = tokens_of(block) * E_;
    for (int64_t r = 0; r < group_; ++r, rows += n) std::copy_n(heads + place(block, r) * sizes_.E, n, rows);
  }
  void scatter(const T* rows, int block, T* heads) const {
    const size_t n = tokens_of(block) * E_;
    for (int64_t r = 0; r < group_; ++r, rows += n) std::copy_n(rows, n, heads + place(block, r) * sizes_.E);
  }

  // body(block of keys, first row, number of rows) for all that queries of `block` see; heads that are neighbours and
  // see the same go together.
  template <class Body>
  void for_each_visible(int block, Body body) const {
    const size_t n = tokens_of(block);
    for (const auto& entry : lists_.far(kv_head_, block)) {
      for (uint64_t heads = entry.heads; heads != 0;) {
        const int first = std::countr_zero(heads), count = std::countr_one(heads >> first);
        body(entry.block, static_cast<size_t>(first) * n, static_cast<size_t>(count) * n);
        heads = first + count < spec::kMaxSparseGroup ? heads >> (first + count) << (first + count) : 0;
      }
    }
    for (int near = lists_.first_local(block); near <= block; ++near) body(near, 0, static_cast<size_t>(group_) * n);
  }

  // scores_: [n_rows, keys]; -inf behind a query.
  void score(int block, int of_keys, size_t first_row, size_t n_rows) {
    const size_t n_keys = tokens_of(of_keys);
    std::fill_n(scores_.begin(), n_rows * n_keys, T{0});
    add_product(n_rows, n_keys, E_, {&queries_[first_row * E_], E_, 1}, columns_of(key_columns_, of_keys), n_keys,
                scores_.data());
    if (of_keys != block) return;
    for (size_t row = 0; row < n_rows; ++row) {
      std::fill(&scores_[row * n_keys] + row % n_keys + 1, &scores_[row * n_keys] + n_keys,
                -std::numeric_limits<T>::infinity());
    }
  }

  const spec::BlockSparseLists& lists_;
  const Sizes sizes_;
  const Tensors<T> tensors_;
  const int64_t group_;
  size_t E_;

  DocumentInBatch document_;
  int kv_head_ = 0, n_blocks_ = 0;
  const T *keys_ = nullptr, *values_ = nullptr;
  T *key_gradient_ = nullptr, *value_gradient_ = nullptr;

  std::vector<T> key_columns_, value_columns_;  // [blocks, E, keys of a block]
  std::vector<T> queries_, mixed_, gradients_;  // [rows, E]
  std::vector<T> scores_, score_gradients_;     // [rows, keys of a block]
  std::vector<T> largest_, sums_;               // [rows]; backwards: log-sum-exp, mean gradient
};

// Every key-value head of every document, by whichever thread is free.
template <class T>
void for_each_head(const BlockSparsePlan& plan, const Sizes& sizes, const Tensors<T>& tensors,
                   void (HeadOfDocument<T>::*body)(const DocumentInBatch&, int64_t)) {
  const auto n_heads = static_cast<int64_t>(plan.documents.size()) * sizes.K;
  std::atomic<int64_t> next = 0;
  const int64_t workers = std::min<int64_t>(at::get_num_threads(), n_heads);
  // All memory is taken here, before the threads begin.
  std::vector<HeadOfDocument<T>> of_threads;
  of_threads.reserve(static_cast<size_t>(workers));
  for (int64_t i = 0; i < workers; ++i) of_threads.emplace_back(plan, sizes, tensors);
  for_parts(workers, [&](int64_t worker, int64_t) {
    HeadOfDocument<T>& head = of_threads[static_cast<size_t>(worker)];
    for (int64_t i = next++; i < n_heads; i = next++) {
      (head.*body)(plan.documents[static_cast<size_t>(i / sizes.K)], i % sizes.K);
    }
  });
}

template <class T>
Tensors<T> inputs_of(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                     const at::Tensor& mixed, const at::Tensor& log_sums) {
  return {.queries = queries.const_data_ptr<T>(),
          .keys = keys.const_data_ptr<T>(),
          .values = values.const_data_ptr<T>(),
          .mixed = mixed.data_ptr<T>(),
          .log_sums = log_sums.data_ptr<T>(),
          .mixed_gradient = nullptr,
          .query_gradient = nullptr,
          .key_gradient = nullptr,
          .value_gradient = nullptr};
}

at::Tensor in_computed_type(const at::Tensor& x) {
  return x.to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).contiguous();
}

// The graph keeps it as long as itself.
struct KeptPlan : torch::CustomClassHolder {
  explicit KeptPlan(PlanPointer kept) : plan(std::move(kept)) {}
  PlanPointer plan;
};
constexpr const char* kPlan = "plan";
constexpr const char* kScale = "scale";

// The output, in the type that it was computed in, and each row's log-sum-exp.
std::pair<at::Tensor, at::Tensor> on_processor(const at::Tensor& queries, const at::Tensor& keys,
                                               const at::Tensor& values, const BlockSparsePlan& plan, double scale) {
  const at::Tensor q = in_computed_type(queries), k = in_computed_type(keys), v = in_computed_type(values);
  at::Tensor mixed = at::zeros_like(q), log_sums = at::empty({q.size(0), q.size(1), q.size(2)}, q.options());
  const Sizes sizes(q, k, scale);
  const auto compute = [&]<class T>(T) {
    for_each_head<T>(plan, sizes, inputs_of<T>(q, k, v, mixed, log_sums), &HeadOfDocument<T>::forward);
  };
  q.scalar_type() == at::kDouble ? compute(double{}) : compute(float{});
  return {std::move(mixed), std::move(log_sums)};
}

// Of queries, keys, values.
std::array<at::Tensor, 3> gradients_on_processor(const at::Tensor& queries, const at::Tensor& keys,
                                                 const at::Tensor& values, const at::Tensor& mixed,
                                                 const at::Tensor& log_sums, const at::Tensor& gradient,
                                                 const BlockSparsePlan& plan, double scale) {
  const at::Tensor q = in_computed_type(queries), k = in_computed_type(keys), v = in_computed_type(values);
  const at::Tensor of_mixed = in_computed_type(gradient);
  at::Tensor dq = at::zeros_like(q), dk = at::zeros_like(k), dv = at::zeros_like(v);
  const Sizes sizes(q, k, scale);
  const auto compute = [&]<class T>(T) {
    auto tensors = inputs_of<T>(q, k, v, mixed, log_sums);
    tensors.mixed_gradient = of_mixed.const_data_ptr<T>();
    tensors.query_gradient = dq.data_ptr<T>();
    tensors.key_gradient = dk.data_ptr<T>();
    tensors.value_gradient = dv.data_ptr<T>();
    for_each_head<T>(plan, sizes, tensors, &HeadOfDocument<T>::backward);
  };
  q.scalar_type() == at::kDouble ? compute(double{}) : compute(float{});
  const auto type = queries.scalar_type();
  return {dq.to(type), dk.to(type), dv.to(type)};
}

class BlockSparseFunction : public torch::autograd::Function<BlockSparseFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& queries, const at::Tensor& keys,
                            const at::Tensor& values, const PlanPointer& plan, double scale) {
    const auto compute = queries.is_cuda() ? device_block_sparse : on_processor;
    const auto [mixed, log_sums] = compute(queries, keys, values, *plan, scale);
    context->save_for_backward({queries, keys, values, mixed, log_sums});
    context->saved_data[kPlan] = c10::IValue::make_capsule(c10::make_intrusive<KeptPlan>(plan));
    context->saved_data[kScale] = scale;
    return mixed.to(queries.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "block-sparse attention has no second derivatives: call backward without create_graph");
    const variable_list saved = context->get_saved_variables();
    const auto kept = c10::static_intrusive_pointer_cast<KeptPlan>(context->saved_data[kPlan].toCapsule());
    const auto compute = saved[0].is_cuda() ? device_block_sparse_gradients : gradients_on_processor;
    const auto [dq, dk, dv] = compute(saved[0], saved[1], saved[2], saved[3], saved[4], gradients[0], *kept->plan,
                                      context->saved_data[kScale].toDouble());
    return {dq, dk, dv, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

PlanPointer block_sparse_plan(const spec::BlockSparse& pattern, int n_heads, int n_kv_heads, const Batch& batch) {
  std::vector<DocumentInBatch> found = documents_in(batch);
  std::erase_if(found, [](const DocumentInBatch& document) { return document.number < 0; });
  PHIAL_CHECK(!found.empty());
  std::ranges::stable_sort(found, std::ranges::greater{}, &DocumentInBatch::tokens);
  spec::BlockSparseLists lists(pattern, n_heads, n_kv_heads, found.front().tokens);
  return std::make_shared<BlockSparsePlan>(std::move(lists), std::move(found));
}

at::Tensor block_sparse_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                  const PlanPointer& plan, double scale) {
  return BlockSparseFunction::apply(queries, keys, values, plan, scale);
}

}  // namespace phial::train

#include "phial/train/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <type_traits>

#include "phial/kernels/kernels.h"
#include "phial/train/batch.h"
#include "phial/train/narrow.h"
#include "phial/train/row_loops.h"

namespace phial::train {
namespace {

constexpr int64_t kChunkLogits = int64_t{4} << 20;

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kColumns = 4096;  // of a row whose exponentials are added up in f32; their sums are in double

// A row of logits, and what its exponentials are taken of.
struct LogitRow {
  float largest = 0;
  double sum = 0;  // of exp(logit - largest)
  double log_sum() const { return largest + std::log(sum); }
};

// Logits become their exponentials, less the largest. NaN stays.
LogitRow take_exponentials(float* logits, int64_t n) {
  LogitRow row = {.largest = -std::numeric_limits<float>::infinity()};
  for (int64_t i = 0; i < n; ++i) row.largest = logits[i] > row.largest ? logits[i] : row.largest;
  for (int64_t first = 0; first < n; first += kColumns) {
    float largest = row.largest, sum = 0;
    const auto columns = static_cast<size_t>(std::min(kColumns, n - first));
    kernels::active().online_softmax({1, columns, 0, logits + first, &largest, &sum, nullptr});
    row.sum += sum;
  }
  return row;
}

// The matrices of a call as they are multiplied, and how many rows at a time.
struct Product {
  Product(const at::Tensor& hidden, const at::Tensor& head, const CrossEntropyOptions& options)
      : rows(hidden.to(options.compute).contiguous()),
        matrix(head.to(options.compute)),
        masked(options.masked_ids),
        divisor(options.logit_divisor) {
    const int64_t fitting = std::max<int64_t>(1, kChunkLogits / matrix.size(0));
    step = options.chunk_rows > 0 ? options.chunk_rows : fitting;
  }

  // body(first, end, logits of these rows before division, in the type of the products; they may be changed)
  template <typename Body>
  void for_each_chunk(const Body& body) const {
    at::Tensor all = at::empty({std::min(step, rows.size(0)), matrix.size(0)}, matrix.options());
    for (int64_t first = 0; first < rows.size(0); first += step) {
      const int64_t end = std::min(rows.size(0), first + step);
      at::Tensor logits = all.slice(0, 0, end - first);
      at::mm_out(logits, rows.slice(0, first, end), matrix.t());
      body(first, end, logits);
    }
  }

  // A row of logits as they count, in `space`, or in their own place if they are floats.
  template <class T>
  float* counting(T* row, float* space) const {
    const int64_t n = matrix.size(0);
    float* logits = space;
    if constexpr (std::is_same_v<T, float>) {
      logits = row;
    } else {
      as_floats(row, n, space);
    }
    const auto inverse = static_cast<float>(1 / divisor);
    if (divisor != 1) {
      for (int64_t i = 0; i < n; ++i) logits[i] *= inverse;
    }
    for (const int64_t id : masked) logits[id] = -std::numeric_limits<float>::infinity();
    return logits;
  }

  // body(row, that row of `logits` as it counts, where it stands) for all rows, several at a time.
  template <class Body>
  void for_each_row(const at::Tensor& logits, const Body& body) const {
    const int64_t n = matrix.size(0);
    with_type(logits, [&]<class T>(T) {
      T* const first_row = logits.data_ptr<T>();
      for_parts(logits.size(0), [&](int64_t first, int64_t end) {
        std::vector<float> space(std::is_same_v<T, float> ? 0 : static_cast<size_t>(n));
        for (int64_t r = first; r < end; ++r) body(r, counting(first_row + r * n, space.data()), first_row + r * n);
      });
    });
  }

  at::Tensor rows, matrix;
  std::span<const int64_t> masked;
  double divisor = 1;
  int64_t step = 0;
};

at::Tensor rows_that_count(const at::Tensor& targets) { return targets.ne(kIgnored).nonzero().squeeze(1); }

struct Sums {
  at::Tensor nll, z;
  at::Tensor hidden_gradient, head_gradient;  // undefined where nobody asks
};

class CrossEntropyFunction : public torch::autograd::Function<CrossEntropyFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& head,
                               const at::Tensor& targets, const CrossEntropyOptions& options) {
    const Product product(hidden, head, options);
    const int64_t n = product.matrix.size(0), n_rows = hidden.size(0);
    const at::Tensor nlls = at::zeros({n_rows}, hidden.options().dtype(at::kDouble)), zs = at::zeros_like(nlls);
    const at::Tensor weights = options.weights.defined() ? options.weights.to(at::kFloat).contiguous() : at::Tensor();
    const float* const weight_of = weights.defined() ? weights.const_data_ptr<float>() : nullptr;
    const at::Tensor chosen = targets.contiguous();
    const int64_t* const target_of = chosen.const_data_ptr<int64_t>();
    double *const nll_of = nlls.data_ptr<double>(), *const z_of = zs.data_ptr<double>();
    Sums sums = {.nll = {},
                 .z = {},
                 .hidden_gradient = at::empty_like(hidden, at::MemoryFormat::Contiguous),
                 .head_gradient = head.requires_grad() ? at::zeros_like(head) : at::Tensor()};
    product.for_each_chunk([&](int64_t first, int64_t end, const at::Tensor& logits) {
      product.for_each_row(logits, [&](int64_t r, float* row, auto* gradient) {
        const int64_t target = target_of[first + r];
        TORCH_CHECK(target >= 0 && target < n, "a target is no token of the vocabulary");
        const double logit = row[target], weight = weight_of == nullptr ? 1 : weight_of[first + r];
        const LogitRow found = take_exponentials(row, n);
        const double log_sum = found.log_sum();
        nll_of[first + r] = weight * (log_sum - logit);
        z_of[first + r] = weight * options.z_loss * log_sum * log_sum;
        // d objective / d logits = weight (p (1 + 2 z log_sum) - onehot).
        const double scale = weight / options.logit_divisor;
        const auto factor = static_cast<float>(scale * (1 + 2 * options.z_loss * log_sum) / found.sum);
        const float of_target = row[target] * factor - static_cast<float>(scale);
        for (int64_t i = 0; i < n; ++i) narrow(row[i] * factor, gradient[i]);
        narrow(of_target, gradient[target]);
      });
      at::Tensor of_hidden = sums.hidden_gradient.slice(0, first, end);
      if (options.compute == at::kFloat) {
        at::mm_out(of_hidden, logits, product.matrix);
        if (sums.head_gradient.defined()) sums.head_gradient.addmm_(logits.t(), product.rows.slice(0, first, end));
      } else {
        of_hidden.copy_(at::mm(logits, product.matrix));
        if (sums.head_gradient.defined()) {
          sums.head_gradient += at::mm(logits.t(), product.rows.slice(0, first, end));
        }
      }
    });
    sums.nll = nlls.sum();
    sums.z = zs.sum();
    context->save_for_backward({sums.hidden_gradient, sums.head_gradient});
    context->mark_non_differentiable({sums.nll, sums.z});
    return {(sums.nll + sums.z).to(at::kFloat), sums.nll, sums.z};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor of_head = saved[1].defined() ? saved[1] * gradients[0] : at::Tensor();
    return {saved[0] * gradients[0], of_head, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

CrossEntropy cross_entropy(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                           const CrossEntropyOptions& options) {
  const at::Tensor counting = rows_that_count(targets);
  CrossEntropyOptions of_counting = options;
  if (options.weights.defined()) of_counting.weights = options.weights.index_select(0, counting);
  const variable_list sums = CrossEntropyFunction::apply(hidden.index_select(0, counting), head,
                                                         targets.index_select(0, counting), of_counting);
  return {sums[0], sums[1], sums[2]};
}

at::Tensor target_log_probabilities(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                                    const CrossEntropyOptions& options) {
  const at::NoGradGuard no_grad;
  const at::Tensor counting = rows_that_count(targets);
  const at::Tensor chosen = targets.index_select(0, counting);
  at::Tensor found = at::empty({counting.size(0)}, hidden.options().dtype(at::kFloat));
  const int64_t* const target_of = chosen.const_data_ptr<int64_t>();
  float* const found_of = found.data_ptr<float>();
  const Product product(hidden.index_select(0, counting), head, options);
  product.for_each_chunk([&](int64_t first, int64_t, const at::Tensor& logits) {
    product.for_each_row(logits, [&](int64_t r, float* row, auto*) {
      const int64_t target = target_of[first + r];
      TORCH_CHECK(target >= 0 && target < product.matrix.size(0), "a target is no token of the vocabulary");
      const double logit = row[target];
      found_of[first + r] = static_cast<float>(logit - take_exponentials(row, product.matrix.size(0)).log_sum());
    });
  });
  return at::zeros({hidden.size(0)}, found.options()).index_copy(0, counting, found);
}

}  // namespace phial::train

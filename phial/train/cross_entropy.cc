#include "phial/train/cross_entropy.h"

#include <algorithm>

#include "phial/train/batch.h"

namespace phial::train {
namespace {

constexpr int64_t kChunkLogits = int64_t{4} << 20;

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The matrices of a call as they are multiplied, and how many rows at a time.
struct Product {
  Product(const at::Tensor& hidden, const at::Tensor& head, const CrossEntropyOptions& options)
      : rows(hidden.to(options.compute)), matrix(head.to(options.compute)), divisor(options.logit_divisor) {
    const int64_t fitting = std::max<int64_t>(1, kChunkLogits / matrix.size(0));
    step = options.chunk_rows > 0 ? options.chunk_rows : fitting;
    if (!options.masked_ids.empty()) {
      masked = at::tensor(options.masked_ids, at::TensorOptions().dtype(at::kLong).device(head.device()));
    }
  }

  // body(first, end, logits of these rows in f32)
  template <typename Body>
  void for_each_chunk(const Body& body) const {
    for (int64_t first = 0; first < rows.size(0); first += step) {
      const int64_t end = std::min(rows.size(0), first + step);
      at::Tensor logits = at::mm(rows.slice(0, first, end), matrix.t()).to(at::kFloat).div_(divisor);
      if (masked.defined()) logits.index_fill_(1, masked, -std::numeric_limits<float>::infinity());
      body(first, end, logits);
    }
  }

  at::Tensor rows, matrix, masked;
  double divisor = 1;
  int64_t step = 0;
};

at::Tensor rows_that_count(const at::Tensor& targets) { return targets.ne(kIgnored).nonzero().squeeze(1); }

// targets: [N, 1]
at::Tensor log_probabilities(const at::Tensor& logits, const at::Tensor& log_sum, const at::Tensor& targets) {
  return logits.gather(1, targets).squeeze(1) - log_sum;
}

struct Sums {
  at::Tensor nll, z;
  at::Tensor hidden_gradient, head_gradient;  // undefined where nobody asks
};

class CrossEntropyFunction : public torch::autograd::Function<CrossEntropyFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& head,
                               const at::Tensor& targets, const CrossEntropyOptions& options) {
    const Product product(hidden, head, options);
    const auto wide = hidden.options().dtype(at::kDouble);
    Sums sums = {.nll = at::zeros({}, wide),
                 .z = at::zeros({}, wide),
                 .hidden_gradient = at::empty_like(hidden),
                 .head_gradient = head.requires_grad() ? at::zeros_like(head) : at::Tensor()};
    product.for_each_chunk([&](int64_t first, int64_t end, at::Tensor& logits) {
      const at::Tensor chosen = targets.slice(0, first, end).unsqueeze(1);
      const at::Tensor log_sum = logits.logsumexp(1);
      at::Tensor nll = -log_probabilities(logits, log_sum, chosen), z = log_sum.square() * options.z_loss;
      at::Tensor scale = at::full_like(log_sum, 1 / options.logit_divisor);
      if (options.weights.defined()) {
        const at::Tensor weights = options.weights.slice(0, first, end);
        for (at::Tensor* each : {&nll, &z, &scale}) each->mul_(weights);
      }
      sums.nll += nll.sum(at::kDouble);
      sums.z += z.sum(at::kDouble);

      // d objective / d logits = weight (p (1 + 2 z log_sum) - onehot).
      at::Tensor gradient = logits.sub_(log_sum.unsqueeze(1)).exp_();
      if (options.z_loss != 0) gradient.mul_((log_sum * (2 * options.z_loss) + 1).unsqueeze(1));
      gradient.scatter_add_(1, chosen, at::full_like(chosen, -1, gradient.options()));
      gradient.mul_(scale.unsqueeze(1));
      const at::Tensor compact = gradient.to(options.compute);
      sums.hidden_gradient.slice(0, first, end).copy_(at::mm(compact, product.matrix));
      if (sums.head_gradient.defined()) {
        sums.head_gradient += at::mm(compact.t(), product.rows.slice(0, first, end));
      }
    });
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
  const at::Tensor chosen = targets.index_select(0, counting).unsqueeze(1);
  at::Tensor found = at::empty({counting.size(0)}, hidden.options().dtype(at::kFloat));
  Product(hidden.index_select(0, counting), head, options)
      .for_each_chunk([&](int64_t first, int64_t end, const at::Tensor& logits) {
        found.slice(0, first, end).copy_(log_probabilities(logits, logits.logsumexp(1), chosen.slice(0, first, end)));
      });
  return at::zeros({hidden.size(0)}, found.options()).index_copy(0, counting, found);
}

}  // namespace phial::train

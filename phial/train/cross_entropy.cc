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

struct TargetsOfChunk {
  explicit TargetsOfChunk(const at::Tensor& targets)
      : counts(targets.ne(kIgnored)), chosen(targets.clamp_min(0).unsqueeze(1)) {}
  at::Tensor counts, chosen;
};

at::Tensor log_probabilities(const at::Tensor& logits, const at::Tensor& log_sum, const TargetsOfChunk& targets) {
  return logits.gather(1, targets.chosen).squeeze(1) - log_sum;
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
      const TargetsOfChunk chunk(targets.slice(0, first, end));
      at::Tensor weights = chunk.counts.to(at::kFloat);
      if (options.weights.defined()) weights = weights * options.weights.slice(0, first, end);
      const at::Tensor log_sum = logits.logsumexp(1);
      sums.nll -= (log_probabilities(logits, log_sum, chunk) * weights).sum(at::kDouble);
      if (options.z_loss != 0) sums.z += (log_sum.square() * weights).sum(at::kDouble) * options.z_loss;

      // d objective / d logits = weight (p (1 + 2 z log_sum) - onehot).
      at::Tensor gradient = logits.sub_(log_sum.unsqueeze(1)).exp_();
      if (options.z_loss != 0) gradient.mul_((log_sum * (2 * options.z_loss) + 1).unsqueeze(1));
      gradient.scatter_add_(1, chunk.chosen, at::full_like(chunk.chosen, -1, gradient.options()));
      gradient.mul_((weights / options.logit_divisor).unsqueeze(1));
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
  const variable_list sums = CrossEntropyFunction::apply(hidden, head, targets, options);
  return {sums[0], sums[1], sums[2]};
}

at::Tensor target_log_probabilities(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                                    const CrossEntropyOptions& options) {
  const at::NoGradGuard no_grad;
  at::Tensor all = at::empty({hidden.size(0)}, hidden.options().dtype(at::kFloat));
  Product(hidden, head, options).for_each_chunk([&](int64_t first, int64_t end, const at::Tensor& logits) {
    const TargetsOfChunk chunk(targets.slice(0, first, end));
    // A target that is masked has no probability; one that does not count has 0, not NaN.
    all.slice(0, first, end)
        .copy_(at::where(chunk.counts, log_probabilities(logits, logits.logsumexp(1), chunk),
                         at::zeros({}, all.options())));
  });
  return all;
}

}  // namespace phial::train

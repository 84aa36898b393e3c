#include "phial/train/cross_entropy.h"

#include <algorithm>

#include "phial/train/batch.h"

namespace phial::train {
namespace {

constexpr int64_t kChunkLogits = int64_t{4} << 20;

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// One chunk of rows: its logits, and from them its share of the sums and of the gradients.
struct Sums {
  at::Tensor nll, z;
  at::Tensor hidden_gradient, head_gradient;
};

void add_chunk(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
               const CrossEntropyOptions& options, const at::Tensor& masked, const at::Tensor& into_hidden,
               Sums& sums) {
  at::Tensor logits = at::mm(hidden, head.t()).to(at::kFloat).div_(options.logit_divisor);
  if (masked.defined()) logits.index_fill_(1, masked, -std::numeric_limits<float>::infinity());
  const at::Tensor counts = targets.ne(kIgnored);
  const at::Tensor chosen = targets.clamp_min(0).unsqueeze(1);
  const at::Tensor log_sum = logits.logsumexp(1);
  const at::Tensor weights = counts.to(at::kFloat);
  sums.nll += ((log_sum - logits.gather(1, chosen).squeeze(1)) * weights).sum(at::kDouble);
  if (options.z_loss != 0) sums.z += (log_sum.square() * weights).sum(at::kDouble) * options.z_loss;

  // d objective / d logits = p (1 + 2 z log_sum) - onehot.
  at::Tensor gradient = logits.sub_(log_sum.unsqueeze(1)).exp_();
  if (options.z_loss != 0) gradient.mul_((log_sum * (2 * options.z_loss) + 1).unsqueeze(1));
  gradient.scatter_add_(1, chosen, at::full_like(chosen, -1, gradient.options()));
  gradient.mul_((weights / options.logit_divisor).unsqueeze(1));
  const at::Tensor compact = gradient.to(options.compute);
  into_hidden.copy_(at::mm(compact, head));
  sums.head_gradient += at::mm(compact.t(), hidden);
}

class CrossEntropyFunction : public torch::autograd::Function<CrossEntropyFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& head,
                               const at::Tensor& targets, const CrossEntropyOptions& options) {
    const at::Tensor rows = hidden.to(options.compute), matrix = head.to(options.compute);
    const int64_t n = rows.size(0);
    const int64_t fitting = std::max<int64_t>(1, kChunkLogits / matrix.size(0));
    const int64_t step = options.chunk_rows > 0 ? options.chunk_rows : fitting;
    at::Tensor masked;
    if (!options.masked_ids.empty()) masked = at::tensor(options.masked_ids, targets.options());

    const auto wide = hidden.options().dtype(at::kDouble);
    Sums sums = {.nll = at::zeros({}, wide),
                 .z = at::zeros({}, wide),
                 .hidden_gradient = at::empty_like(hidden),
                 .head_gradient = at::zeros_like(head)};
    for (int64_t first = 0; first < n; first += step) {
      const int64_t end = std::min(n, first + step);
      add_chunk(rows.slice(0, first, end), matrix, targets.slice(0, first, end), options, masked,
                sums.hidden_gradient.slice(0, first, end), sums);
    }
    context->save_for_backward({sums.hidden_gradient, sums.head_gradient});
    context->mark_non_differentiable({sums.nll, sums.z});
    return {(sums.nll + sums.z).to(at::kFloat), sums.nll, sums.z};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    return {saved[0] * gradients[0], saved[1] * gradients[0], at::Tensor(), at::Tensor()};
  }
};

}  // namespace

CrossEntropy cross_entropy(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                           const CrossEntropyOptions& options) {
  const variable_list sums = CrossEntropyFunction::apply(hidden, head, targets, options);
  return {sums[0], sums[1], sums[2]};
}

}  // namespace phial::train

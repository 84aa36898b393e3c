#include "phial/train/cross_entropy.h"

#include <algorithm>
#include <span>

#include "phial/train/batch.h"
#include "phial/train/device.h"
#include "phial/train/logit_rows.h"

namespace phial::train {
namespace {

// In memory together: 16 MB in f32, so that a CPU's caches keep a part; and on a device, which fills its units with
// more, half a GB.
constexpr int64_t kChunkLogits = int64_t{4} << 20, kChunkLogitsOfDevice = int64_t{128} << 20;
constexpr int64_t kTileRows = 128;  // of a device's products

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The rows that count, their targets, and the matrices of a call as they are multiplied; how many rows at a time.
struct Product {
  // `chosen`: on the CPU.
  Product(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& chosen,
          const CrossEntropyOptions& options)
      : rows(hidden.to(options.compute).contiguous()),
        matrix(head.to(options.compute)),
        targets(moved(chosen.contiguous(), hidden.device())),
        masked(options.masked_ids),
        divisor(options.logit_divisor) {
    const int64_t n = matrix.size(0);
    TORCH_CHECK(chosen.numel() == 0 || (chosen.min().item<int64_t>() >= 0 && chosen.max().item<int64_t>() < n),
                "a target is no token of the vocabulary");
    step = std::max<int64_t>(1, (rows.is_cpu() ? kChunkLogits : kChunkLogitsOfDevice) / n);
    if (!rows.is_cpu() && step > kTileRows) step -= step % kTileRows;
    if (options.chunk_rows > 0) step = options.chunk_rows;
  }

  // body(first, end, the logits of these rows)
  template <typename Body>
  void for_each_chunk(const Body& body) const {
    at::Tensor all = at::empty({std::min(step, rows.size(0)), matrix.size(0)}, matrix.options());
    for (int64_t first = 0; first < rows.size(0); first += step) {
      const int64_t end = std::min(rows.size(0), first + step);
      at::Tensor logits = all.slice(0, 0, end - first);
      at::mm_out(logits, rows.slice(0, first, end), matrix.t());
      body(first, end, LogitRows{logits, targets.slice(0, first, end), divisor, masked});
    }
  }

  at::Tensor rows, matrix, targets;
  std::span<const int64_t> masked;
  double divisor = 1;
  int64_t step = 0;
};

// Rows of the targets that count, on the CPU. Where all do, as in most of pretraining, nothing is gathered.
class CountingRows {
 public:
  explicit CountingRows(const at::Tensor& targets)
      : n_(targets.numel()), places_(targets.ne(kIgnored).nonzero().squeeze(1)) {}

  bool are_all() const { return places_.numel() == n_; }
  at::Tensor of(const at::Tensor& rows) const {
    return are_all() ? rows : rows.index_select(0, moved(places_, rows.device()));
  }
  // [counting] -> [all], 0 elsewhere; on the CPU.
  at::Tensor spread(const at::Tensor& found) const {
    if (are_all()) return found.cpu();
    return at::zeros({n_}, at::kFloat).index_copy(0, places_, found.cpu());
  }

 private:
  int64_t n_;
  at::Tensor places_;
};

struct Sums {
  at::Tensor nll, z;
  at::Tensor hidden_gradient, head_gradient;  // undefined where nobody asks
};

class CrossEntropyFunction : public torch::autograd::Function<CrossEntropyFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& head,
                               const at::Tensor& targets, const CrossEntropyOptions& options) {
    const Product product(hidden, head, targets, options);
    const at::Tensor nlls = at::zeros({hidden.size(0)}, hidden.options().dtype(at::kDouble)), zs = at::zeros_like(nlls);
    const at::Tensor weights =
        options.weights.defined() ? moved(options.weights.to(at::kFloat).contiguous(), hidden.device()) : at::Tensor();
    Sums sums = {.nll = {},
                 .z = {},
                 .hidden_gradient = at::empty_like(hidden, at::MemoryFormat::Contiguous),
                 .head_gradient = head.requires_grad() ? at::zeros_like(head) : at::Tensor()};
    product.for_each_chunk([&](int64_t first, int64_t end, const LogitRows& rows) {
      take_gradients(rows, {.weights = weights.defined() ? weights.slice(0, first, end) : weights,
                            .z_loss = options.z_loss,
                            .nll = nlls.slice(0, first, end),
                            .z = zs.slice(0, first, end)});
      const at::Tensor& logits = rows.logits;
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
  const CountingRows counting(targets);
  CrossEntropyOptions of_counting = options;
  if (options.weights.defined()) of_counting.weights = counting.of(options.weights);
  const variable_list sums = CrossEntropyFunction::apply(counting.of(hidden), head, counting.of(targets), of_counting);
  return {sums[0], sums[1], sums[2]};
}

at::Tensor target_log_probabilities(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                                    const CrossEntropyOptions& options) {
  const at::NoGradGuard no_grad;
  const CountingRows counting(targets);
  const at::Tensor rows = counting.of(hidden);
  const at::Tensor found = at::empty({rows.size(0)}, rows.options().dtype(at::kFloat));
  Product(rows, head, counting.of(targets), options)
      .for_each_chunk([&](int64_t first, int64_t end, const LogitRows& logits) {
        found.slice(0, first, end).copy_(log_probabilities(logits));
      });
  return counting.spread(found);
}

}  // namespace phial::train

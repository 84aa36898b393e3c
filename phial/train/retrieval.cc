#include "phial/train/retrieval.h"

#include <ATen/Functions.h>

namespace phial::train {

bool answers_rightly(const Network& network, const RetrievalPrompt& prompt) {
  const at::NoGradGuard no_grad;
  const auto n = static_cast<int64_t>(prompt.ids.size()), answer = static_cast<int64_t>(prompt.answer);
  const at::Tensor ids = at::tensor(at::ArrayRef<int32_t>(prompt.ids)).to(at::kLong).unsqueeze(0);
  const at::Tensor row = ids.slice(1, 0, n - 1);  // nothing follows the last token
  const Batch batch = {
      .ids = row,
      .targets = at::full_like(row, kIgnored),
      .positions = at::arange(n - 1, at::kLong).unsqueeze(0),
      .documents = at::zeros_like(row),
      .one_document_a_row = true,
      .table = choose_rope_table(network.spec(), spec::RopePolicy::kDynamic, static_cast<int>(n - 1)),
  };
  const at::ScalarType compute = network.output_options().compute;
  const at::Tensor rows = network.hidden(batch).slice(1, answer - 1);
  const at::Tensor likeliest = at::linear(rows.to(compute), network.head().to(compute)).argmax(2).cpu();
  return at::equal(likeliest, ids.slice(1, answer));
}

Error stopped_measuring() {
  return {Code::kCancelled, "stopped while it is measured", "the same command measures it again"};
}

Result<std::vector<std::vector<double>>> measure_retrieval(const RetrievalAnswers& answers,
                                                           const RetrievalPrompts& prompts, RetrievalTask task,
                                                           const RetrievalGrid& grid, const std::stop_token& stop,
                                                           const std::function<void()>& told) {
  std::vector<std::vector<double>> shares;
  for (const int64_t length : grid.lengths) {
    std::vector<double>& row = shares.emplace_back();
    for (const double depth : grid.depths) {
      int64_t right = 0, asked = 0;
      for (int64_t i = 0; i < grid.samples; ++i) {
        if (stop.stop_requested()) return stopped_measuring();
        const auto prompt = prompts.prompt(task, length, depth, static_cast<uint64_t>(i));
        if (prompt) {
          ++asked;
          right += answers(*prompt) ? 1 : 0;
        }
        told();
      }
      row.push_back(asked == 0 ? -1 : static_cast<double>(right) / static_cast<double>(asked));
    }
  }
  return shares;
}

}  // namespace phial::train

#include "phial/train/context_meter.h"

#include <algorithm>

namespace phial::train {
namespace {

constexpr double kMostRows = 1e15;       // so that they are counted without overflow
constexpr uint64_t kMostDocuments = 64;  // that needles are hidden in

// The row's longest document, without special tokens.
std::vector<tokenizer::TokenId> longest_document(const Batch& row, const tokenizer::Tokenizer& tokenizer) {
  const int64_t last = row.positions.argmax().item<int64_t>(), n = row.positions.flatten()[last].item<int64_t>() + 1;
  const at::Tensor ids = row.ids.flatten().slice(0, last + 1 - n, last + 1).contiguous();
  std::vector<tokenizer::TokenId> document;
  for (const int64_t id : std::span(ids.data_ptr<int64_t>(), static_cast<size_t>(n))) {
    const bool is_special = std::ranges::any_of(tokenizer.special_tokens(), [&](const auto& s) { return s.id == id; });
    if (!is_special) document.push_back(static_cast<tokenizer::TokenId>(id));
  }
  return document;
}

}  // namespace

TokenStageOptions options_of_length(int64_t tokens, int64_t longest, const ExtendConfig& config) {
  const auto of_length = [&](int64_t rows) {
    const double all = static_cast<double>(rows) * static_cast<double>(longest);
    return static_cast<int64_t>(std::min(all / static_cast<double>(tokens), kMostRows));
  };
  return {.rows = of_length(config.rows), .held_out_rows = of_length(config.held_out_rows)};
}

Result<ContextMeter> ContextMeter::open(const ExtendConfig& config, const StartModel& model,
                                        std::vector<Loader> held_out) {
  ContextMeter meter;
  for (const Loader& loader : held_out) meter.grid_.lengths.push_back(loader.sequence_tokens());
  for (int64_t i = 0; i < config.depths; ++i) {
    meter.grid_.depths.push_back(static_cast<double>(i) / static_cast<double>(config.depths - 1));
  }
  if (model.tokenizer && config.samples > 0) {
    meter.grid_.samples = config.samples;
    meter.tokenizer_ = model.tokenizer;
    std::vector<std::vector<tokenizer::TokenId>> documents;
    for (uint64_t i = 0; i < std::min(held_out.back().rows(), kMostDocuments); ++i) {
      PHIAL_TRY(const Batch row, held_out.back().batch(i, 1));
      if (auto document = longest_document(row, *model.tokenizer); !document.empty()) {
        documents.push_back(std::move(document));
      }
    }
    meter.prompts_.emplace(*model.tokenizer, std::move(documents), static_cast<int>(config.digits),
                           static_cast<uint64_t>(config.seed));
  }
  for (Loader& loader : held_out) {
    const TokenStageOptions options = options_of_length(loader.sequence_tokens(), meter.grid_.lengths.back(), config);
    meter.of_lengths_.emplace_back(nullptr, std::make_unique<Loader>(std::move(loader)), options);
  }
  return meter;
}

Result<MeasuredContext> ContextMeter::measure(const Network& network, const std::string& name, const RunHooks& hooks) {
  MeasuredContext measured = {.name = name};
  ProcessGroup alone;
  int64_t done = 0;
  for (TokenStage& stage : of_lengths_) {
    PHIAL_TRY(const Metrics loss, stage.evaluate(network, hooks.stop, alone));
    if (loss.empty()) return stopped_measuring();
    measured.losses.push_back(loss.front().second);
    hooks.prepares("measuring loss " + name, ++done, std::ssize(of_lengths_));
  }
  if (!prompts_) return measured;
  const auto prompts =
      static_cast<int64_t>(kRetrievalTasks.size() * grid_.lengths.size() * grid_.depths.size()) * grid_.samples;
  const auto answers = [&](const RetrievalPrompt& prompt) { return answers_rightly(network, prompt); };
  done = 0;
  for (const RetrievalTask task : {RetrievalTask::kPasskey, RetrievalTask::kNeedle}) {
    PHIAL_TRY(measured.retrieval[static_cast<size_t>(task)],
              measure_retrieval(answers, *prompts_, task, grid_, hooks.stop,
                                [&] { hooks.prepares("measuring retrieval " + name, ++done, prompts); }));
  }
  return measured;
}

}  // namespace phial::train

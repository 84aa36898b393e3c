// What a network makes of held-out rows of several lengths, and what it finds in prompts as long:
// train/extension_report.
//
// Prompts are those of train/retrieval_prompts, the same for every network; real text is that of held-out rows.
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/train/extend.h"
#include "phial/train/extension_report.h"
#include "phial/train/loader.h"
#include "phial/train/network.h"
#include "phial/train/retrieval.h"
#include "phial/train/start_model.h"
#include "phial/train/token_stage.h"

namespace phial::train {

// Batches and held-out rows of `tokens` each that have as many tokens in all as the fields say of rows of `longest`.
TokenStageOptions options_of_length(int64_t tokens, int64_t longest, const ExtendConfig& config);

class ContextMeter {
 public:
  // `held_out`: one of each length. Retrieval is not measured without a tokenizer in the model's folder.
  static Result<ContextMeter> open(const ExtendConfig& config, const StartModel& model, std::vector<Loader> held_out);

  const std::vector<double>& depths() const { return grid_.depths; }
  // Errors: kCancelled; kCorrupt and kIo of the data.
  Result<MeasuredContext> measure(const Network& network, const std::string& name, const RunHooks& hooks);

 private:
  ContextMeter() = default;

  std::vector<TokenStage> of_lengths_;
  RetrievalGrid grid_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;  // that the prompts refer to
  std::optional<RetrievalPrompts> prompts_;
};

}  // namespace phial::train

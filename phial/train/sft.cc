#include "phial/train/sft.h"

#include <memory>
#include <utility>

#include "phial/train/chat_data.h"
#include "phial/train/packed_conversations.h"
#include "phial/train/sft_run.h"
#include "phial/train/token_stage.h"

namespace phial::train {

Result<RunSummary> run_on_conversations(SftConfig& config, ConfigFields& fields, StartModel model,
                                        std::vector<Parameter> parameters, const RunHooks& hooks) {
  if (!config.weights.empty() && config.weights.size() != config.files.size()) {
    return Error{Code::kInvalid,
                 "data.weights has " + std::to_string(config.weights.size()) + " numbers for " +
                     std::to_string(config.files.size()) + " files",
                 "give one for each of data.files, or none"};
  }
  PHIAL_CHECKED(check_sequence_tokens(model, config.sequence_tokens));
  const PackingOptions packing = {.sequence_tokens = config.sequence_tokens,
                                  .epochs = config.epochs,
                                  .weights = config.weights,
                                  .seed = static_cast<uint64_t>(config.seed)};
  PHIAL_TRY(auto conversations, tokenize_conversations(config.files, model, config.sequence_tokens, hooks.log));
  auto source = std::make_unique<PackedConversations>(std::move(conversations), packing);
  std::unique_ptr<BatchSource> held_out;
  if (!config.held_out.empty()) {
    PHIAL_TRY(auto others, tokenize_conversations(config.held_out, model, config.sequence_tokens, hooks.log));
    held_out = std::make_unique<PackedConversations>(std::move(others),
                                                     PackingOptions{.sequence_tokens = config.sequence_tokens});
  }
  if (source->rows() == 0) {
    return Error{Code::kInvalid, "train.epochs and data.weights leave nothing to train on", "take larger ones"};
  }
  const uint64_t samples = source->rows();
  config.set_steps(samples);
  const Json data = {{"rows", samples}, {"hash", std::to_string(source->fingerprint())}};
  TokenStage stage(std::move(source), std::move(held_out),
                   {.rows = config.rows,
                    .accumulate = config.accumulate,
                    .samples = samples,
                    .held_out_rows = config.held_out_rows,
                    .measures_answers = true});
  return run({.config = config,
              .fields = fields,
              .model = std::move(model),
              .parameters = std::move(parameters),
              .stage = stage,
              .data = data},
             hooks);
}

namespace {

Result<RunSummary> run_sft(SftConfig& config, const RunHooks& hooks) {
  ConfigFields fields;
  config.describe(fields);
  PHIAL_TRY(StartModel model, open_start_model("", config.model_start));
  PHIAL_TRY(auto parameters, load_parameters(model, config.encoder_rate, config.projector_rate));
  return run_on_conversations(config, fields, std::move(model), std::move(parameters), hooks);
}

}  // namespace

void SftConfig::describe(ConfigFields& fields) {
  fields.add("model.start", &model_start, "the Hugging Face folder of the model to tune");
  describe_lora(fields);
  describe_vision_rates(fields);
  describe_data(fields);
}

void SftConfig::describe_data(ConfigFields& fields) {
  fields.add("data.files", &files, "conversations: .jsonl or .json, as docs/training.md describes them");
  fields
      .add("data.weights", &weights,
           "of each file, how often an epoch sees its conversations: 2: twice, 0.5: every other; none: once")
      .between(0, 1000);
  fields.add("data.held_out", &held_out, "conversations that the model is measured on and never trained on");
  fields.add("data.sequence_tokens", &sequence_tokens, "tokens of a row; longer conversations are cut").at_least(2);
  describe_shared(fields);
  describe_epochs(fields);
}

Result<RunSummary> sft(SftConfig config, const RunHooks& hooks) {
  return with_torch(config, [&] { return run_sft(config, hooks); });
}

}  // namespace phial::train

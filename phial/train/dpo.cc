#include "phial/train/dpo.h"

#include <algorithm>
#include <cmath>

#include "phial/train/chat_data.h"
#include "phial/train/preference_stage.h"
#include "phial/train/run.h"

namespace phial::train {
namespace {

PreferenceOptions preference_of(const DpoConfig& config) {
  PreferenceOptions options = {.beta = config.beta, .label_smoothing = config.label_smoothing};
  if (config.loss == "sigmoid_norm") options.loss = PreferenceLoss::kSigmoidNormalised;
  if (config.loss == "ipo") options.loss = PreferenceLoss::kIpo;
  return options;
}

Result<RunSummary> run_dpo(DpoConfig& config, const RunHooks& hooks) {
  ConfigFields fields;
  config.describe(fields);
  if (config.label_smoothing > 0 && config.loss == "ipo") {
    return Error{Code::kInvalid, "dpo.label_smoothing is of the sigmoid losses, dpo.loss is ipo",
                 "leave one of them away"};
  }
  PHIAL_TRY(StartModel model, open_start_model("", config.model_start));
  PHIAL_CHECKED(check_sequence_tokens(model, config.sequence_tokens));
  PHIAL_TRY(auto pairs, tokenize_preferences(config.files, model, config.sequence_tokens, hooks.log));
  std::vector<TokenizedPair> held_out;
  if (!config.held_out.empty()) {
    PHIAL_TRY(held_out, tokenize_preferences(config.held_out, model, config.sequence_tokens, hooks.log));
  }
  const uint64_t samples = std::max<int64_t>(1, std::llround(config.epochs * static_cast<double>(pairs.size())));
  config.set_steps(samples);
  PreferenceStage stage(std::move(pairs), std::move(held_out),
                        {.preference = preference_of(config),
                         .rows = config.rows,
                         .accumulate = config.accumulate,
                         .samples = samples,
                         .held_out_pairs = config.held_out_rows,
                         .seed = static_cast<uint64_t>(config.seed),
                         .measures_divergence = config.measure_kl,
                         .folder = config.out});
  PHIAL_TRY(auto parameters, load_parameters(model, config.encoder_rate, config.projector_rate));
  return run({.config = config,
              .fields = fields,
              .model = std::move(model),
              .parameters = std::move(parameters),
              .stage = stage,
              .data = {{"hash", std::to_string(stage.fingerprint())}}},
             hooks);
}

}  // namespace

void DpoConfig::describe(ConfigFields& fields) {
  fields.add("model.start", &model_start, "the Hugging Face folder of the model to tune; it is the reference as well");
  describe_lora(fields);
  describe_vision_rates(fields);
  fields.add("dpo.loss", &loss, "of a pair").one_of({"sigmoid", "sigmoid_norm", "ipo"});
  fields.add("dpo.beta", &beta, "how strongly the reference holds").at_least(1e-6);
  fields.add("dpo.label_smoothing", &label_smoothing, "of sigmoid: the share of pairs that are labelled wrongly (cDPO)")
      .between(0, 0.4999);
  fields.add("dpo.measure_kl", &measure_kl,
             "held_out_kl, the divergence from the reference in nats a token, whose weights then stay in memory");
  fields.add("data.files", &files, "preferences: .jsonl or .json, as docs/training.md describes them");
  fields.add("data.held_out", &held_out, "preferences that the model is measured on and never trained on");
  fields.add("data.sequence_tokens", &sequence_tokens, "tokens of prompt and answer; longer ones are cut").at_least(2);
  describe_shared(fields);
  describe_epochs(fields);
}

Result<RunSummary> dpo(DpoConfig config, const RunHooks& hooks) {
  return with_torch(config, [&] { return run_dpo(config, hooks); });
}

}  // namespace phial::train

// The fields of a pretraining run, and what it is made of.
#include "phial/train/pretrain.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "phial/train/loader.h"
#include "phial/train/run.h"
#include "phial/train/token_stage.h"

namespace phial::train {
namespace {

std::optional<spec::MupBase> base_of(const PretrainConfig& config, const spec::DecoderSpec& spec) {
  if (config.base_hidden_dim == 0) return std::nullopt;
  const auto scaled = [&](int width) {
    return std::max(1, static_cast<int>(int64_t{width} * config.base_hidden_dim / spec.hidden_dim));
  };
  spec::MupBase base = {.hidden_dim = static_cast<int>(config.base_hidden_dim),
                        .ffn_dim = static_cast<int>(config.base_ffn_dim),
                        .n_heads = static_cast<int>(config.base_n_heads),
                        .head_dim = static_cast<int>(config.base_head_dim)};
  if (base.ffn_dim == 0) base.ffn_dim = scaled(spec.ffn_dim);
  if (base.head_dim == 0) base.head_dim = spec.head_dim;
  return base;
}

// The shape with muP's multipliers, if there are some.
Status apply_mup(const PretrainConfig& config, StartModel& model, std::optional<spec::MupBase>& base) {
  // A finished run's multipliers are in its weights, unless config.json has fields for them.
  const bool sets_multipliers = config.base_hidden_dim != 0 || config.embedding_multiplier != 0;
  if (model.weights && sets_multipliers && model.spec.architecture != "phi3small") {
    return Error{Code::kInvalid, "model.start with mup: the weights of " + config.model_start + " hold its multipliers",
                 "leave the fields of mup away, and take an optimizer.lr for this width"};
  }
  if (config.embedding_multiplier != 0) {
    model.spec.embedding_multiplier = static_cast<float>(config.embedding_multiplier);
  }
  base = base_of(config, model.spec);
  if (base) model.spec = with_mup(model.spec, *base, config.attention_constant);
  if (auto valid = spec::validate(model.spec); !valid) {
    return Error{Code::kInvalid, valid.error().message, "see the fields of mup"};
  }
  return ok();
}

Result<RunSummary> run_pretraining(PretrainConfig& config, const RunHooks& hooks) {
  ConfigFields fields;
  config.describe(fields);
  PHIAL_TRY(StartModel model, open_start_model(config.model_config, config.model_start));
  PHIAL_CHECKED(check_text_only(model));
  std::optional<spec::MupBase> base;
  PHIAL_CHECKED(apply_mup(config, model, base));
  PHIAL_CHECKED(check_sequence_tokens(model, config.sequence_tokens));
  const LoaderOptions options = {.sequence_tokens = config.sequence_tokens,
                                 .vocab_size = model.spec.vocab_size,
                                 .seed = static_cast<uint64_t>(config.seed),
                                 .vocabulary_hash = model.vocabulary_hash()};
  PHIAL_TRY(const auto files, shard_files(config.shards));
  PHIAL_TRY(Loader loader, Loader::open(files, options));
  std::unique_ptr<BatchSource> held_out;
  if (!config.held_out.empty()) {
    PHIAL_TRY(const auto held_out_files, shard_files(config.held_out));
    PHIAL_TRY(Loader opened, Loader::open(held_out_files, options));
    held_out = std::make_unique<Loader>(std::move(opened));
  }
  std::vector<Parameter> parameters;
  if (model.weights) {
    PHIAL_TRY(parameters, load_parameters(*model.weights, model.spec));
  } else {
    parameters = new_parameters(model.spec, base,
                                {.sigma = config.sigma,
                                 .by_depth = config.by_depth,
                                 .zero_head = config.zero_head,
                                 .zero_query = config.zero_query},
                                static_cast<uint64_t>(config.seed));
  }
  const Json data = {{"windows", loader.rows()}, {"hash", std::to_string(loader.fingerprint())}};
  TokenStage stage(std::make_unique<Loader>(std::move(loader)), std::move(held_out),
                   {.rows = config.rows,
                    .accumulate = config.accumulate,
                    .z_loss = config.z_loss,
                    .held_out_rows = config.held_out_rows});
  return run({.config = config,
              .fields = fields,
              .model = std::move(model),
              .mup_base = base,
              .parameters = std::move(parameters),
              .stage = stage,
              .data = data},
             hooks);
}

}  // namespace

void PretrainConfig::describe(ConfigFields& fields) {
  fields.add("model.config", &model_config,
             "config.json of the model to make: Phi-3, Phi-3-small, Llama, Mistral, Qwen2");
  fields.add("model.start", &model_start,
             "a Hugging Face folder whose weights the run begins with; nothing: they are drawn");

  fields
      .add("mup.base_hidden_dim", &base_hidden_dim,
           "width of the narrow model that the learning rate was found on; 0: no muP")
      .between(0, 65536);
  fields.add("mup.base_ffn_dim", &base_ffn_dim, "its feed-forward width; 0: in proportion").between(0, 65536);
  fields.add("mup.base_n_heads", &base_n_heads, "its heads; 0: in proportion").between(0, 65536);
  fields.add("mup.base_head_dim", &base_head_dim, "its head's width; 0: the model's own").between(0, 65536);
  fields
      .add("mup.attention_constant", &attention_constant,
           "c where scores are multiplied by c / head_dim; 0: the root of the base's head_dim")
      .at_least(0);
  fields.add("mup.embedding_multiplier", &embedding_multiplier, "of embeddings; 0: as config.json says, or 1")
      .at_least(0);

  fields.add("init.sigma", &sigma, "standard deviation of new matrices").at_least(0);
  fields.add("init.by_depth", &by_depth, "what adds to the residual stream begins smaller by the root of 2 layers");
  fields.add("init.zero_head", &zero_head, "an output matrix of its own begins at zero");
  fields.add("init.zero_query", &zero_query, "queries begin at zero, where they have a matrix of their own");

  fields.add("data.shards", &shards, "token shards, or folders of files that end in .tokens, in this order");
  fields.add("data.held_out", &held_out, "shards that the model is measured on and never trained on");
  fields.add("data.sequence_tokens", &sequence_tokens, "tokens of a row").at_least(1);
  describe_shared(fields);
  fields.add("optimizer.z_loss", &z_loss, "weight of the squared log of the softmax's sum; 1e-4 is usual").at_least(0);
  fields.add("schedule.warmup_steps", &warmup_steps, "steps from 0 to the peak").at_least(0);
  fields.add("train.steps", &steps, "steps in all").at_least(1);
}

Result<RunSummary> pretrain(PretrainConfig config, const RunHooks& hooks) {
  return with_torch(config, [&] { return run_pretraining(config, hooks); });
}

}  // namespace phial::train

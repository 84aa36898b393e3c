#include "phial/train/vision.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "phial/train/run.h"
#include "phial/train/sft_run.h"

namespace phial::train {
namespace {

struct Size {
  const char* field;
  int64_t wanted;  // 0: not said
  int published;   // of CLIP ViT-L/14 with 336 pixels
  int* into;
};

// A new eye for a model that has none, or the model's own, which the fields may only confirm.
Status settle_sizes(const VisionConfig& config, StartModel& model) {
  const bool is_new = !model.vision;
  spec::VisionSpec eye = is_new ? spec::VisionSpec{} : *model.vision;
  for (const Size& size :
       {Size{"image_side", config.image_side, 336, &eye.image_side},
        Size{"patch_side", config.patch_side, 14, &eye.patch_side}, Size{"layers", config.layers, 23, &eye.n_layers},
        Size{"hidden_dim", config.hidden_dim, 1024, &eye.hidden_dim},
        Size{"ffn_dim", config.ffn_dim, 4096, &eye.ffn_dim}, Size{"heads", config.heads, 16, &eye.n_heads}}) {
    if (is_new) *size.into = size.wanted > 0 ? static_cast<int>(size.wanted) : size.published;
    if (size.wanted == 0 || *size.into == size.wanted) continue;
    return Error{Code::kInvalid,
                 std::string("vision.") + size.field + " is " + std::to_string(size.wanted) + ", the model's own " +
                     std::to_string(*size.into),
                 "leave the sizes of a model that sees away"};
  }
  if (config.max_tiles > 0) eye.max_tiles = static_cast<int>(config.max_tiles);
  if (is_new) {
    PHIAL_TRY(const spec::VisionFacts facts, spec::vision_from_config({}, nullptr));
    eye.mean = facts.mean;
    eye.deviation = facts.deviation;
    eye.output_dim = model.spec.hidden_dim;
  }
  if (Status valid = spec::validate(eye); !valid) {
    return Error{Code::kInvalid, valid.error().message, "see the fields of vision"};
  }
  model.vision = eye;
  model.config = spec::config_with_vision(std::move(model.config), eye);
  return ok();
}

Result<RunSummary> run_vision(VisionConfig& config, const RunHooks& hooks) {
  ConfigFields fields;
  config.describe(fields);
  if (config.encoder_rate == 0 && config.projector_rate == 0 && config.decoder_rate == 0) {
    return Error{Code::kInvalid, "the three rates of vision are 0: nothing is trained", "give one of them"};
  }
  PHIAL_TRY(StartModel model, open_start_model(config.model_config, config.model_start));
  if (model.spec.architecture != "phi3") {
    return Error{Code::kUnsupported,
                 model.folder.string() + ": a " + model.spec.architecture + " gets no eye: no configuration says so",
                 "take a model of the phi3 architecture"};
  }
  PHIAL_CHECKED(settle_sizes(config, model));
  const auto seed = static_cast<uint64_t>(config.seed);
  std::vector<Parameter> parameters, seeing;
  if (model.weights) {
    PHIAL_TRY(parameters, load_parameters(*model.weights, model.spec));
  } else {
    parameters = new_parameters(model.spec, {}, {.sigma = config.sigma}, seed);
  }
  if (model.has_seen()) {
    PHIAL_TRY(seeing, load_vision_parameters(*model.weights, *model.vision));
  } else {
    seeing = new_vision_parameters(*model.vision, seed);
  }
  for (Parameter& each : parameters) each.rate = config.decoder_rate;
  set_vision_rates(*model.vision, config.encoder_rate, config.projector_rate, seeing);
  std::ranges::move(seeing, std::back_inserter(parameters));
  return run_on_conversations(config, fields, std::move(model), std::move(parameters), hooks);
}

}  // namespace

void VisionConfig::describe(ConfigFields& fields) {
  fields.add("model.start", &model_start,
             "a Hugging Face folder: of a model that sees, or of a language model that gets a new eye; nothing: all "
             "weights are drawn");
  fields.add("model.config", &model_config,
             "config.json of the model to make, with a tokenizer beside it; nothing: that of model.start");
  fields.add("vision.image_side", &image_side, "of a new eye: pixels of a tile's side; 0: 336").between(0, 4096);
  fields.add("vision.patch_side", &patch_side, "pixels of a patch's side; 0: 14").between(0, 4096);
  fields.add("vision.layers", &layers, "layers; 0: 23").between(0, 1024);
  fields.add("vision.hidden_dim", &hidden_dim, "width; 0: 1024").between(0, 65536);
  fields.add("vision.ffn_dim", &ffn_dim, "feed-forward width; 0: 4096").between(0, 65536);
  fields.add("vision.heads", &heads, "heads; 0: 16").between(0, 1024);
  fields.add("vision.max_tiles", &max_tiles, "tiles that a picture is cut into at most; 0: the model's own, or 16")
      .between(0, 64);
  describe_vision_rates(fields);
  fields.add("vision.decoder_rate", &decoder_rate, "so does the language model").between(0, 1e6);
  fields.add("init.sigma", &sigma, "standard deviation of the matrices of a new language model").at_least(0);
  describe_data(fields);
}

Result<RunSummary> train_vision(VisionConfig config, const RunHooks& hooks) {
  return with_torch(config, [&] { return run_vision(config, hooks); });
}

}  // namespace phial::train

#include "phial/train/start_model.h"

#include <xxhash.h>

#include <algorithm>
#include <iterator>

#include "phial/base/json_file.h"
#include "phial/base/mapped_file.h"
#include "phial/spec/vision_tensors.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/vocabulary_hash.h"

namespace phial::train {

namespace {

// What config.json says of the eye, by the widths that the weights have or, where they have none, the file names. The
// configuration then has all of it.
Status read_vision(StartModel& model) {
  PHIAL_TRY(model.preprocessor, read_json_if_there(model.folder / "preprocessor_config.json"));
  const auto shape_of = [&](const std::string& name) {
    const formats::Tensor* tensor = model.weights->find(name);
    return tensor == nullptr ? nullptr : &tensor->shape;
  };
  auto read = model.has_seen()
                  ? spec::vision_of_tensors(model.config, model.preprocessor, model.spec.hidden_dim, shape_of)
                  : spec::vision_of_config(model.config, model.preprocessor, model.spec.hidden_dim);
  if (!read) return std::move(read).error().in(model.folder.string());
  model.vision = *std::move(read);
  model.config = spec::config_with_vision(std::move(model.config), *model.vision);
  return ok();
}

}  // namespace

bool StartModel::has_seen() const {
  return weights && std::ranges::any_of(weights->tensors(), [](const formats::Tensor& tensor) {
           return tensor.name.starts_with(spec::kVisionPrefix) && tensor.name != spec::kVisionWordEmbedding;
         });
}

uint64_t StartModel::config_hash() const {
  std::string text = dump_json(config);
  if (vision) text += dump_json(spec::preprocessor_of(*vision));
  return XXH3_64bits(text.data(), text.size());
}

uint64_t StartModel::vocabulary_hash() const { return tokenizer ? tokenizer::vocabulary_hash(*tokenizer) : 0; }

Result<StartModel> open_start_model(const std::string& config, const std::string& start) {
  if (config.empty() && start.empty()) {
    return Error{Code::kInvalid, "no model is named", "give model.config, a config.json, or model.start, a folder"};
  }
  std::error_code failed;
  if (!start.empty() && std::filesystem::is_regular_file(start, failed)) {
    return Error{Code::kInvalid, start + " is a file: training begins with a Hugging Face folder",
                 "'phial models convert' makes one of a GGUF file"};
  }
  StartModel model;
  const std::filesystem::path path =
      config.empty() ? std::filesystem::path(start) / "config.json" : std::filesystem::path(config);
  PHIAL_TRY(const std::string text, read_text_file(path));
  auto json = parse_json(text);
  if (!json) return std::move(json).error().in(path.string());
  model.config = *std::move(json);
  model.folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  auto spec = spec::decoder_from_config(model.config);
  if (!spec) return std::move(spec).error().in(path.string());
  model.spec = *std::move(spec);
  if (!start.empty()) {
    PHIAL_TRY(auto opened, formats::Checkpoint::open(start));
    model.weights = std::make_shared<const formats::Checkpoint>(std::move(opened));
  }
  if (spec::has_vision(model.config)) PHIAL_CHECKED(read_vision(model));
  if (auto tokenizer = tokenizer::from_folder(model.folder)) {
    model.tokenizer = *std::move(tokenizer);
  } else if (tokenizer.error().code != Code::kNotFound) {
    return tokenizer.error();
  }
  return model;
}

Result<std::vector<Parameter>> load_parameters(const StartModel& model, double encoder_rate, double projector_rate) {
  PHIAL_TRY(std::vector<Parameter> all, load_parameters(*model.weights, model.spec));
  if (!model.vision) return all;
  PHIAL_TRY(std::vector<Parameter> seeing, load_vision_parameters(*model.weights, *model.vision));
  set_vision_rates(*model.vision, encoder_rate, projector_rate, seeing);
  std::ranges::move(seeing, std::back_inserter(all));
  return all;
}

Status check_text_only(const StartModel& model) {
  if (!model.vision) return ok();
  return Error{Code::kUnsupported, model.folder.string() + ": a model that sees is not trained at this stage",
               "take 'phial train vision', sft or dpo, or the language model that it is built on"};
}

Status check_sequence_tokens(const StartModel& model, int64_t sequence_tokens) {
  if (sequence_tokens <= model.spec.context) return ok();
  return Error{Code::kInvalid,
               "data.sequence_tokens is " + std::to_string(sequence_tokens) + ", the model's context " +
                   std::to_string(model.spec.context),
               "take shorter rows, or a config.json with more max_position_embeddings"};
}

}  // namespace phial::train

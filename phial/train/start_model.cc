#include "phial/train/start_model.h"

#include <xxhash.h>

#include "phial/base/mapped_file.h"
#include "phial/spec/vision.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/vocabulary_hash.h"

namespace phial::train {

uint64_t StartModel::config_hash() const {
  const std::string text = dump_json(config);
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
  if (spec::has_vision(model.config)) {
    return Error{Code::kUnsupported, path.string() + ": a model that sees is not trained yet",
                 "take the language model that it is built on"};
  }
  auto spec = spec::decoder_from_config(model.config);
  if (!spec) return std::move(spec).error().in(path.string());
  model.spec = *std::move(spec);
  if (!start.empty()) {
    PHIAL_TRY(auto opened, formats::Checkpoint::open(start));
    model.weights = std::make_shared<const formats::Checkpoint>(std::move(opened));
  }
  if (auto tokenizer = tokenizer::from_folder(model.folder)) {
    model.tokenizer = *std::move(tokenizer);
  } else if (tokenizer.error().code != Code::kNotFound) {
    return tokenizer.error();
  }
  return model;
}

Status check_sequence_tokens(const StartModel& model, int64_t sequence_tokens) {
  if (sequence_tokens <= model.spec.context) return ok();
  return Error{Code::kInvalid,
               "data.sequence_tokens is " + std::to_string(sequence_tokens) + ", the model's context " +
                   std::to_string(model.spec.context),
               "take shorter rows, or a config.json with more max_position_embeddings"};
}

}  // namespace phial::train

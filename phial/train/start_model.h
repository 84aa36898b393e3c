// The model that a run begins with: its configuration, the tokenizer beside it, and its weights if it has some.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/spec/spec.h"
#include "phial/spec/vision.h"
#include "phial/tokenizer/tokenizer.h"
#include "phial/train/parameters.h"

namespace phial::train {

struct StartModel {
  spec::DecoderSpec spec;
  Json config;
  std::filesystem::path folder;                           // that config.json stands in
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;  // that stands beside it; null: none does
  std::shared_ptr<const formats::Checkpoint> weights;
  std::optional<spec::VisionSpec> vision = {};  // none: it sees nothing
  Json preprocessor = {};                       // preprocessor_config.json; null: there is none

  // Whether the weights are those of a model that sees.
  bool has_seen() const;
  uint64_t config_hash() const;
  uint64_t vocabulary_hash() const;  // 0: there is no tokenizer
};

// `start`: a Hugging Face folder with weights; empty: none. `config`: a config.json; empty: that of `start`.
// Errors: kInvalid if neither is named, kNotFound, kIo, kCorrupt, kUnsupported.
Result<StartModel> open_start_model(const std::string& config, const std::string& start);

// Its weights: those of the decoder, then those of what sees with their rates. Promise: there are some.
Result<std::vector<Parameter>> load_parameters(const StartModel& model, double encoder_rate = 1,
                                               double projector_rate = 1);

// kUnsupported for a model that sees: stages that know only text do not train it.
Status check_text_only(const StartModel& model);

// kInvalid if rows of so many tokens are longer than the model's context.
Status check_sequence_tokens(const StartModel& model, int64_t sequence_tokens);

}  // namespace phial::train

// The pre-tokenizers that GGUF names (tokenizer.ggml.pre), and how tokenizer.json spells them.
//
// What stands behind a name is a fact of the models that carry it. Errors: kUnsupported names what is not known.
// Threads: any.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/tokenizer/splitter.h"

namespace phial::tokenizer {

struct PreTokenizer {
  std::unique_ptr<Splitter> splitter;
  bool whole_words_first = false;  // as in ByteBpe
};

// No name: the default of GGUF.
Result<PreTokenizer> pre_tokenizer_named(std::string_view name);

struct PreTokenizerSpelling {
  Json steps;  // an array of pre-tokenizers
  bool ignore_merges = false;
};

// Nothing where tokenizer.json has no words for it.
std::optional<PreTokenizerSpelling> spelling_of(std::string_view name);

// The name of a spelling, whose steps may leave out or set anything that changes no ids; empty if there is none.
std::string_view name_of(const PreTokenizerSpelling& spelling);

}  // namespace phial::tokenizer

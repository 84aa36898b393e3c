// What is done to a text before it is cut and encoded: the steps that tokenizer.json names under "normalizer".
//
// Malformed UTF-8 passes through every step unchanged. Threads: immutable once made.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/tokenizer/charsmap.h"

namespace phial::tokenizer {

class NormalizerStep {
 public:
  virtual ~NormalizerStep() = default;
  virtual void apply(std::string& text) const = 0;
};

class Normalizer {
 public:
  void add(std::unique_ptr<NormalizerStep> step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }
  void apply(std::string& text) const {
    for (const auto& step : steps_) step->apply(text);
  }

 private:
  std::vector<std::unique_ptr<NormalizerStep>> steps_;
};

// One step, `spec` being an object with "type": NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace
// or Precompiled. kUnsupported by name for any other, kCorrupt for a malformed one.
Result<std::unique_ptr<NormalizerStep>> make_normalizer_step(const Json& spec);

// Each longest match of a precompiled character map replaced: what sentencepiece's own files mean by theirs.
std::unique_ptr<NormalizerStep> make_charsmap_step(Charsmap map);

// The members of a "Sequence", flattened, or `spec` itself; nothing for null. `members`: the name of the list.
Result<std::vector<const Json*>> steps_of(const Json* spec, std::string_view members);

}  // namespace phial::tokenizer

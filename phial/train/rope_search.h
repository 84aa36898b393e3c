// Which factors divide the rotary frequencies of a longer context: an evolutionary search, guided by the loss of a
// model that was not trained for it.
//
// It begins with position interpolation, NTK-aware scaling and YaRN. Factors do not fall from one pair of dimensions to
// the next and are at least 1. What was found is in `file` after every generation; a search that was stopped goes on
// from there, to the same end: generation g draws from a stream of its own. Source: LongRoPE (arXiv 2402.13753),
// section 3; position interpolation, arXiv 2306.15595; NTK-aware, YaRN, arXiv 2309.00071. Of LongRoPE's search the
// first tokens that are left as they are have no part: models of Phi-3 have none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/spec/spec.h"
#include "phial/train/run_config.h"

namespace phial::train {

struct RopeFactors {
  std::vector<float> values;  // [rope_dims / 2]
  double loss = 0;            // infinite where it was not finite
};

struct NamedRopeFactors : RopeFactors {
  std::string name;
};

// Position interpolation ("PI"), "NTK" and "YaRN" for sequences of `target` tokens, not measured. `original`: the
// context of the model. Promise: target > original > 0.
std::vector<NamedRopeFactors> known_rope_factors(const spec::DecoderSpec& spec, int original, int target);

struct RopeSearchOptions {
  int64_t population = 64;   // at least 4
  int64_t generations = 40;  // 0: the best of those it begins with
  uint64_t seed = 0;
  double most = 1;                  // a drawn factor is at most this
  std::filesystem::path file = {};  // JSON
  Json of = {};                     // what losses depend on: a file of another search is not taken up
};

struct RopeSearchResult {
  RopeFactors best;
  std::vector<NamedRopeFactors> known;  // those it began with, measured
};

// Never worse than the best of `known`, which all have as many factors, at least one. Errors: kInvalid for a file of
// another search, kCorrupt, kIo, those of `loss_of`; kOutOfRange if no loss is finite at first; kCancelled when
// stopped. Progress through hooks.prepares.
Result<RopeSearchResult> search_rope_factors(std::vector<NamedRopeFactors> known,
                                             const std::function<Result<double>(std::span<const float>)>& loss_of,
                                             const RopeSearchOptions& options, const RunHooks& hooks);

}  // namespace phial::train

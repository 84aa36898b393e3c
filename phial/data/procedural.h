// Endless clean text: exercises and small stories, made up by rule, with answers that are right by construction.
//
// The same options give the same bytes on every machine. Threads: one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/data/exercises/exercise.h"
#include "phial/data/part.h"

namespace phial::data {

// "arithmetic", "logic", ...
std::span<const std::string_view> exercise_kinds();

// What a line of the file is.
enum class RowForm {
  kText,          // {"text": ...}: for pack() and pretraining
  kConversation,  // {"messages": [...]}: for supervised tuning (formats/conversations.h)
};

struct ProceduralOptions {
  std::vector<std::string> kinds;  // of exercise_kinds(), at least one; each as often, in the mean, as it is named
  uint64_t rows = 0;               // 0: no bound
  uint64_t bytes = 0;              // the file ends with the row that reaches them; 0: no bound
  uint64_t seed = 0;
  Part part = Part::kTrain;
  int easiest = kEasiest, hardest = kHardest;  // levels, each as often as any other
  RowForm form = RowForm::kText;
};

struct ProceduralReport {
  std::map<std::string, uint64_t> rows;  // of each kind
  uint64_t bytes = 0;                    // of the file
};

// Nothing but the whole file ever stands at `out`. Promise: `rows` or `bytes` is a bound. Errors: kInvalid if `out` is
// there or for an unknown kind; kIo, kCancelled.
Result<ProceduralReport> write_procedural(const std::filesystem::path& out, const ProceduralOptions& options,
                                          const std::stop_token& stop,
                                          const std::function<void(const ProceduralReport&)>& on_progress);

}  // namespace phial::data

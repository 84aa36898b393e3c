// What extending a context did, as numbers, as a table and as a page: loss by the length of rows, and retrieval by
// depth and length; of the model before, with the factors that were found, and after training.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/train/rope_search.h"
#include "phial/train/run_config.h"

namespace phial::train {

// Shares of right answers, [length][depth]; -1: not asked. Empty: not measured.
using RetrievalShares = std::vector<std::vector<double>>;

inline constexpr std::array<const char*, 2> kRetrievalTasks = {"passkey", "needle"};

struct MeasuredContext {
  std::string name;                 // "before"
  std::vector<double> losses = {};  // of each length
  std::array<RetrievalShares, kRetrievalTasks.size()> retrieval = {};
};

struct Extension {
  std::vector<int64_t> lengths;  // the original context, and those that were trained
  std::vector<double> depths = {};
  RopeSearchResult factors = {};
  std::vector<MeasuredContext> measured = {};  // before, searched, after
};

Json extension_json(const Extension& extension);

// A line a length.
std::string extension_table(const Extension& extension);

// "loss_128_before", "passkey_1024_after": of the shortest and the longest.
Metrics extension_metrics(const Extension& extension);

// extension.json and extension.html in `folder`. Errors: kIo.
Status write_extension(const Extension& extension, const std::filesystem::path& folder, std::string_view title);

}  // namespace phial::train

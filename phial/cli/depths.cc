#include "phial/cli/depths.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

namespace phial::cli {
namespace {

constexpr size_t kMostDepths = 32;

std::optional<int> depth_of(std::string_view word) {
  int factor = 1;
  if (word.ends_with('k') || word.ends_with('K')) {
    factor = 1024;
    word.remove_suffix(1);
  }
  int value = 0;
  const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (failed != std::errc() || end != word.data() + word.size()) return std::nullopt;
  if (value < 0 || value > kMostDepth / factor) return std::nullopt;
  return value * factor;
}

}  // namespace

Result<std::vector<int>> parse_depths(std::string_view text) {
  const std::string range = "from 0 to " + std::to_string(kMostDepth);
  std::vector<int> depths;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    const auto depth = depth_of(word);
    if (!depth || depths.size() == kMostDepths) {
      return Error{Code::kInvalid, "'" + std::string(depth ? text : word) + "' is no value for --depth",
                   "give a whole number " + range + ", or at most " + std::to_string(kMostDepths) +
                       " of them as in 0,1k,2k,4k (k: 1024)"};
    }
    depths.push_back(*depth);
    begin = end + 1;
  }
  return depths;
}

}  // namespace phial::cli

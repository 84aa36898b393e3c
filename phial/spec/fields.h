// Reading the fields of a model's description, so that every error names the field, what was found and what was wanted.
// Used inside spec only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial::spec {

// Upper bounds far above any published model: a count beyond them is damage, not ambition.
inline constexpr int kMaxLayers = 1024;
inline constexpr int kMaxWidth = 1 << 18;
inline constexpr int kMaxHeads = 1024;
inline constexpr int kMaxHeadDim = 1024;
inline constexpr int kMaxVocab = 1 << 24;
inline constexpr int kMaxContext = 1 << 26;

class Fields {
 public:
  // `prefix` stands before every key ("phi3."), `where` names the object in errors ("config.json").
  Fields(const Json& object, std::string prefix, std::string where)
      : object_(object), prefix_(std::move(prefix)), where_(std::move(where)) {}

  bool has(std::string_view key) const;  // present and not null
  Result<int> count(std::string_view key, int low, int high) const;
  Result<int> count_or(std::string_view key, int fallback, int low, int high) const;
  Result<float> positive(std::string_view key) const;
  Result<float> positive_or(std::string_view key, float fallback) const;
  Result<bool> flag_or(std::string_view key, bool fallback) const;
  Result<std::string> text_or(std::string_view key, std::string_view fallback) const;
  Result<std::vector<float>> positive_list(std::string_view key) const;
  Result<std::vector<int>> counts(std::string_view key, int low, int high) const;  // a list, sorted, each once

  Error wrong(std::string_view key, std::string_view wanted) const;

 private:
  const Json* find(std::string_view key) const;

  const Json& object_;
  std::string prefix_;
  std::string where_;
};

}  // namespace phial::spec

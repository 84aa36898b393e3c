#include "phial/spec/fields.h"

#include <algorithm>
#include <cmath>

namespace phial::spec {
namespace {

// A value in an error message: short whatever the file holds.
std::string shown(const Json* value) {
  if (value == nullptr) return "nothing";
  std::string text = dump_json(*value);
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';  // a cut must not leave half a character
  }
  return text;
}

bool is_positive(const Json& value, float& out) {
  if (!value.is_number()) return false;
  const auto number = static_cast<float>(value.get<double>());
  if (!(number > 0) || !std::isfinite(number)) return false;
  out = number;
  return true;
}

}  // namespace

const Json* Fields::find(std::string_view key) const {
  const Json* value = find_member(object_, prefix_ + std::string(key));
  return value != nullptr && value->is_null() ? nullptr : value;
}

bool Fields::has(std::string_view key) const { return find(key) != nullptr; }

Error Fields::wrong(std::string_view key, std::string_view wanted) const {
  return Error{
      Code::kCorrupt,
      where_ + ": '" + prefix_ + std::string(key) + "' is " + shown(find(key)) + ", wanted " + std::string(wanted),
      "download the model again, or convert it anew"};
}

Result<int> Fields::count(std::string_view key, int low, int high) const {
  const auto value = find_int(object_, prefix_ + std::string(key));
  if (!value || *value < low || *value > high) {
    return wrong(key, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return static_cast<int>(*value);
}

Result<int> Fields::count_or(std::string_view key, int fallback, int low, int high) const {
  if (!has(key)) return fallback;
  return count(key, low, high);
}

Result<float> Fields::positive(std::string_view key) const {
  float number = 0;
  const Json* value = find(key);
  if (value == nullptr || !is_positive(*value, number)) return wrong(key, "a positive number");
  return number;
}

Result<float> Fields::positive_or(std::string_view key, float fallback) const {
  if (!has(key)) return fallback;
  return positive(key);
}

Result<bool> Fields::flag_or(std::string_view key, bool fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return wrong(key, "true or false");
  return value->get<bool>();
}

Result<std::string> Fields::text_or(std::string_view key, std::string_view fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return std::string(fallback);
  if (!value->is_string()) return wrong(key, "a string");
  return value->get<std::string>();
}

Result<std::vector<int>> Fields::counts(std::string_view key, int low, int high) const {
  const auto refused = [&] {
    return wrong(key, "a list of whole numbers from " + std::to_string(low) + " to " + std::to_string(high));
  };
  const Json* value = find(key);
  if (value == nullptr || !value->is_array()) return refused();
  std::vector<int> numbers;
  for (const Json& item : *value) {
    const int64_t number = item.is_number_integer() ? item.get<int64_t>() : int64_t{low} - 1;
    if (number < low || number > high) return refused();
    numbers.push_back(static_cast<int>(number));
  }
  std::ranges::sort(numbers);
  numbers.erase(std::ranges::unique(numbers).begin(), numbers.end());
  return numbers;
}

Result<std::vector<float>> Fields::positive_list(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || !value->is_array()) return wrong(key, "a list of positive numbers");
  std::vector<float> numbers;
  for (const Json& item : *value) {
    float number = 0;
    if (numbers.size() == kMaxHeadDim || !is_positive(item, number)) return wrong(key, "a list of positive numbers");
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace phial::spec

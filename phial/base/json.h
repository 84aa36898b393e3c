// JSON without exceptions, for text that nobody vouches for: nlohmann-json, with a bound on nesting.
//
// Read fields through the functions here: they never throw and never assert, whatever the document holds.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "phial/base/result.h"

namespace phial {

using Json = nlohmann::json;

// What a key that an object holds twice means: the last one counts, or the text is kCorrupt.
enum class RepeatedKeys { kLastCounts, kRefused };

// kCorrupt with the byte position for malformed text, invalid UTF-8 or nesting deeper than 100.
Result<Json> parse_json(std::string_view text, RepeatedKeys repeated = RepeatedKeys::kLastCounts);

// One line, invalid UTF-8 in strings replaced by U+FFFD.
std::string dump_json(const Json& value);

// The member `key` of an object if it is there and of that kind (numbers: exactly representable), else nothing.
const Json* find_member(const Json& object, std::string_view key);
std::optional<int64_t> find_int(const Json& object, std::string_view key);
std::optional<double> find_number(const Json& object, std::string_view key);
std::optional<bool> find_bool(const Json& object, std::string_view key);
const std::string* find_string(const Json& object, std::string_view key);

}  // namespace phial

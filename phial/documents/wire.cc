#include "phial/documents/wire.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "phial/documents/builder.h"

namespace phial::documents {
namespace {

constexpr std::array<std::pair<Code, std::string_view>, 8> kCodes = {{{Code::kNotFound, "not_found"},
                                                                      {Code::kCorrupt, "corrupt"},
                                                                      {Code::kUnsupported, "unsupported"},
                                                                      {Code::kInvalid, "invalid"},
                                                                      {Code::kOutOfRange, "out_of_range"},
                                                                      {Code::kOutOfMemory, "out_of_memory"},
                                                                      {Code::kIo, "io"},
                                                                      {Code::kCancelled, "cancelled"}}};

std::string one_line(std::string_view text) {
  std::string line = clean_text(text, WhiteSpace::kCollapse);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

}  // namespace

Json error_to_json(const Error& error) {
  const auto named = std::find_if(kCodes.begin(), kCodes.end(), [&](const auto& c) { return c.first == error.code; });
  Json body = Json::object();
  body["code"] = std::string(named->second);
  body["message"] = one_line(error.message);
  body["remedy"] = one_line(error.remedy);
  Json json = Json::object();
  json["error"] = std::move(body);
  return json;
}

Error error_from_json(const Json& json) {
  const Json* body = find_member(json, "error");
  const std::string* code = body != nullptr ? find_string(*body, "code") : nullptr;
  const std::string* message = body != nullptr ? find_string(*body, "message") : nullptr;
  const std::string* remedy = body != nullptr ? find_string(*body, "remedy") : nullptr;
  if (code == nullptr || message == nullptr || remedy == nullptr) {
    return {Code::kCorrupt, "the reader's answer is neither a document nor an error",
            "the file is damaged or hostile: leave it out"};
  }
  const auto named = std::find_if(kCodes.begin(), kCodes.end(), [&](const auto& c) { return c.second == *code; });
  return {named == kCodes.end() ? Code::kCorrupt : named->first, one_line(*message), one_line(*remedy)};
}

}  // namespace phial::documents

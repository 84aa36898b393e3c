#include "phial/capi/messages.h"

#include <algorithm>
#include <string>
#include <utility>

#include "phial/base/json.h"
#include "phial/base/utf8.h"

namespace phial::capi {
namespace {

Error wrong(size_t place, std::string what, std::string remedy) {
  return {Code::kInvalid, "message " + std::to_string(place + 1) + ": " + std::move(what), std::move(remedy)};
}

Result<generate::Message> read_message(const Json& json, size_t place, std::span<const generate::Picture> pictures,
                                       std::vector<bool>& used) {
  if (!json.is_object()) return wrong(place, "it is no object", "give {\"role\": ..., \"content\": ...}");
  for (const auto& [key, value] : json.items()) {
    if (key != "role" && key != "content" && key != "images") {
      return wrong(place, "unknown key '" + printable(key) + "'", "give role, content and images");
    }
  }
  const std::string* role = find_string(json, "role");
  if (role == nullptr || (*role != "system" && *role != "user" && *role != "assistant")) {
    return wrong(place, role == nullptr ? "it has no role" : "unknown role '" + printable(*role) + "'",
                 "give system, user or assistant");
  }
  const std::string* content = find_string(json, "content");
  if (content == nullptr) return wrong(place, "its content is no text", "give \"content\": \"...\"");
  generate::Message message = {.role = *role, .content = *content};
  const Json* images = find_member(json, "images");
  if (images == nullptr) return message;
  if (!images->is_array()) return wrong(place, "its images are no list", "give \"images\": [0]");
  for (const Json& image : *images) {
    const bool is_place = image.is_number_unsigned() && image.get<uint64_t>() < pictures.size();
    if (!is_place) {
      return wrong(place, "image " + printable(dump_json(image)) + " of " + std::to_string(pictures.size()),
                   "name images by their place in the options, from 0");
    }
    const auto at = static_cast<size_t>(image.get<uint64_t>());
    used[at] = true;
    message.pictures.push_back(pictures[at]);
  }
  return message;
}

}  // namespace

Result<std::vector<generate::Message>> read_messages(std::string_view json,
                                                     std::span<const generate::Picture> pictures) {
  auto parsed = parse_json(json);
  if (!parsed) return Error{Code::kInvalid, "the messages: " + parsed.error().message, "give a JSON list of messages"};
  if (!parsed->is_array() || parsed->empty()) {
    return Error{Code::kInvalid, "the messages are no list, or an empty one", "give [{\"role\": \"user\", ...}]"};
  }
  std::vector<generate::Message> messages;
  std::vector<bool> used(pictures.size());
  for (size_t place = 0; place < parsed->size(); ++place) {
    PHIAL_TRY(generate::Message message, read_message((*parsed)[place], place, pictures, used));
    messages.push_back(std::move(message));
  }
  if (const auto left = std::ranges::find(used, false); left != used.end()) {
    return Error{Code::kInvalid, "no message names image " + std::to_string(left - used.begin()),
                 "add \"images\": [" + std::to_string(left - used.begin()) + "] to the message that it goes with"};
  }
  return messages;
}

}  // namespace phial::capi

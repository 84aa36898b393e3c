#include "phial/formats/conversations.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <utility>

#include "phial/base/mapped_file.h"
#include "phial/base/utf8.h"

namespace phial::formats {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kDialogueMarks = {
    {{"\n\nHuman:", "user"}, {"\n\nAssistant:", "assistant"}}};

Error wrong_kind(std::string message) {
  return Error{Code::kCorrupt, std::move(message), "fields hold texts or lists of turns"};
}

Error unusable_row(std::string message) {
  return Error{Code::kInvalid, std::move(message), "complete the row or leave it out"};
}

Error not_only_text(std::string message) {
  return Error{Code::kUnsupported, std::move(message), "keep text of system, user and assistant only"};
}

std::string_view trim_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

const Json* find_given(const Json& object, std::string_view key) {
  const Json* value = find_member(object, key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

// Empty if the field is not given.
Result<std::string> read_text(const Json& object, std::string_view key) {
  const Json* value = find_given(object, key);
  if (value == nullptr) return std::string();
  if (const auto* text = value->get_ptr<const std::string*>()) return *text;
  if (value->is_array()) return not_only_text(in_quotes(key) + " is a list of parts");
  return wrong_kind(in_quotes(key) + " is not a text");
}

// Ours for the field's names of who speaks; empty for any other.
std::string_view role_named(std::string_view name) {
  if (name == "system") return "system";
  if (name == "user" || name == "human") return "user";
  if (name == "assistant" || name == "gpt") return "assistant";
  return {};
}

Result<Turn> read_turn(const Json& json) {
  for (const std::string_view key : {"tool_calls", "function_call"}) {
    const Json* call = find_given(json, key);
    if (call != nullptr && !call->empty()) return not_only_text("calls a tool in " + in_quotes(key));
  }
  const bool has_role = find_given(json, "role") != nullptr;
  const std::string* name = find_string(json, has_role ? "role" : "from");
  if (name == nullptr) return wrong_kind("has neither a 'role' nor a 'from' that is a text");
  const std::string_view role = role_named(*name);
  if (role.empty()) return not_only_text("has the role " + in_quotes(*name));
  const std::string_view text_key = has_role ? "content" : "value";
  if (find_given(json, text_key) == nullptr) return wrong_kind("has no " + in_quotes(text_key));
  PHIAL_TRY(std::string text, read_text(json, text_key));
  return Turn{std::string(role), std::move(text)};
}

Result<std::vector<Turn>> read_turns(const Json& list, std::string_view key) {
  if (!list.is_array()) return wrong_kind(in_quotes(key) + " is not a list of turns");
  std::vector<Turn> turns;
  for (size_t i = 0; i < list.size(); ++i) {
    auto turn = read_turn(list[i]);
    if (!turn) return std::move(turn).error().in("turn " + std::to_string(i + 1) + " of " + in_quotes(key));
    if (turn->role != "system" || !turn->text.empty()) turns.push_back(*std::move(turn));
  }
  return turns;
}

// A text is a turn of `role`.
Result<std::vector<Turn>> read_text_or_turns(const Json& row, std::string_view key, std::string_view role) {
  const Json* value = find_given(row, key);
  if (value == nullptr) return unusable_row("has no " + in_quotes(key));
  if (const auto* text = value->get_ptr<const std::string*>()) return std::vector<Turn>{{std::string(role), *text}};
  if (value->is_object()) return read_turns(Json::array({*value}), key);
  return read_turns(*value, key);
}

// The first of `keys` that is given, or an empty one.
std::string_view first_given(const Json& row, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (find_given(row, key) != nullptr) return key;
  }
  return {};
}

// One of the fields that can hold a prompt, which is given.
Result<std::vector<Turn>> read_field(const Json& row, std::string_view key) {
  if (key == "prompt") return read_text_or_turns(row, key, "user");
  if (key != "instruction") return read_turns(*find_given(row, key), key);
  PHIAL_TRY(std::string text, read_text(row, key));
  PHIAL_TRY(const std::string input, read_text(row, "input"));
  if (!text.empty() && !input.empty()) text += "\n\n";
  return std::vector<Turn>{{"user", text + input}};
}

Status put_system_first(const Json& row, std::vector<Turn>& turns) {
  PHIAL_TRY(std::string text, read_text(row, "system"));
  if (text.empty()) return ok();
  if (!turns.empty() && turns.front().role == "system") return unusable_row("has a 'system' beside a system turn");
  turns.insert(turns.begin(), Turn{"system", std::move(text)});
  return ok();
}

Status read_images(const Json& row, std::vector<std::string>& into) {
  const Json* list = find_given(row, "images");
  if (list == nullptr) return ok();
  const auto is_file = [](const Json& item) { return item.is_string() && !item.get_ref<const std::string&>().empty(); };
  if (!list->is_array() || !std::ranges::all_of(*list, is_file)) {
    return Error{Code::kCorrupt, "'images' is not a list of files", "name the files of pictures there"};
  }
  for (const Json& item : *list) into.push_back(item.get<std::string>());
  return ok();
}

// No turns if the text is not such a dialogue. Blanks around a turn's text are layout.
std::vector<Turn> parse_dialogue(std::string_view text) {
  std::vector<Turn> turns;
  size_t begin = 0;  // of the last turn's text
  for (size_t at = text.find("\n\n"); at != text.npos; at = text.find("\n\n", at + 1)) {
    for (const auto& [mark, role] : kDialogueMarks) {
      if (!text.substr(at).starts_with(mark)) continue;
      if (turns.empty() && at != 0) return {};
      if (!turns.empty()) turns.back().text = trim_blanks(text.substr(begin, at - begin));
      turns.push_back({std::string(role), ""});
      begin = at + mark.size();
    }
  }
  if (!turns.empty()) turns.back().text = trim_blanks(text.substr(begin));
  return turns;
}

Result<std::vector<Turn>> read_dialogue(const Json& row, std::string_view key) {
  const std::string* text = find_string(row, key);
  if (text == nullptr) return read_text_or_turns(row, key, "assistant");
  std::vector<Turn> turns = parse_dialogue(*text);
  if (!turns.empty()) return turns;
  return unusable_row("has no prompt, neither as a field nor as turns of 'Human:' and 'Assistant:' in " +
                      in_quotes(key));
}

// Up to its last turn of a user.
std::vector<Turn> common_start(const std::vector<Turn>& a, const std::vector<Turn>& b) {
  auto end = std::ranges::mismatch(a, b).in1;
  while (end != a.begin() && std::prev(end)->role != "user") --end;
  return {a.begin(), end};
}

void remove_prompt(const std::vector<Turn>& prompt, std::vector<Turn>& turns) {
  const auto same = std::ranges::mismatch(prompt, turns);
  if (same.in1 == prompt.end()) turns.erase(turns.begin(), same.in2);
}

Status check_preference(const Preference& read) {
  if (read.chosen == read.rejected) return unusable_row("has the same for 'chosen' and 'rejected'");
  if (read.prompt.empty() || read.prompt.back().role != "user") {
    return unusable_row("has a prompt that does not end with a user's turn");
  }
  for (const auto& [key, turns] : {std::pair("chosen", &read.chosen), std::pair("rejected", &read.rejected)}) {
    if (turns->empty() || turns->front().role != "assistant" || turns->back().role != "assistant") {
      return unusable_row(in_quotes(key) + ", without the prompt, does not begin and end with an assistant's turn");
    }
  }
  return ok();
}

Status placed(const std::string& place, Status status) {
  if (!status) status.error().message.insert(0, place + ": ");
  return status;
}

using RowTaker = std::function<Status(const Json&)>;

Status take_lines(std::string_view text, const std::string& file, const RowTaker& take) {
  size_t number = 0;
  for (size_t at = 0, end = 0; at < text.size(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    ++number;
    if (trim_blanks(line).empty()) continue;
    const auto row = parse_json(line);
    PHIAL_CHECKED(placed(file + ", line " + std::to_string(number), row ? take(*row) : Status(row.error())));
  }
  return ok();
}

Status take_items(std::string_view text, const std::string& file, const RowTaker& take) {
  const auto items = parse_json(text);
  if (!items || !items->is_array()) {
    return Error{Code::kCorrupt, file + ": " + (items ? "is not an array" : items.error().message),
                 "a .json file is an array of objects; a file of one object a line is named .jsonl"};
  }
  size_t number = 0;
  for (const Json& item : *items) {
    ++number;
    PHIAL_CHECKED(placed(file + ", item " + std::to_string(number), take(item)));
  }
  return ok();
}

template <class Row>
Result<std::vector<Row>> read_file(const std::filesystem::path& path, Result<Row> (*from_json)(const Json&)) {
  PHIAL_TRY(const MappedFile file, MappedFile::open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const std::string name = path.string();
  std::vector<Row> rows;
  const RowTaker take = [&](const Json& json) -> Status {
    PHIAL_TRY(Row row, from_json(json));
    rows.push_back(std::move(row));
    return ok();
  };
  const std::filesystem::path ending = path.extension();
  if (ending != ".jsonl" && ending != ".json") {
    return Error{Code::kUnsupported, name + ": is neither a .jsonl nor a .json file", "convert or unpack it"};
  }
  PHIAL_CHECKED(ending == ".json" ? take_items(text, name, take) : take_lines(text, name, take));
  if (rows.empty()) return Error{Code::kInvalid, name + ": has no rows", "give a file with at least one"};
  return rows;
}

}  // namespace

Result<Conversation> conversation_from_json(const Json& row) {
  if (!row.is_object()) return wrong_kind("is not a JSON object");
  const std::string_view key = first_given(row, {"messages", "conversations", "instruction", "prompt"});
  if (key.empty()) return unusable_row("has no 'messages', 'conversations', 'instruction' or 'prompt'");
  Conversation read;
  PHIAL_TRY(read.turns, read_field(row, key));
  if (key == "instruction" || key == "prompt") {
    const std::string_view answer_key = key == "prompt" ? "completion" : "output";
    PHIAL_TRY(const std::vector<Turn> answer, read_text_or_turns(row, answer_key, "assistant"));
    read.turns.insert(read.turns.end(), answer.begin(), answer.end());
  }
  PHIAL_CHECKED(put_system_first(row, read.turns));
  PHIAL_CHECKED(read_images(row, read.images));
  const auto is_answer = [](const Turn& turn) { return turn.role == "assistant" && !trim_blanks(turn.text).empty(); };
  if (std::ranges::none_of(read.turns, is_answer)) return unusable_row("has no assistant's turn with text");
  return read;
}

Result<Preference> preference_from_json(const Json& row) {
  if (!row.is_object()) return wrong_kind("is not a JSON object");
  const std::string_view key = first_given(row, {"conversations", "instruction", "prompt"});
  const auto read_answer = [&](std::string_view answer_key) {
    return key.empty() ? read_dialogue(row, answer_key) : read_text_or_turns(row, answer_key, "assistant");
  };
  Preference read;
  PHIAL_TRY(read.chosen, read_answer("chosen"));
  PHIAL_TRY(read.rejected, read_answer("rejected"));
  PHIAL_TRY(read.prompt, key.empty() ? common_start(read.chosen, read.rejected) : read_field(row, key));
  remove_prompt(read.prompt, read.chosen);
  remove_prompt(read.prompt, read.rejected);
  PHIAL_CHECKED(put_system_first(row, read.prompt));
  PHIAL_CHECKED(read_images(row, read.images));
  PHIAL_CHECKED(check_preference(read));
  return read;
}

Result<std::vector<Conversation>> read_conversations(const std::filesystem::path& path) {
  return read_file(path, conversation_from_json);
}

Result<std::vector<Preference>> read_preferences(const std::filesystem::path& path) {
  return read_file(path, preference_from_json);
}

}  // namespace phial::formats

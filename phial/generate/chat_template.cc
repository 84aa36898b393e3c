#include "phial/generate/chat_template.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/generate/jinja/interpreter.h"
#include "phial/generate/jinja/parser.h"

namespace phial::generate {
namespace {

constexpr size_t kLongestTemplate = size_t{1} << 20;
// A step costs 16, a byte 1: no real template comes near either.
constexpr uint64_t kBudget = uint64_t{1} << 25;
constexpr uint64_t kBudgetOfByte = 256;

bool is_role(std::string_view role) {
  return !role.empty() &&
         std::all_of(role.begin(), role.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

// Noon of yyyy-mm-dd; the first day of 1970 for what is no date.
std::tm noon_of(std::string_view date) {
  int part[3] = {1970, 1, 1};
  const char* at = date.data();
  const char* end = at + date.size();
  for (int& number : part) {
    at = std::from_chars(at, end, number).ptr;
    if (at != end) ++at;
  }
  using namespace std::chrono;
  year_month_day day(year(part[0]), month(static_cast<unsigned>(part[1])),
                     std::chrono::day(static_cast<unsigned>(part[2])));
  if (!day.ok()) day = year_month_day(year(1970), January, std::chrono::day(1));
  const sys_days days = day;
  std::tm time = {};
  time.tm_year = static_cast<int>(day.year()) - 1900;
  time.tm_mon = static_cast<int>(static_cast<unsigned>(day.month())) - 1;
  time.tm_mday = static_cast<int>(static_cast<unsigned>(day.day()));
  time.tm_wday = static_cast<int>(weekday(days).c_encoding());
  time.tm_yday = static_cast<int>((days - sys_days(day.year() / January / 1)).count());
  time.tm_hour = 12;
  return time;
}

// A message as templates see it. kInvalid for a role that is no word.
Result<jinja::Value> value_of(const Message& message) {
  if (!is_role(message.role)) {
    return Error{Code::kInvalid, "'" + printable(message.role) + "' is no role", "use system, user or assistant"};
  }
  jinja::Text content;
  content.append_plain(repair_utf8(message.content));
  using jinja::Value;
  return jinja::make_dict({{Value::own_text("role"), Value::own_text(message.role)},
                           {Value::own_text("content"), Value::of(std::move(content))}});
}

std::vector<PromptSegment> segments_of(const jinja::Text& text) {
  std::vector<PromptSegment> segments;
  const auto add = [&](size_t start, size_t end, bool is_data) {
    if (start < end) segments.push_back({text.bytes.substr(start, end - start), is_data});
  };
  size_t done = 0;
  for (const jinja::TextRange& range : text.plain) {
    add(done, range.start, false);
    add(range.start, range.end, true);
    done = range.end;
  }
  add(done, text.bytes.size(), false);
  return segments;
}

}  // namespace

struct ChatTemplate::Parsed {
  std::vector<jinja::Statement> statements;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Parsed> parsed) : parsed_(std::move(parsed)) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  if (source.size() > kLongestTemplate) {
    return Error{Code::kOutOfRange, "the chat template has " + std::to_string(source.size()) + " bytes",
                 "at most " + std::to_string(kLongestTemplate) + " are read"};
  }
  if (!is_valid_utf8(source)) return Error{Code::kCorrupt, "the chat template is not UTF-8", ""};
  PHIAL_TRY(auto statements, jinja::parse(source));
  return ChatTemplate(std::make_unique<Parsed>(Parsed{std::move(statements)}));
}

Result<std::vector<PromptSegment>> ChatTemplate::render(std::span<const Message> messages,
                                                        const TemplateContext& context) const {
  using jinja::Value;
  uint64_t bytes = 0;
  std::vector<Value> list;
  for (const Message& message : messages) {
    bytes += message.content.size();
    PHIAL_TRY(Value value, value_of(message));
    list.push_back(std::move(value));
  }
  jinja::Interpreter interpreter(kBudget + kBudgetOfByte * bytes, noon_of(context.date));
  PHIAL_TRY(Value all, jinja::make_list(std::move(list)));
  interpreter.define("messages", std::move(all));
  interpreter.define("add_generation_prompt", Value::of(context.add_generation_prompt));
  interpreter.define("bos_token", Value::own_text(context.bos_token));
  interpreter.define("eos_token", Value::own_text(context.eos_token));
  interpreter.define("tools", Value::none());
  interpreter.define("documents", Value::none());
  PHIAL_TRY(const jinja::Text text, interpreter.run(parsed_->statements));
  return segments_of(text);
}

}  // namespace phial::generate

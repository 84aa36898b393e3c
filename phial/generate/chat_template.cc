#include "phial/generate/chat_template.h"

#include <algorithm>

#include "phial/generate/jinja_interpreter.h"
#include "phial/generate/jinja_parser.h"

namespace phial::generate {
namespace {

bool is_role(std::string_view role) {
  return !role.empty() &&
         std::all_of(role.begin(), role.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

}  // namespace

ChatTemplate::ChatTemplate(std::unique_ptr<jinja::Node> root) : root_(std::move(root)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  PHIAL_TRY(auto root, jinja::parse(source));
  return ChatTemplate(std::move(root));
}

Result<std::vector<PromptSegment>> ChatTemplate::render(std::span<const Message> messages,
                                                        const TemplateContext& context) const {
  jinja::List list;
  for (const Message& message : messages) {
    if (!is_role(message.role)) {
      return Error{Code::kInvalid, "'" + message.role + "' is no role", "use system, user or assistant"};
    }
    jinja::Dict dict;
    dict.set("role", jinja::Value::text(message.role));
    dict.set("content", jinja::Value(jinja::Text(message.content, true)));
    list.emplace_back(std::move(dict));
  }
  jinja::Dict globals;
  globals.set("messages", jinja::Value(std::move(list)));
  globals.set("bos_token", jinja::Value::text(context.bos_token));
  globals.set("eos_token", jinja::Value::text(context.eos_token));
  globals.set("add_generation_prompt", jinja::Value(context.add_generation_prompt));
  globals.set("tools", jinja::Value::none());
  globals.set("documents", jinja::Value::none());
  PHIAL_TRY(const jinja::Text text, jinja::run(*root_, globals, context.date));

  std::vector<PromptSegment> segments;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    while (end < text.size() && text.is_data(end) == text.is_data(at)) ++end;
    segments.push_back({text.bytes().substr(at, end - at), text.is_data(at)});
    at = end;
  }
  return segments;
}

}  // namespace phial::generate

#include "phial/generate/chat.h"

#include <algorithm>
#include <utility>

#include "phial/base/check.h"
#include "phial/base/mapped_file.h"
#include "phial/spec/chat_format.h"

namespace phial::generate {
namespace {

// The ids of "eos_token_id": one or several.
void add_end_ids(const Json& object, std::string_view key, std::vector<int32_t>& ids) {
  const Json* member = find_member(object, key);
  if (member == nullptr) return;
  const auto add = [&](const Json& id) {
    if (!id.is_number_integer()) return;
    const auto value = id.get<int64_t>();
    if (value >= 0 && value <= INT32_MAX) ids.push_back(static_cast<int32_t>(value));
  };
  if (member->is_array()) {
    for (const Json& id : *member) add(id);
  } else {
    add(*member);
  }
}

// A file of the model's folder, if it is there and JSON.
Result<Json> read_beside(const std::filesystem::path& folder, const char* name) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder / name, ignored)) return Json::object();
  PHIAL_TRY(const std::string text, read_text_file(folder / name));
  auto json = parse_json(text);
  if (!json) return std::move(json).error().in((folder / name).string());
  return json;
}

// "chat_template": a text, or a list of named ones of which "default" is meant.
std::string template_in(const Json& config) {
  if (const std::string* text = find_string(config, "chat_template")) return *text;
  const Json* list = find_member(config, "chat_template");
  if (list == nullptr || !list->is_array()) return {};
  for (const Json& entry : *list) {
    const std::string* name = find_string(entry, "name");
    const std::string* text = find_string(entry, "template");
    if (name != nullptr && text != nullptr && *name == "default") return *text;
  }
  return {};
}

// The text of a vocabulary's token, for templates that name bos_token.
std::string text_of(const tokenizer::Tokenizer& tokenizer, std::optional<int32_t> id) {
  if (!id) return {};
  for (const tokenizer::SpecialToken& token : tokenizer.special_tokens()) {
    if (token.id == *id) return token.text;
  }
  return tokenizer.bytes_of(*id, /*show_special=*/true);
}

bool is_special(const tokenizer::Tokenizer& tokenizer, std::string_view text) {
  const auto& specials = tokenizer.special_tokens();
  return std::any_of(specials.begin(), specials.end(), [&](const auto& token) { return token.text == text; });
}

// Whether the template shows a system message. Some leave it out without a word, some refuse it.
bool shows_system(const ChatTemplate& chat_template, const TemplateContext& context) {
  constexpr std::string_view kProbe = "a probe";
  const std::vector<Message> messages = {{"system", std::string(kProbe)}, {"user", "x"}};
  const auto segments = chat_template.render(messages, context);
  return segments && std::any_of(segments->begin(), segments->end(), [&](const PromptSegment& segment) {
           return segment.is_data && segment.text.find(kProbe) != std::string::npos;
         });
}

std::vector<Message> join_system(std::span<const Message> messages) {
  std::vector<Message> joined;
  std::string system;
  for (const Message& message : messages) {
    if (message.role == "system") {
      if (!message.content.empty()) system += message.content + "\n\n";
    } else if (message.role == "user") {
      joined.push_back({message.role, std::exchange(system, {}) + message.content});
    } else {
      joined.push_back(message);
    }
  }
  if (!system.empty()) joined.push_back({"user", std::move(system)});
  return joined;
}

}  // namespace

Result<ChatFacts> read_chat_facts(const formats::Checkpoint& checkpoint) {
  ChatFacts facts;
  const Json& metadata = checkpoint.metadata();
  if (checkpoint.kind() == formats::CheckpointKind::kGguf) {
    if (const std::string* text = find_string(metadata, "tokenizer.chat_template")) facts.template_text = *text;
    add_end_ids(metadata, "tokenizer.ggml.eos_token_id", facts.end_ids);
    return facts;
  }
  std::error_code ignored;
  const std::filesystem::path folder =
      std::filesystem::is_directory(checkpoint.path(), ignored) ? checkpoint.path() : checkpoint.path().parent_path();
  add_end_ids(metadata, "eos_token_id", facts.end_ids);
  PHIAL_TRY(const Json generation, read_beside(folder, "generation_config.json"));
  add_end_ids(generation, "eos_token_id", facts.end_ids);
  PHIAL_TRY(const Json tokenizer_config, read_beside(folder, "tokenizer_config.json"));
  facts.template_text = template_in(tokenizer_config);
  if (std::filesystem::exists(folder / "chat_template.jinja", ignored)) {
    PHIAL_TRY(facts.template_text, read_text_file(folder / "chat_template.jinja"));
  }
  return facts;
}

const spec::ChatFormat& builtin_format(const tokenizer::Tokenizer& tokenizer) {
  return spec::chat_format_for([&](std::string_view text) { return is_special(tokenizer, text); });
}

Chat Chat::make(const ChatFacts& facts, const tokenizer::Tokenizer& tokenizer, std::string date, Log log) {
  const spec::ChatFormat& format = builtin_format(tokenizer);
  auto builtin = ChatTemplate::parse(format.template_text);
  PHIAL_CHECK(builtin.has_value());
  Chat chat(tokenizer, *std::move(builtin));
  chat.log_ = std::move(log);
  if (!facts.template_text.empty()) {
    auto own = ChatTemplate::parse(facts.template_text);
    if (own) {
      chat.own_ = *std::move(own);
    } else {
      chat.log_(Severity::kWarning,
                own.error().text() + "; the built-in format '" + std::string(format.family) + "' serves instead");
    }
  }
  chat.end_ids_ = tokenizer.end_of_text();
  chat.end_ids_.insert(chat.end_ids_.end(), facts.end_ids.begin(), facts.end_ids.end());
  for (const std::string_view text : spec::end_of_answer_tokens()) {
    if (!is_special(tokenizer, text)) continue;
    if (const auto id = tokenizer.id_of(text)) chat.end_ids_.push_back(*id);
  }
  std::sort(chat.end_ids_.begin(), chat.end_ids_.end());
  chat.end_ids_.erase(std::unique(chat.end_ids_.begin(), chat.end_ids_.end()), chat.end_ids_.end());

  chat.context_.bos_token = text_of(tokenizer, tokenizer.bos());
  const auto declared_ends = tokenizer.end_of_text();
  if (!declared_ends.empty()) chat.context_.eos_token = text_of(tokenizer, declared_ends.front());
  chat.context_.date = std::move(date);
  if (chat.own_ && !shows_system(*chat.own_, chat.context_)) {
    chat.joins_system_ = true;
    chat.log_(Severity::kDetail, "the chat template shows no system message: it joins the question that follows");
  }
  return chat;
}

Result<std::vector<PromptSegment>> Chat::render(std::span<const Message> messages) const {
  if (own_) {
    auto rendered = joins_system_ ? own_->render(join_system(messages), context_) : own_->render(messages, context_);
    if (rendered) return rendered;
    if (!warned_->test_and_set()) {
      log_(Severity::kWarning, rendered.error().text() + "; the family's built-in format serves instead");
    }
  }
  return builtin_.render(messages, context_);
}

Result<std::vector<int32_t>> Chat::encode(std::span<const Message> messages) const {
  PHIAL_TRY(const std::vector<PromptSegment> segments, render(messages));
  std::string text;
  std::vector<tokenizer::TextRange> plain;
  for (const PromptSegment& segment : segments) {
    if (segment.is_data) plain.push_back({text.size(), text.size() + segment.text.size()});
    text += segment.text;
  }
  return tokenizer_->encode(text, {.parse_special = true, .add_bos = tokenizer_->adds_bos(), .plain_ranges = plain});
}

}  // namespace phial::generate

#include "phial/generate/chat.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "phial/base/check.h"
#include "phial/base/json_file.h"
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

// Where pictures stand in messages, as text that a template carries along and no message holds.
class PictureMarks {
 public:
  // Each message's pictures stand before its content, or at its picture_at.
  explicit PictureMarks(std::span<const Message> messages) : PictureMarks(messages, 0) {
    size_t k = 0;
    for (Message& message : messages_) {
      const bool leads = message.picture_at.empty();
      PHIAL_CHECK(leads || message.picture_at.size() == message.pictures.size());
      std::string marked;
      size_t done = 0;
      for (size_t i = 0; i < message.pictures.size(); ++i) {
        const size_t at = leads ? 0 : message.picture_at[i];
        PHIAL_CHECK(done <= at && at <= message.content.size());
        marked.append(message.content, done, at - done).append(mark(k++)).append(leads ? "\n" : "");
        done = at;
      }
      message.content = marked.append(message.content, done);
    }
  }
  // The tags of so many pictures stand in contents.
  PictureMarks(std::span<const Message> messages, size_t tags) : messages_(messages.begin(), messages.end()) {
    // One more than all contents have together: no template puts so many of them in a row.
    size_t said = 0;
    for (const Message& message : messages) said += std::ranges::count(message.content, '\1');
    start_.assign(said + 1, '\1');
    for (Message& message : messages_) {
      for (size_t k = 0; k < tags; ++k) {
        const std::string tag = picture_tag(k + 1);
        for (size_t at = 0; (at = message.content.find(tag, at)) != std::string::npos;) {
          const std::string own = mark(k);
          message.content.replace(at, tag.size(), own);
          at += own.size();
        }
      }
    }
  }

  std::span<const Message> messages() const { return messages_; }

  struct Found {
    size_t begin = 0, end = 0;  // of the mark
    size_t picture = 0;         // counted from 0
  };
  // The first mark of a text from a place on.
  std::optional<Found> find(std::string_view text, size_t from) const {
    for (size_t begin = from; (begin = text.find(start_, begin)) != text.npos; ++begin) {
      // What stands before a mark may end with bytes as it begins with, which are then not followed by a number.
      Found found = {.begin = begin};
      const char* number = text.data() + begin + start_.size();
      const auto [end, error] = std::from_chars(number, text.data() + text.size(), found.picture);
      found.end = static_cast<size_t>(end - text.data()) + 1;
      if (error == std::errc() && found.picture < pictures_ && found.end <= text.size() && *end == '\2') return found;
    }
    return std::nullopt;
  }
  size_t count(std::string_view text) const {
    size_t n = 0;
    for (auto mark = find(text, 0); mark; mark = find(text, mark->end)) ++n;
    return n;
  }

  // How many marks stand in the messages.
  size_t placed() const { return placed_; }

 private:
  std::string mark(size_t k) {
    pictures_ = std::max(pictures_, k + 1);
    ++placed_;
    return start_ + std::to_string(k) + '\2';
  }

  std::vector<Message> messages_;
  std::string start_;
  size_t pictures_ = 0, placed_ = 0;
};

struct RenderedText {
  explicit RenderedText(std::span<const PromptSegment> segments) {
    for (const PromptSegment& segment : segments) {
      if (segment.is_data) plain.push_back({text.size(), text.size() + segment.text.size()});
      text += segment.text;
    }
  }
  std::string text;
  std::vector<tokenizer::TextRange> plain;  // what is data
};

namespace {

// The parts of `ranges` between two places of a text, counted from the first.
std::vector<tokenizer::TextRange> ranges_within(std::span<const tokenizer::TextRange> ranges, size_t begin,
                                                size_t end) {
  std::vector<tokenizer::TextRange> inside;
  for (const tokenizer::TextRange& range : ranges) {
    const size_t from = std::max(range.start, begin), to = std::min(range.end, end);
    if (from < to) inside.push_back({from - begin, to - begin});
  }
  return inside;
}

}  // namespace

std::string picture_tag(size_t k) { return "<|image_" + std::to_string(k) + "|>"; }

Result<ChatFacts> read_chat_facts(const formats::Checkpoint& checkpoint) {
  const Json& metadata = checkpoint.metadata();
  if (checkpoint.kind() != formats::CheckpointKind::kGguf) return read_chat_facts(metadata, checkpoint.folder());
  ChatFacts facts;
  if (const std::string* text = find_string(metadata, "tokenizer.chat_template")) facts.template_text = *text;
  add_end_ids(metadata, "tokenizer.ggml.eos_token_id", facts.end_ids);
  return facts;
}

Result<ChatFacts> read_chat_facts(const Json& config, const std::filesystem::path& folder) {
  ChatFacts facts;
  add_end_ids(config, "eos_token_id", facts.end_ids);
  PHIAL_TRY(const Json generation, read_json_if_there(folder / "generation_config.json"));
  add_end_ids(generation, "eos_token_id", facts.end_ids);
  PHIAL_TRY(const Json tokenizer_config, read_json_if_there(folder / "tokenizer_config.json"));
  facts.template_text = template_in(tokenizer_config);
  std::error_code ignored;
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

Result<std::vector<PromptSegment>> Chat::render(std::span<const Message> messages, bool asks, Use use) const {
  TemplateContext context = context_;
  context.add_generation_prompt = asks;
  if (own_) {
    auto rendered = joins_system_ ? own_->render(join_system(messages), context) : own_->render(messages, context);
    // What is trained on must not be in two formats.
    if (rendered || use == Use::kToLearn) return rendered;
    if (!warned_->test_and_set()) {
      log_(Severity::kWarning, rendered.error().text() + "; the family's built-in format serves instead");
    }
  }
  return builtin_.render(messages, context);
}

std::vector<int32_t> Chat::encode_text(std::string_view text, std::span<const tokenizer::TextRange> plain) const {
  return tokenizer_->encode(text, {.parse_special = true, .add_bos = tokenizer_->adds_bos(), .plain_ranges = plain});
}

std::vector<int32_t> Chat::encode_pieces(const RenderedText& rendered, const PictureMarks& marks,
                                         std::span<const int> picture_tokens) const {
  const std::string_view text = rendered.text;
  std::vector<int32_t> ids;
  for (size_t done = 0;;) {
    const auto mark = picture_tokens.empty() ? std::nullopt : marks.find(text, done);
    const size_t end = mark ? mark->begin : text.size();
    const std::vector<int32_t> piece =
        encode_text(text.substr(done, end - done), ranges_within(rendered.plain, done, end));
    ids.insert(ids.end(), piece.begin(), piece.end());
    if (!mark) return ids;
    ids.insert(ids.end(), static_cast<size_t>(picture_tokens[mark->picture]), -static_cast<int32_t>(mark->picture) - 1);
    done = mark->end;
  }
}

Result<std::vector<int32_t>> Chat::encode_to_learn(std::span<const Message> messages, bool asks,
                                                   std::span<const int> picture_tokens) const {
  const PictureMarks marks(messages, picture_tokens.size());
  PHIAL_TRY(const std::vector<PromptSegment> segments, render(marks.messages(), asks, Use::kToLearn));
  const RenderedText rendered(segments);
  if (marks.count(rendered.text) < marks.placed()) {
    return Error{Code::kUnsupported, "the model's chat template leaves out a picture",
                 "put one that shows all messages beside the model, as chat_template.jinja"};
  }
  return encode_pieces(rendered, marks, picture_tokens);
}

Result<EncodedConversation> Chat::encode_conversation(std::span<const Message> messages, size_t first,
                                                      std::span<const int> picture_tokens) const {
  PHIAL_TRY(std::vector<int32_t> ids, encode_to_learn(messages, /*asks=*/false, picture_tokens));
  EncodedConversation encoded = {std::move(ids), {}};
  encoded.is_answer.resize(encoded.ids.size());
  for (size_t k = first; k < messages.size(); ++k) {
    if (messages[k].role != "assistant") continue;
    PHIAL_TRY(const std::vector<int32_t> before, encode_to_learn(messages.first(k), /*asks=*/true, picture_tokens));
    PHIAL_TRY(const std::vector<int32_t> through,
              encode_to_learn(messages.first(k + 1), /*asks=*/false, picture_tokens));
    const auto common = static_cast<size_t>(std::ranges::mismatch(before, encoded.ids).in1 - before.begin());
    const size_t most = std::min(through.size(), encoded.ids.size());
    const auto begin = encoded.ids.begin() + static_cast<std::ptrdiff_t>(std::min(common, most));
    const auto limit = encoded.ids.begin() + static_cast<std::ptrdiff_t>(most);
    const auto end = std::find_first_of(begin, limit, end_ids_.begin(), end_ids_.end());
    // The last token before an answer may have taken the answer's first letter in.
    if (end == limit || common + 1 < before.size()) {
      return Error{Code::kUnsupported,
                   "the chat template does not write message " + std::to_string(k + 1) +
                       " as it asks for it, with a token that ends it",
                   "put one that does beside the model, as chat_template.jinja"};
    }
    std::fill(encoded.is_answer.begin() + (begin - encoded.ids.begin()),
              encoded.is_answer.begin() + (end - encoded.ids.begin()) + 1, true);
  }
  return encoded;
}

Result<std::vector<int32_t>> Chat::encode(std::span<const Message> messages,
                                          std::span<const int> picture_tokens) const {
  const PictureMarks marks(messages);
  PHIAL_TRY(const std::vector<PromptSegment> segments, render(marks.messages(), /*asks=*/true, Use::kToAnswer));
  const RenderedText rendered(segments);
  if (marks.count(rendered.text) < picture_tokens.size()) {
    return Error{Code::kUnsupported, "the model's chat template leaves out a picture", "ask without it"};
  }
  return encode_pieces(rendered, marks, picture_tokens);
}

}  // namespace phial::generate

// Messages -> token ids, by the model's own chat template or, where that is missing or fails, by its family's.
//
// What stands in a message is data: the text of a special token in it is encoded as ordinary text.
// Threads: immutable once made.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/log.h"
#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/generate/chat_template.h"
#include "phial/generate/language_model.h"
#include "phial/spec/chat_format.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::generate {

// What a model's files say about its chats.
struct ChatFacts {
  std::string template_text;     // empty: none
  std::vector<int32_t> end_ids;  // that the configuration names, beyond the vocabulary's own
};

// Reads them from a GGUF's metadata or a folder's tokenizer_config.json, chat_template.jinja and
// generation_config.json.
Result<ChatFacts> read_chat_facts(const formats::Checkpoint& checkpoint);
// Of a folder that may have no weights yet. `config`: its config.json.
Result<ChatFacts> read_chat_facts(const Json& config, const std::filesystem::path& folder);

// What serves where the model brings no template: that of the family whose markers the vocabulary has.
const spec::ChatFormat& builtin_format(const tokenizer::Tokenizer& tokenizer);

// What stands for picture k, counted from 1, in texts that training takes: "<|image_1|>".
std::string picture_tag(size_t k);

// A conversation that has its answers, as training takes it.
struct EncodedConversation {
  std::vector<int32_t> ids;
  std::vector<bool> is_answer;  // of each id: part of what the assistant said, or the token that ends it
};

class PictureMarks;
struct RenderedText;

class Chat {
 public:
  // A template that cannot be parsed, or later refuses messages, is a warning (once), and the family's built-in one
  // serves. Where a template has no place for system messages, they join the question that follows. `tokenizer`
  // outlives the object. `date` is yyyy-mm-dd.
  static Chat make(const ChatFacts& facts, const tokenizer::Tokenizer& tokenizer, std::string date, Log log);

  // The prompt up to where the assistant speaks. One BOS at most, and after each picture one more, as Phi-3-vision's
  // own processor has it: it cuts the text at the pictures and encodes every piece on its own. Picture k of the
  // messages, counted from 1, becomes picture_tokens[k - 1] times the id -k.
  Result<std::vector<int32_t>> encode(std::span<const Message> messages,
                                      std::span<const int> picture_tokens = {}) const;

  // The whole conversation, ended. Answers are those of messages[first] and on; they begin where `encode` of the
  // messages before them would leave the model to speak. The family's format serves only where there is no template.
  // kUnsupported if the template writes an answer otherwise than it asks for it, or leaves it open; its own errors.
  // With `picture_tokens` the texts "<|image_k|>" in the messages, counted from 1, stand for the pictures; they are
  // encoded as encode() does it. The messages' own pictures are not looked at.
  Result<EncodedConversation> encode_conversation(std::span<const Message> messages, size_t first = 0,
                                                  std::span<const int> picture_tokens = {}) const;

  // The tokens that end an answer.
  const std::vector<int32_t>& end_ids() const { return end_ids_; }

 private:
  Chat(const tokenizer::Tokenizer& tokenizer, ChatTemplate builtin)
      : tokenizer_(&tokenizer), builtin_(std::move(builtin)) {}
  enum class Use { kToAnswer, kToLearn };
  // `asks`: up to where the assistant speaks.
  Result<std::vector<PromptSegment>> render(std::span<const Message> messages, bool asks, Use use) const;
  Result<std::vector<int32_t>> encode_to_learn(std::span<const Message> messages, bool asks,
                                               std::span<const int> picture_tokens) const;
  std::vector<int32_t> encode_text(std::string_view text, std::span<const tokenizer::TextRange> plain) const;

  // The marked pictures as ids -k, and the texts around them, each encoded on its own.
  std::vector<int32_t> encode_pieces(const RenderedText& rendered, const PictureMarks& marks,
                                     std::span<const int> picture_tokens) const;

  const tokenizer::Tokenizer* tokenizer_;
  ChatTemplate builtin_;
  std::optional<ChatTemplate> own_;
  bool joins_system_ = false;  // own_ would drop or refuse a system message
  std::unique_ptr<std::atomic_flag> warned_ = std::make_unique<std::atomic_flag>();
  TemplateContext context_;
  std::vector<int32_t> end_ids_;
  Log log_;
};

}  // namespace phial::generate

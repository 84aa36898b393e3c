// A model's own chat template: the Jinja text in tokenizer_config.json or a GGUF's tokenizer.chat_template.
//
// Our subset of Jinja covers what chat templates use, and renders them as transformers' apply_chat_template does
// (trim_blocks and lstrip_blocks on). What comes out knows where each byte came from: text that the template wrote, or
// data out of a message, in which the spelling of a special token is only spelling.
// Errors: kUnsupported names a construct we do not have, kInvalid carries the text of raise_exception, kOutOfRange a
// limit (a hostile template ends, in bounded time and memory).
// Threads: immutable once parsed.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/generate/language_model.h"

namespace phial::generate {

struct PromptSegment {
  std::string text;
  bool is_data = false;  // out of a message's content
};

struct TemplateContext {
  std::string bos_token, eos_token;
  bool add_generation_prompt = true;
  std::string date = "1970-01-01";  // for strftime_now: yyyy-mm-dd
};

class ChatTemplate {
 public:
  static Result<ChatTemplate> parse(std::string_view source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // Neighbouring segments differ in is_data. Roles must be words of a-z and '_': they are part of the markers.
  Result<std::vector<PromptSegment>> render(std::span<const Message> messages, const TemplateContext& context) const;

 private:
  struct Parsed;
  explicit ChatTemplate(std::unique_ptr<Parsed> parsed);
  std::unique_ptr<Parsed> parsed_;
};

}  // namespace phial::generate

// Roles and markers of each family's prompt, for models that bring no chat template or one that fails.
//
// Source: the published templates of each family; Phi-3 technical report, appendix (arXiv 2404.14219).
#pragma once

#include <functional>
#include <span>
#include <string_view>

namespace phial::spec {

struct ChatFormat {
  std::string_view family;         // "phi3", "chatml", ...
  std::string_view template_text;  // Jinja
};

// The format whose markers the vocabulary has (`has_token` asks it for a special token's exact text); plain lines
// "User: ..." if it has none of them.
const ChatFormat& chat_format_for(const std::function<bool(std::string_view)>& has_token);

// Texts of the tokens that end an answer in any family. The ones a vocabulary has as special tokens are stop tokens.
std::span<const std::string_view> end_of_answer_tokens();

}  // namespace phial::spec

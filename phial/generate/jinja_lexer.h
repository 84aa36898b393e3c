// Cuts a template into text and the tokens of its tags, with Jinja's rules for white space as transformers sets them:
// trim_blocks, lstrip_blocks, and one newline at the end of the template dropped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"

namespace phial::generate::jinja {

enum class TokenKind {
  kData,         // text between tags
  kBlockBegin,   // {%
  kBlockEnd,     // %}
  kOutputBegin,  // {{
  kOutputEnd,    // }}
  kName,
  kString,  // unescaped
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 1;
};

// kInvalid with the line number for a tag or string that does not end, or a character that no expression has.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace phial::generate::jinja

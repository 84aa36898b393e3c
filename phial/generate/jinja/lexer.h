// Cuts a chat template into text and the tokens of its tags, with the white space control that Hugging Face sets:
// trim_blocks and lstrip_blocks on, a last newline dropped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"

namespace phial::generate::jinja {

enum class TokenType {
  kData,           // text outside of tags
  kVariableBegin,  // {{
  kVariableEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  std::string text;  // data, name, operator, or a string's value
  int64_t integer = 0;
  double number = 0;
  int line = 1;
};

// kCorrupt with the line for what is not a template. The last token is kEnd.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace phial::generate::jinja

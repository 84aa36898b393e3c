#include "phial/generate/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "phial/base/utf8.h"
#include "phial/generate/jinja/text.h"

namespace phial::generate::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

std::string normalise_newlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      text += '\n';
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalise_newlines(source)) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const size_t open = next_tag();
      if (open == std::string::npos) {
        add_data(at_, source_.size());
        break;
      }
      PHIAL_CHECKED(tag(open));
    }
    add(TokenType::kEnd, "");
    return std::move(tokens_);
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }
  bool starts_with(std::string_view text) const { return source_.compare(at_, text.size(), text) == 0; }
  Error wrong(std::string what) const {
    return {Code::kCorrupt, "chat template line " + std::to_string(line_) + ": " + std::move(what), ""};
  }

  size_t next_tag() const {
    for (size_t i = at_; (i = source_.find('{', i)) != std::string::npos; ++i) {
      const char c = i + 1 < source_.size() ? source_[i + 1] : '\0';
      if (c == '{' || c == '%' || c == '#') return i;
    }
    return std::string::npos;
  }

  // Moves on to `end`, counting lines.
  void advance(size_t end) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    at_ = end;
  }
  void skip_space() {
    size_t end = at_;
    while (end < source_.size()) {
      const DecodedChar c = decode_utf8(source_, end);
      if (!c.valid || !is_python_space(c.code_point)) break;
      end += static_cast<size_t>(c.length);
    }
    advance(end);
  }

  void add(TokenType type, std::string text) {
    Token token;
    token.type = type;
    token.text = std::move(text);
    token.line = line_;
    tokens_.push_back(std::move(token));
  }
  void add_data(size_t start, size_t end) {
    if (end > start) add(TokenType::kData, source_.substr(start, end - start));
  }

  // The data in [at_, open) as the tag's sign and the rule for blocks leave it.
  void data_before(size_t open, char sign, bool is_variable) {
    const std::string_view data = std::string_view(source_).substr(at_, open - at_);
    size_t end = open;
    if (sign == '-') {
      end = at_ + strip(data, "", false, true).end;
    } else if (sign != '+' && !is_variable) {
      const size_t newline = data.rfind('\n');
      const size_t line_start = newline == std::string_view::npos ? 0 : newline + 1;
      const std::string_view indent = data.substr(line_start);
      if ((line_start > 0 || at_line_start_) && strip(indent, "", true, false).start == indent.size()) {
        end = at_ + line_start;
      }
    }
    add_data(at_, end);
  }

  // Behind "-}", "+}" or "}" of a tag: what of the white space belongs to the tag.
  void tag_ended(char sign, bool is_variable) {
    if (sign == '-') {
      skip_space();
    } else if (sign != '+' && !is_variable && peek() == '\n') {
      advance(at_ + 1);
    }
    at_line_start_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  Status tag(size_t open) {
    const char kind = source_[open + 1];
    char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
    if (sign != '-' && sign != '+') sign = '\0';
    data_before(open, sign, kind == '{');
    advance(open + (sign ? 3 : 2));
    if (kind == '#') return comment();
    if (kind == '%') {
      PHIAL_TRY(const bool was_raw, raw());
      if (was_raw) return ok();
    }
    return expression(kind == '{');
  }

  Status comment() {
    const size_t close = source_.find("#}", at_);
    if (close == std::string::npos) return wrong("a comment does not end");
    const char sign = close > at_ ? source_[close - 1] : '\0';
    advance(close + 2);
    tag_ended(sign, false);
    return ok();
  }

  // Behind "{%": {% raw %} ... {% endraw %} is text. False if it is another block.
  Result<bool> raw() {
    const size_t start = at_;
    const int line = line_;
    char sign = '\0';
    if (!word_and_end("raw", sign)) {
      at_ = start;
      line_ = line;
      return false;
    }
    if (sign == '-') skip_space();
    const size_t body = at_;
    for (size_t open = source_.find("{%", body); open != std::string::npos; open = source_.find("{%", open + 2)) {
      char open_sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
      if (open_sign != '-' && open_sign != '+') open_sign = '\0';
      at_ = open + (open_sign ? 3 : 2);
      if (!word_and_end("endraw", sign)) continue;
      const size_t behind = at_;
      at_ = body;
      data_before(open, open_sign, false);
      advance(behind);
      tag_ended(sign, false);
      return true;
    }
    at_ = body;
    return wrong("{% raw %} has no {% endraw %}");
  }

  // Whether `word` and the end of a block stand here; moves behind them.
  bool word_and_end(std::string_view word, char& sign) {
    skip_space();
    if (!starts_with(word)) return false;
    at_ += word.size();
    skip_space();
    sign = peek() == '-' || peek() == '+' ? peek() : '\0';
    if (sign) ++at_;
    if (!starts_with("%}")) return false;
    at_ += 2;
    return true;
  }

  Status expression(bool is_variable) {
    add(is_variable ? TokenType::kVariableBegin : TokenType::kBlockBegin, "");
    const std::string_view close = is_variable ? "}}" : "%}";
    std::string brackets;
    for (;;) {
      skip_space();
      if (at_ >= source_.size()) return wrong(is_variable ? "{{ does not end" : "{% does not end");
      const bool has_sign = peek() == '-' || (peek() == '+' && !is_variable);
      if (brackets.empty() && source_.compare(at_ + (has_sign ? 1 : 0), 2, close) == 0) {
        const char sign = has_sign ? peek() : '\0';
        add(is_variable ? TokenType::kVariableEnd : TokenType::kBlockEnd, "");
        advance(at_ + (has_sign ? 3 : 2));
        tag_ended(sign, is_variable);
        return ok();
      }
      PHIAL_CHECKED(token(brackets));
    }
  }

  Status token(std::string& brackets) {
    const char c = peek();
    if (is_digit(c)) return number();
    if (c == '"' || c == '\'') return string(c);
    if (starts_name(c)) {
      size_t end = at_;
      while (end < source_.size() && (starts_name(source_[end]) || is_digit(source_[end]))) ++end;
      add(TokenType::kName, source_.substr(at_, end - at_));
      at_ = end;
      return ok();
    }
    constexpr std::array<std::string_view, 6> kPairs = {"//", "**", "==", "!=", ">=", "<="};
    for (const std::string_view pair : kPairs) {
      if (!starts_with(pair)) continue;
      add(TokenType::kOperator, std::string(pair));
      at_ += 2;
      return ok();
    }
    if (std::string_view("+-*/%~[](){}><=.:|,").find(c) == std::string_view::npos) {
      return wrong("unexpected character '" + printable(std::string_view(source_).substr(at_, 1)) + "'");
    }
    constexpr std::string_view kOpen = "([{", kClose = ")]}";
    if (kOpen.find(c) != std::string_view::npos) brackets += kClose[kOpen.find(c)];
    if (kClose.find(c) != std::string_view::npos) {
      if (brackets.empty() || brackets.back() != c) return wrong(std::string("unexpected '") + c + "'");
      brackets.pop_back();
    }
    add(TokenType::kOperator, std::string(1, c));
    ++at_;
    return ok();
  }

  size_t digits(size_t at) const {
    while (at < source_.size() &&
           (is_digit(source_[at]) || (source_[at] == '_' && at + 1 < source_.size() && is_digit(source_[at + 1])))) {
      ++at;
    }
    return at;
  }

  Status number() {
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    const auto is_digit_at = [&](size_t at) { return at < source_.size() && is_digit(source_[at]); };
    size_t end = digits(at_);
    bool is_float = false;
    if (!after_dot && end < source_.size() && source_[end] == '.' && is_digit_at(end + 1)) {
      end = digits(end + 1);
      is_float = true;
    }
    if (!after_dot && end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      const size_t sign = end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-') ? 1 : 0;
      if (is_digit_at(end + 1 + sign)) {
        end = digits(end + 1 + sign);
        is_float = true;
      }
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    add(is_float ? TokenType::kFloat : TokenType::kInteger, text);
    Token& token = tokens_.back();
    const char* last = text.data() + text.size();
    const auto parsed =
        is_float ? std::from_chars(text.data(), last, token.number) : std::from_chars(text.data(), last, token.integer);
    if (parsed.ec != std::errc() || parsed.ptr != last) return wrong("the number " + printable(text) + " is too large");
    at_ = end;
    return ok();
  }

  Status string(char quote) {
    std::string value;
    size_t at = at_ + 1;
    while (at < source_.size() && source_[at] != quote) {
      if (source_[at] != '\\') {
        value += source_[at++];
        continue;
      }
      PHIAL_CHECKED(escape(at, value));
    }
    if (at >= source_.size()) return wrong("a string does not end");
    add(TokenType::kString, std::move(value));
    advance(at + 1);
    return ok();
  }

  // source_[at] is a backslash; Python's escapes, unknown ones stay as they are.
  Status escape(size_t& at, std::string& value) {
    if (at + 1 >= source_.size()) return wrong("a string does not end");
    const char c = source_[at + 1];
    constexpr std::string_view kNames = "ntr\\'\"abfv0", kMeanings = "\n\t\r\\'\"\a\b\f\v";
    at += 2;
    const size_t name = kNames.find(c);
    if (name < kMeanings.size()) {
      value += kMeanings[name];
    } else if (c >= '0' && c <= '7') {
      uint32_t code = 0;
      --at;
      for (int i = 0; i < 3 && at < source_.size() && source_[at] >= '0' && source_[at] <= '7'; ++i) {
        code = code * 8 + static_cast<uint32_t>(source_[at++] - '0');
      }
      append_utf8(value, static_cast<char32_t>(code));
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t length = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      uint32_t code = 0;
      const char* first = source_.data() + at;
      const char* last = first + std::min(length, source_.size() - at);
      const auto parsed = std::from_chars(first, last, code, 16);
      if (parsed.ptr != first + length || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
        return wrong("a string holds an escape that is no character");
      }
      append_utf8(value, static_cast<char32_t>(code));
      at += length;
    } else if (c == 'N') {
      return wrong("a string holds a named character (\\N), which is not supported");
    } else if (c != '\n') {
      value += '\\';
      value += c;
    }
    return ok();
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace phial::generate::jinja

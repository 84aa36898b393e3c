#include "phial/generate/jinja_lexer.h"

#include <algorithm>
#include <cctype>

#include "phial/base/utf8.h"

namespace phial::generate::jinja {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool is_name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {
    if (source_.ends_with('\n')) source_.pop_back();
  }

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag(at_);
      data(tag);
      if (tag == std::string::npos) break;
      at_ = tag;
      PHIAL_CHECKED(source_[at_ + 1] == '#' ? comment() : this->tag());
    }
    tokens_.push_back({TokenKind::kEnd, "", line_});
    return std::move(tokens_);
  }

 private:
  size_t next_tag(size_t from) const {
    for (size_t at = source_.find('{', from); at != std::string::npos; at = source_.find('{', at + 1)) {
      if (at + 1 < source_.size() && (source_[at + 1] == '%' || source_[at + 1] == '{' || source_[at + 1] == '#')) {
        return at;
      }
    }
    return std::string::npos;
  }

  // The text up to the tag at `tag`, less what that tag and the one before strip.
  void data(size_t tag) {
    const size_t end = std::min(tag, source_.size());
    std::string text = source_.substr(at_, end - at_);
    if (tag != std::string::npos && tag + 2 < source_.size()) {
      const char sign = source_[tag + 2];
      if (sign == '-') {
        while (!text.empty() && is_space(text.back())) text.pop_back();
      } else if (sign != '+' && source_[tag + 1] != '{') {
        strip_indent(text);
      }
    }
    if (strip_next_) {
      text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), is_space));
    } else if (trim_next_ && text.starts_with('\n')) {
      text.erase(0, 1);
    }
    strip_next_ = trim_next_ = false;
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    if (!text.empty()) tokens_.push_back({TokenKind::kData, std::move(text), line_});
    at_ = end;
  }

  // lstrip_blocks: white space between the start of a line and a block tag goes.
  void strip_indent(std::string& text) const {
    size_t keep = text.size();
    while (keep > 0 && is_space(text[keep - 1]) && text[keep - 1] != '\n') --keep;
    const bool line_starts_here = keep > 0 ? text[keep - 1] == '\n' : at_ == 0 || source_[at_ - 1] == '\n';
    if (line_starts_here) text.resize(keep);
  }

  void after_tag(bool strips, bool trims) {
    strip_next_ = strips;
    trim_next_ = trims;
  }

  Status comment() {
    const size_t end = source_.find("#}", at_ + 2);
    if (end == std::string::npos) return wrong("a comment does not end");
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    const char sign = source_[end - 1];
    after_tag(sign == '-', sign != '+');
    at_ = end + 2;
    return ok();
  }

  Status tag() {
    const bool block = source_[at_ + 1] == '%';
    tokens_.push_back({block ? TokenKind::kBlockBegin : TokenKind::kOutputBegin, "", line_});
    at_ += 2;
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
    const std::string_view end = block ? "%}" : "}}";
    int braces = 0;
    for (;;) {
      skip_space();
      if (at_ >= source_.size()) return wrong("a tag does not end");
      const std::string_view rest = std::string_view(source_).substr(at_);
      if (braces == 0 && rest.starts_with(end)) {
        at_ += 2;
        after_tag(false, block);
        break;
      }
      if (braces == 0 && (rest[0] == '-' || rest[0] == '+') && rest.substr(1).starts_with(end)) {
        at_ += 3;
        after_tag(rest[0] == '-', block && rest[0] != '+');
        break;
      }
      if (rest[0] == '{') ++braces;
      if (rest[0] == '}') --braces;
      PHIAL_CHECKED(token());
    }
    tokens_.push_back({block ? TokenKind::kBlockEnd : TokenKind::kOutputEnd, "", line_});
    return ok();
  }

  Status token() {
    const char c = source_[at_];
    if (is_name_start(c)) {
      const size_t start = at_;
      while (at_ < source_.size() && (is_name_start(source_[at_]) || is_digit(source_[at_]))) ++at_;
      tokens_.push_back({TokenKind::kName, source_.substr(start, at_ - start), line_});
      return ok();
    }
    if (is_digit(c)) return number();
    if (c == '"' || c == '\'') return string();
    for (const std::string_view two : {"==", "!=", "<=", ">=", "//", "**"}) {
      if (std::string_view(source_).substr(at_).starts_with(two)) {
        tokens_.push_back({TokenKind::kOperator, std::string(two), line_});
        at_ += 2;
        return ok();
      }
    }
    if (std::string_view("+-*/%~|.,:;()[]{}<>=").find(c) == std::string_view::npos) {
      return wrong("a character that no expression has: code " + std::to_string(static_cast<unsigned char>(c)));
    }
    tokens_.push_back({TokenKind::kOperator, std::string(1, c), line_});
    ++at_;
    return ok();
  }

  Status number() {
    const size_t start = at_;
    bool is_float = false;
    while (at_ < source_.size() && (is_digit(source_[at_]) || source_[at_] == '_')) ++at_;
    if (at_ + 1 < source_.size() && source_[at_] == '.' && is_digit(source_[at_ + 1])) {
      is_float = true;
      ++at_;
      while (at_ < source_.size() && is_digit(source_[at_])) ++at_;
    }
    std::string digits = source_.substr(start, at_ - start);
    std::erase(digits, '_');
    tokens_.push_back({is_float ? TokenKind::kFloat : TokenKind::kInteger, std::move(digits), line_});
    return ok();
  }

  Status string() {
    const char quote = source_[at_++];
    std::string text;
    for (;; ++at_) {
      if (at_ >= source_.size()) return wrong("a string does not end");
      const char c = source_[at_];
      if (c == quote) break;
      if (c == '\n') ++line_;
      if (c != '\\') {
        text.push_back(c);
        continue;
      }
      if (++at_ >= source_.size()) return wrong("a string does not end");
      PHIAL_CHECKED(escape(text));
    }
    ++at_;
    tokens_.push_back({TokenKind::kString, std::move(text), line_});
    return ok();
  }

  // Python's escapes; an unknown one stays as it is written.
  Status escape(std::string& text) {
    const char c = source_[at_];
    constexpr std::string_view kNames = "ntr0abfv\\'\"";
    constexpr std::string_view kValues{"\n\t\r\0\a\b\f\v\\'\"", 11};
    const size_t hex_digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (hex_digits > 0) {
      char32_t code_point = 0;
      for (size_t i = 0; i < hex_digits; ++i) {
        if (++at_ >= source_.size() || std::isxdigit(static_cast<unsigned char>(source_[at_])) == 0) {
          return wrong("an escape of a character has too few digits");
        }
        const char digit = static_cast<char>(std::tolower(static_cast<unsigned char>(source_[at_])));
        code_point = code_point * 16 + static_cast<char32_t>(is_digit(digit) ? digit - '0' : digit - 'a' + 10);
      }
      append_utf8(text,
                  code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000) ? kReplacement : code_point);
      return ok();
    }
    if (const size_t known = kNames.find(c); known != std::string_view::npos) {
      text.push_back(kValues[known]);
    } else if (c != '\n') {
      text.push_back('\\');
      text.push_back(c);
    }
    return ok();
  }

  void skip_space() {
    while (at_ < source_.size() && is_space(source_[at_])) {
      if (source_[at_] == '\n') ++line_;
      ++at_;
    }
  }

  Error wrong(const std::string& what) const {
    return Error{Code::kInvalid, "chat template, line " + std::to_string(line_) + ": " + what, ""};
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool strip_next_ = false;  // the tag before ended with a minus
  bool trim_next_ = false;   // the tag before takes one newline with it
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) {
  std::string normalised;
  normalised.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      normalised.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      normalised.push_back(source[i]);
    }
  }
  return Lexer(std::move(normalised)).run();
}

}  // namespace phial::generate::jinja

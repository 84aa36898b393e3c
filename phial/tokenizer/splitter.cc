#include "phial/tokenizer/splitter.h"

#include <utility>

#include "phial/tokenizer/unicode.h"

namespace phial::tokenizer {
namespace {

class WordSplitter final : public Splitter {
 public:
  explicit WordSplitter(WordPattern pattern) : pattern_(pattern) {}

  void split(std::string_view text, std::vector<std::string_view>& words) const override {
    if (!pattern_.isolate_digits) {
      split_between(text, words);
      return;
    }
    size_t done = 0;
    for (size_t at = 0; at < text.size();) {
      const Char c = classify(text, at);
      if (c.kind == CharKind::kNumber) {
        split_between(text.substr(done, at - done), words);
        words.push_back(text.substr(at, c.length));
        done = at + c.length;
      }
      at += c.length;
    }
    split_between(text.substr(done), words);
  }

 private:
  void split_between(std::string_view text, std::vector<std::string_view>& words) const {
    for (size_t at = 0; at < text.size();) {
      const size_t end = end_of_word(text, at);
      words.push_back(text.substr(at, end - at));
      at = end;
    }
  }

  size_t end_of_word(std::string_view text, size_t at) const {
    if (text[at] == '\'') {
      if (const size_t end = end_of_contraction(text, at); end > at) return end;
    }
    const Char first = classify(text, at);
    if (first.kind == CharKind::kLetter) return end_of_run(text, at + first.length, CharKind::kLetter);
    if (first.kind == CharKind::kNumber) return end_of_number(text, at + first.length);
    const size_t next = at + first.length;
    const bool has_next = next < text.size();
    const CharKind next_kind = has_next ? classify(text, next).kind : CharKind::kNewline;
    if (has_next && next_kind == CharKind::kLetter &&
        (text[at] == ' ' || (pattern_.any_lead && first.kind != CharKind::kNewline))) {
      return end_of_run(text, next, CharKind::kLetter);
    }
    if (text[at] == ' ' && next_kind == CharKind::kNumber && pattern_.digits == 0) {
      return end_of_run(text, next, CharKind::kNumber);
    }
    if (!is_space(first.kind)) return end_of_punctuation(text, next);
    if (text[at] == ' ' && next_kind == CharKind::kOther) return end_of_punctuation(text, next);
    return end_of_space(text, at);
  }

  // [^\s\p{L}\p{N}]+, and [\r\n]* behind it.
  size_t end_of_punctuation(std::string_view text, size_t at) const {
    at = end_of_run(text, at, CharKind::kOther);
    return pattern_.newline_aware ? end_of_run(text, at, CharKind::kNewline) : at;
  }

  // `at`: behind the first number character.
  size_t end_of_number(std::string_view text, size_t at) const {
    if (pattern_.digits == 0) return end_of_run(text, at, CharKind::kNumber);
    for (int n = 1; n < pattern_.digits && at < text.size(); ++n) {
      const Char c = classify(text, at);
      if (c.kind != CharKind::kNumber) break;
      at += c.length;
    }
    return at;
  }

  size_t end_of_space(std::string_view text, size_t at) const {
    size_t end = at;
    size_t last = at;  // where the last character of the run begins
    size_t behind_newline = at;
    while (end < text.size()) {
      const Char c = classify(text, end);
      if (!is_space(c.kind)) break;
      last = end;
      end += c.length;
      if (c.kind == CharKind::kNewline) behind_newline = end;
    }
    if (pattern_.newline_aware && behind_newline > at) return behind_newline;
    if (end == text.size() || last == at) return end;
    return last;  // \s+(?!\S): the last space goes with the word behind it
  }

  static size_t end_of_run(std::string_view text, size_t at, CharKind kind) {
    while (at < text.size()) {
      const Char c = classify(text, at);
      if (c.kind != kind) break;
      at += c.length;
    }
    return at;
  }

  // `at` is on the apostrophe; `at` itself if no contraction stands there.
  size_t end_of_contraction(std::string_view text, size_t at) const {
    const bool any_case = pattern_.contractions != WordPattern::Contractions::kLowerCase;
    const auto letter = [&](size_t i) -> char {
      if (i >= text.size()) return 0;
      const char c = text[i];
      return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    };
    const char first = letter(at + 1);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
    const char second = letter(at + 2);
    if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l')) {
      return at + 3;
    }
    constexpr std::string_view kLongS = "\xC5\xBF";
    const bool folded = pattern_.contractions == WordPattern::Contractions::kFolded;
    if (folded && text.compare(at + 1, kLongS.size(), kLongS) == 0) return at + 1 + kLongS.size();
    return at;
  }

  WordPattern pattern_;
};

class DigitSplitter final : public Splitter {
 public:
  explicit DigitSplitter(bool individual) : individual_(individual) {}

  void split(std::string_view text, std::vector<std::string_view>& words) const override {
    size_t start = 0;
    bool in_number = false;
    for (size_t at = 0; at < text.size();) {
      const Char c = classify(text, at);
      const bool number = c.kind == CharKind::kNumber;
      if (at > start && (number != in_number || (number && individual_))) {
        words.push_back(text.substr(start, at - start));
        start = at;
      }
      in_number = number;
      at += c.length;
    }
    if (start < text.size()) words.push_back(text.substr(start));
  }

 private:
  bool individual_;
};

class Sequence final : public Splitter {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Splitter>> parts) : parts_(std::move(parts)) {}

  void split(std::string_view text, std::vector<std::string_view>& words) const override {
    std::vector<std::string_view> current;
    if (!text.empty()) current.push_back(text);
    for (const auto& part : parts_) {
      std::vector<std::string_view> next;
      for (const std::string_view word : current) part->split(word, next);
      current = std::move(next);
    }
    words.insert(words.end(), current.begin(), current.end());
  }

 private:
  std::vector<std::unique_ptr<Splitter>> parts_;
};

}  // namespace

std::unique_ptr<Splitter> make_word_splitter(WordPattern pattern) { return std::make_unique<WordSplitter>(pattern); }

std::unique_ptr<Splitter> make_digit_splitter(bool individual) { return std::make_unique<DigitSplitter>(individual); }

std::unique_ptr<Splitter> make_sequence(std::vector<std::unique_ptr<Splitter>> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  return std::make_unique<Sequence>(std::move(parts));
}

std::unique_ptr<Splitter> known_regex_splitter(std::string_view regex) {
  static constexpr std::pair<std::string_view, WordPattern> kKnown[] = {
      {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", kGpt2Words},
      {kLlama3Regex, kLlama3Words},
      {kQwen2Regex, kQwen2Words},
      {R"(('s|'S|'t|'T|'re|'rE|'Re|'RE|'ve|'vE|'Ve|'VE|'m|'M|'ll|'lL|'Ll|'LL|'d|'D)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       kPhi3SmallWords},
  };
  for (const auto& [known, pattern] : kKnown) {
    if (regex == known) return make_word_splitter(pattern);
  }
  return nullptr;
}

Result<std::unique_ptr<Splitter>> make_regex_splitter(std::string_view regex, SplitBehaviour behaviour) {
  if (behaviour == SplitBehaviour::kIsolated) {
    if (auto known = known_regex_splitter(regex)) return known;
  }
  return make_pcre_splitter(regex, behaviour);
}

}  // namespace phial::tokenizer

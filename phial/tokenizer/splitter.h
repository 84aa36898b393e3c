// Pre-tokenizers: they cut a text into words, which byte-level BPE then encodes one by one.
//
// The patterns of the well-known families are written out by hand over character classes; every other regular
// expression runs through PCRE2. Words joined together are always the text: nothing is dropped.
// Threads: immutable once made.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial::tokenizer {

class Splitter {
 public:
  virtual ~Splitter() = default;
  virtual void split(std::string_view text, std::vector<std::string_view>& words) const = 0;
};

// What differs between the patterns of the GPT-2 line. Written as a regular expression, with the parts in order:
//   contractions | [^\r\n\p{L}\p{N}]?\p{L}+ or " ?"\p{L}+ | numbers | " ?"[^\s\p{L}\p{N}]+[\r\n]* | \s*[\r\n]+ |
//   \s+(?!\S) | \s+
struct WordPattern {
  // How 's 't 're 've 'm 'll 'd are matched. kAnyCase: also 'S, 'LL. kFolded: also what folds to them ((?i:'s) takes
  // U+017F, the long s).
  enum class Contractions : uint8_t { kLowerCase, kAnyCase, kFolded };
  Contractions contractions = Contractions::kLowerCase;
  bool any_lead = false;        // a word may begin with any one character that is not a letter, number or newline
  int digits = 0;               // numbers in groups of at most this many characters; 0: " ?\p{N}+"
  bool newline_aware = false;   // punctuation swallows newlines after it, and white space is cut after its last newline
  bool isolate_digits = false;  // every number character is cut out first, and the pattern sees what lies between

  bool operator==(const WordPattern&) const = default;
};

inline constexpr WordPattern kGpt2Words{};
inline constexpr WordPattern kSmolLmWords{.isolate_digits = true};
inline constexpr WordPattern kLlama3Words{WordPattern::Contractions::kFolded, true, 3, true, false};
inline constexpr WordPattern kQwen2Words{WordPattern::Contractions::kFolded, true, 1, true, false};
inline constexpr WordPattern kPhi3SmallWords{WordPattern::Contractions::kAnyCase, true, 3, true, false};

// Two of them as tokenizer.json spells them.
inline constexpr std::string_view kLlama3Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::unique_ptr<Splitter> make_word_splitter(WordPattern pattern);

// The hand-written pattern that is the same as this regular expression, else null.
std::unique_ptr<Splitter> known_regex_splitter(std::string_view regex);

// What becomes of the matches of a regular expression (the names are those of tokenizer.json).
enum class SplitBehaviour : uint8_t { kIsolated, kMergedWithPrevious, kMergedWithNext };

// Any regular expression: matches and what lies between them are words. kUnsupported, naming the pattern, if PCRE2
// refuses it; a text on which the match limit is reached stays uncut from there on. The hand-written pattern where
// there is one.
Result<std::unique_ptr<Splitter>> make_regex_splitter(std::string_view regex, SplitBehaviour behaviour);

// Finds a pattern in a text: literal or regular expression.
class Finder {
 public:
  virtual ~Finder() = default;
  // The first non-empty match that begins at or behind `from`.
  virtual bool find(std::string_view text, size_t from, size_t* begin, size_t* end) const = 0;
};

// {"String": literal} or {"Regex": pattern}, as tokenizer.json writes patterns.
Result<std::unique_ptr<Finder>> make_finder(const Json& pattern);

// What lies between matches and the matches themselves, by `behaviour`.
std::unique_ptr<Splitter> make_finder_splitter(std::unique_ptr<Finder> finder, SplitBehaviour behaviour);

// Always through PCRE2 (the oracle of the hand-written ones).
Result<std::unique_ptr<Splitter>> make_pcre_splitter(std::string_view regex, SplitBehaviour behaviour);

// Each number character (\p{N}) a word of its own, or each run of them.
std::unique_ptr<Splitter> make_digit_splitter(bool individual);

// One after the other, each on the words of the one before.
std::unique_ptr<Splitter> make_sequence(std::vector<std::unique_ptr<Splitter>> parts);

}  // namespace phial::tokenizer

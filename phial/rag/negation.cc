#include "phial/rag/negation.h"

#include <algorithm>
#include <array>

#include "phial/rag/lexical.h"
#include "phial/rag/opposites.h"

namespace phial::rag {
namespace {

// Content words after a negation that it denies: the next one, or the two pairs that hold the next two characters.
constexpr size_t kReach = 1;
constexpr size_t kReachOfCharacter = 2;

constexpr auto kNegations = std::to_array<std::string_view>(
    {"not",   "no",     "never",  "none",   "nor",    "neither", "cannot",  "without", "nicht", "kein",
     "keine", "keinen", "keinem", "keiner", "keines", "nie",     "niemals", "ohne",    "pas",   "jamais",
     "sans",  "nunca",  "sin",    "lacks",  "lack",   "fails",   "fail",    "failed",  "unable"});
// A pair of characters that begins with one of these denies what follows: 不, 没, 無, 无, 未, 非.
constexpr auto kNegationCharacters = std::to_array<std::string_view>({"不", "没", "無", "无", "未", "非"});

// How many content words after it `word` denies.
size_t reach_of(std::string_view word) {
  if (word.ends_with("n't") || word.ends_with("n\u2019t") ||
      std::find(kNegations.begin(), kNegations.end(), word) != kNegations.end()) {
    return kReach;
  }
  const bool is_character = std::any_of(kNegationCharacters.begin(), kNegationCharacters.end(),
                                        [&](std::string_view character) { return word.starts_with(character); });
  return is_character ? kReachOfCharacter : 0;
}

bool ends_clause(std::string_view between) { return between.find_first_of(".,;:!?()\n") != std::string_view::npos; }

bool affirm_opposites(const Polarity& a, const Polarity& b) {
  return std::any_of(a.affirmed.begin(), a.affirmed.end(), [&](const std::string& word) {
    if (b.affirmed.contains(word) || b.denied.contains(word)) return false;
    const auto opposites = opposites_of(word);
    return std::any_of(opposites.begin(), opposites.end(), [&](const std::string& opposite) {
      return b.affirmed.contains(opposite) && !a.affirmed.contains(opposite) && !a.denied.contains(opposite);
    });
  });
}

}  // namespace

Polarity polarity_of(std::string_view text) {
  Polarity polarity;
  size_t reach = 0;
  size_t end = 0;
  for (const Word& word : words_of(text)) {
    if (word.span.start > end && ends_clause(text.substr(end, word.span.start - end))) reach = 0;
    end = word.span.end;
    if (const size_t denies = reach_of(word.text); denies > 0) {
      reach = denies;
      continue;
    }
    if (is_stop_word(word.text)) continue;
    auto& said = reach > 0 ? polarity.denied : polarity.affirmed;
    said.insert(word.is_number ? word.text : rough_stem(word.text));
    if (reach > 0) --reach;
  }
  return polarity;
}

bool contradict(const Polarity& a, const Polarity& b) {
  const auto opposed = [](const Polarity& denies, const Polarity& affirms) {
    return std::any_of(denies.denied.begin(), denies.denied.end(), [&](const std::string& word) {
      return !denies.affirmed.contains(word) && affirms.affirmed.contains(word) && !affirms.denied.contains(word);
    });
  };
  return opposed(a, b) || opposed(b, a) || affirm_opposites(a, b);
}

}  // namespace phial::rag

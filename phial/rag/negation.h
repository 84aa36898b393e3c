// Which words a text denies: "the log does not grow" denies "grow".
//
// A word is denied if a negation stands close before it in the same clause. That is rough, and enough to see that of
// two statements with the same words one says the opposite. English, German, French, Spanish, Chinese and Japanese.
// Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

namespace phial::rag {

struct Polarity {
  std::unordered_set<std::string> denied, affirmed;  // content words, as content_words() has them; some may be in both
};
Polarity polarity_of(std::string_view text);

// Does one text only deny what the other only affirms, or affirm the opposite of it and never the word itself?
bool contradict(const Polarity& a, const Polarity& b);

}  // namespace phial::rag

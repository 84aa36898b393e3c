#include <algorithm>
#include <string>
#include <vector>

#include "phial/data/exercises/exercise.h"
#include "phial/data/pick.h"
#include "phial/data/words.h"

namespace phial::data {
namespace {

// Longer ones from level to level.
std::string word_for(Random& random, int level) {
  const size_t most = static_cast<size_t>(level) + 3;
  for (;;) {
    const std::string& word = pick(random, plain_words());
    if (word.size() <= most) return word;
  }
}

Exercise letters_of_word(Random& random, int level) {
  constexpr std::array<const char*, 4> kOrdinals = {"first", "second", "third", "fourth"};
  const std::string word = word_for(random, level), quoted = "\"" + word + "\"";
  switch (random.below(level == 1 ? 3 : 4)) {
    case 0:
      return {"", "How many letters are in the word " + quoted + "?", std::to_string(word.size()), "count " + word};
    case 1: {
      const size_t place = random.below(std::min(word.size(), kOrdinals.size()));
      return {"", std::string("What is the ") + kOrdinals[place] + " letter of " + quoted + "?", word.substr(place, 1),
              "letter " + word + std::to_string(place)};
    }
    case 2: {
      // Mostly one that the word has.
      const char letter =
          chance(random, 0.8) ? word[random.below(word.size())] : static_cast<char>('a' + random.below(26));
      return {"", std::string("How many times does the letter ") + letter + " appear in " + quoted + "?",
              std::to_string(std::ranges::count(word, letter)), "times " + word + letter};
    }
    default:
      return {"", "Spell the word " + quoted + " backwards.", std::string(word.rbegin(), word.rend()),
              "backwards " + word};
  }
}

std::string in_a_row(const std::vector<std::string>& words) {
  std::string row;
  for (const std::string& word : words) row += (row.empty() ? "" : ", ") + word;
  return row;
}

Exercise words_in_order(Random& random, int level) {
  std::vector<std::string> words = pick_several(random, plain_words(), static_cast<size_t>(level) + 2);
  const std::string shown = in_a_row(words);
  std::vector<std::string> sorted = words;
  std::ranges::sort(sorted);
  switch (random.below(4)) {
    case 0:
      return {"", "Which of these words comes first in the alphabet: " + shown + "?", sorted.front(), "first " + shown};
    case 1:
      return {"", "Which of these words comes last in the alphabet: " + shown + "?", sorted.back(), "last " + shown};
    case 2:
      std::ranges::reverse(words);
      return {"", "Write these words in reverse order: " + shown + ".", in_a_row(words), "reverse " + shown};
    default:
      return {"", "Sort these words by the alphabet: " + shown + ".", in_a_row(sorted), "sort " + shown};
  }
}

}  // namespace

Exercise make_word_exercise(Random& random, int level) {
  return chance(random, 0.5) ? letters_of_word(random, level) : words_in_order(random, level);
}

}  // namespace phial::data

// What every kind of exercise is to procedural.cc.
//
// The answer is correct by construction: whoever makes an exercise knows the answer before the text is written.
#pragma once

#include <array>
#include <string>

#include "phial/base/random.h"

namespace phial::data {

struct Exercise {
  std::string passage;           // what the question is about; empty: the question says it all
  std::string question, answer;  // one line each
  std::string content;           // what is asked, whatever the words: decides whether it is held out
};

inline constexpr int kEasiest = 1, kHardest = 5;

// `level`: kEasiest to kHardest.
Exercise make_arithmetic(Random& random, int level);
Exercise make_logic(Random& random, int level);
Exercise make_problem(Random& random, int level);
Exercise make_sequence(Random& random, int level);
Exercise make_story(Random& random, int level);
Exercise make_time(Random& random, int level);
Exercise make_word_exercise(Random& random, int level);

}  // namespace phial::data

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "phial/data/exercises/exercise.h"
#include "phial/data/exercises/people.h"
#include "phial/data/pick.h"

namespace phial::data {
namespace {

struct Comparison {
  const char *more, *less, *most, *least;
};

constexpr std::array<Comparison, 5> kComparisons = {{{"taller", "shorter", "tallest", "shortest"},
                                                     {"older", "younger", "oldest", "youngest"},
                                                     {"faster", "slower", "fastest", "slowest"},
                                                     {"heavier", "lighter", "heaviest", "lightest"},
                                                     {"richer", "poorer", "richest", "poorest"}}};

std::string as_passage(const std::vector<std::string>& sentences) {
  std::string passage;
  for (const std::string& sentence : sentences) passage += (passage.empty() ? "" : " ") + sentence;
  return passage;
}

// Neighbours in an order are compared, in any order: together they tell all of it.
Exercise order_of_people(Random& random, int level) {
  const Comparison& comparison = pick(random, kComparisons);
  const auto people = pick_several(random, kPeople, static_cast<size_t>(level) + 2);  // the most first
  const auto person = [&](size_t i) { return std::string(people[i]); };
  const size_t count = people.size();
  std::vector<std::string> sentences;
  for (size_t i = 0; i + 1 < count; ++i) {
    sentences.push_back(chance(random, 0.5) ? person(i) + " is " + comparison.more + " than " + person(i + 1) + "."
                                            : person(i + 1) + " is " + comparison.less + " than " + person(i) + ".");
  }
  shuffle(random, sentences);
  Exercise exercise{as_passage(sentences), "", "", ""};
  switch (random.below(4)) {
    case 0:
      exercise.question = std::string("Who is the ") + comparison.most + "?";
      exercise.answer = person(0);
      break;
    case 1:
      exercise.question = std::string("Who is the ") + comparison.least + "?";
      exercise.answer = person(count - 1);
      break;
    case 2:
      exercise.question = std::string("Who is the second ") + comparison.most + "?";
      exercise.answer = person(1);
      break;
    default: {
      const size_t one = random.below(count), other = (one + 1 + random.below(count - 1)) % count;
      const bool more = chance(random, 0.5);
      exercise.question =
          "Is " + person(one) + " " + (more ? comparison.more : comparison.less) + " than " + person(other) + "?";
      exercise.answer = (one < other) == more ? "Yes" : "No";
    }
  }
  exercise.content = exercise.passage + exercise.question;
  return exercise;
}

constexpr std::array<std::string_view, 16> kNouns = {"bloop", "dax",  "fep",  "gorp",  "jomp",  "kiv",
                                                     "lorp",  "murn", "nalt", "plomb", "quill", "rask",
                                                     "sprig", "tove", "wug",  "zorb"};

// "Every A is a B" along a chain, perhaps with a "No ..." at its end, and the question whether somebody at the start is
// something: on the chain yes, behind the "No" no, else nobody can tell.
Exercise kinds_of_things(Random& random, int level) {
  const auto links = static_cast<size_t>(level);
  const auto nouns = pick_several(random, kNouns, links + 4);
  const auto noun = [&](size_t i) { return std::string(nouns[i]); };
  std::vector<std::string> sentences;
  sentences.reserve(links + 3);
  for (size_t i = 0; i < links; ++i) sentences.push_back("Every " + noun(i) + " is a " + noun(i + 1) + ".");
  // Two things besides: one that nothing on the chain is, one of which some may be.
  sentences.push_back("No " + noun(links) + " is a " + noun(links + 1) + ".");
  sentences.push_back("Every " + noun(links + 2) + " is a " + noun(pick(random, std::array<size_t, 2>{1, links + 3})) +
                      ".");
  shuffle(random, sentences);
  const std::string person(pick(random, kPeople));
  sentences.insert(sentences.begin() + static_cast<std::ptrdiff_t>(random.below(sentences.size() + 1)),
                   person + " is a " + noun(0) + ".");
  Exercise exercise{as_passage(sentences), "", "", ""};
  const uint64_t form = random.below(3);
  size_t asked = links + 2;
  if (form == 0) asked = 1 + random.below(links);
  if (form == 1) asked = links + 1;
  exercise.question = "Is " + person + " a " + noun(asked) + "? Answer yes, no or unknown.";
  exercise.answer = form == 0 ? "Yes" : form == 1 ? "No" : "Unknown";
  exercise.content = exercise.passage + exercise.question;
  return exercise;
}

struct Claim {
  std::string text;
  bool holds = false;
};

Claim claim_over(Random& random, const std::array<bool, 3>& values, int operators) {
  if (operators == 0) {
    const size_t letter = random.below(values.size());
    const bool turned = chance(random, 0.3);
    return {std::string(turned ? "not " : "") + static_cast<char>('A' + letter), values[letter] != turned};
  }
  const int left = static_cast<int>(random.below(static_cast<uint64_t>(operators)));
  const Claim one = claim_over(random, values, left), other = claim_over(random, values, operators - 1 - left);
  const bool both = chance(random, 0.5);
  const auto inner = [](const Claim& claim) {
    return claim.text.find(" and ") == std::string::npos && claim.text.find(" or ") == std::string::npos
               ? claim.text
               : "(" + claim.text + ")";
  };
  return {inner(one) + (both ? " and " : " or ") + inner(other),
          both ? one.holds && other.holds : one.holds || other.holds};
}

Exercise truth_of_claim(Random& random, int level) {
  const std::array<bool, 3> values = {chance(random, 0.5), chance(random, 0.5), chance(random, 0.5)};
  const Claim claim = claim_over(random, values, level);
  Exercise exercise;
  for (size_t i = 0; i < values.size(); ++i) {
    exercise.passage +=
        std::string(i == 0 ? "" : " ") + static_cast<char>('A' + i) + " is " + (values[i] ? "true." : "false.");
  }
  exercise.question = "Is \"" + claim.text + "\" true or false?";
  exercise.answer = claim.holds ? "True" : "False";
  exercise.content = exercise.passage + exercise.question;
  return exercise;
}

}  // namespace

Exercise make_logic(Random& random, int level) {
  using Make = Exercise (*)(Random&, int);
  constexpr std::array<Make, 3> kForms = {order_of_people, kinds_of_things, truth_of_claim};
  return pick(random, kForms)(random, level);
}

}  // namespace phial::data

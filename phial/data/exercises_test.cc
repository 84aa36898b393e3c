// Every exercise is read as a reader would, and reckoned again by means that its maker does not use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "phial/data/exercises/exercise.h"

namespace phial::data {
namespace {

using Texts = std::vector<std::string>;

Texts sentences_of(const std::string& passage) {
  Texts sentences;
  for (size_t begin = 0; begin < passage.size();) {
    const size_t end = passage.find('.', begin);
    sentences.push_back(passage.substr(begin, end - begin));
    begin = std::min(end + 2, passage.size());
  }
  return sentences;
}

// The groups of a regular expression that matches all of the text; empty: it does not.
Texts matched(const std::string& text, const std::string& pattern) {
  std::smatch match;
  if (!std::regex_match(text, match, std::regex(pattern))) return {};
  return {match.begin(), match.end()};
}

Texts found_all(const std::string& text, const std::string& pattern) {
  const std::regex expression(pattern);
  Texts all;
  for (std::sregex_iterator i(text.begin(), text.end(), expression); i != std::sregex_iterator(); ++i) {
    all.push_back(i->str());
  }
  return all;
}

int64_t number_in(const std::string& text) { return std::stoll(text); }

// Sums of products of numbers and brackets, from left to right.
class Calculator {
 public:
  explicit Calculator(std::string text) : text_(std::move(text)) { std::erase(text_, ' '); }
  int64_t value() {
    const int64_t all = sum();
    EXPECT_EQ(at_, text_.size()) << text_;
    return all;
  }

 private:
  bool take(char c) { return at_ < text_.size() && text_[at_] == c && ++at_ > 0; }
  int64_t sum() {
    int64_t all = product();
    for (;;) {
      if (take('+')) {
        all += product();
      } else if (take('-')) {
        all -= product();
      } else {
        return all;
      }
    }
  }
  int64_t product() {
    int64_t all = factor();
    for (;;) {
      if (take('*')) {
        all *= factor();
      } else if (take('/')) {
        const int64_t by = factor();
        EXPECT_EQ(all % by, 0) << text_;
        all /= by;
      } else {
        return all;
      }
    }
  }
  int64_t factor() {
    if (take('(')) {
      const int64_t inside = sum();
      EXPECT_TRUE(take(')')) << text_;
      return inside;
    }
    const size_t begin = at_;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    EXPECT_GT(at_, begin) << text_;
    return at_ > begin ? number_in(text_.substr(begin, at_ - begin)) : 1;
  }

  std::string text_;
  size_t at_ = 0;
};

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  return std::regex_replace(text, std::regex(what), by);
}

std::string solve_arithmetic(const Exercise& exercise) {
  const Texts rest = matched(exercise.question, "What is the remainder when (\\d+) is divided by (\\d+)\\?");
  if (!rest.empty()) return std::to_string(number_in(rest[1]) % number_in(rest[2]));
  std::string text = replaced(exercise.question, "plus", "+");
  text = replaced(replaced(replaced(text, "minus", "-"), "times", "*"), "divided by", "/");
  const std::string expression = found_all(text, "[(0-9][-+*/() 0-9]*").front();
  return std::to_string(Calculator(expression).value());
}

// Whoever fits all comparisons in every order that they allow.
std::string solve_order(const Exercise& exercise) {
  struct Fact {
    std::string more, less;
  };
  const std::set<std::string> greater = {"taller", "older", "faster", "heavier", "richer"};
  const std::set<std::string> greatest = {"tallest", "oldest", "fastest", "heaviest", "richest"};
  std::vector<Fact> facts;
  std::set<std::string> names;
  const auto read = [&](const std::string& text) {
    const Texts words = matched(text, "(?:Is )?(\\w+)(?: is)? (\\w+) than (\\w+)");
    return greater.contains(words[2]) ? Fact{words[1], words[3]} : Fact{words[3], words[1]};
  };
  for (const std::string& sentence : sentences_of(exercise.passage)) {
    facts.push_back(read(sentence));
    names.insert({facts.back().more, facts.back().less});
  }
  std::vector<std::string> order(names.begin(), names.end());
  std::set<std::string> answers;
  do {
    const auto place = [&](const std::string& name) { return std::ranges::find(order, name) - order.begin(); };
    if (!std::ranges::all_of(facts, [&](const Fact& fact) { return place(fact.more) < place(fact.less); })) continue;
    const Texts who = matched(exercise.question, "Who is the (second )?(\\w+)\\?");
    if (who.empty()) {
      const Fact asked = read(exercise.question.substr(0, exercise.question.size() - 1));
      answers.insert(place(asked.more) < place(asked.less) ? "Yes" : "No");
    } else {
      const bool from_the_top = greatest.contains(who[2]);
      EXPECT_TRUE(from_the_top || who[1].empty());
      answers.insert(from_the_top ? order[who[1].empty() ? 0 : 1] : order.back());
    }
  } while (std::ranges::next_permutation(order).found);
  EXPECT_EQ(answers.size(), 1U) << exercise.passage;
  return *answers.begin();
}

// Everything that somebody may be, in every way that the rules allow.
std::string solve_kinds(const Exercise& exercise) {
  std::map<std::string, size_t> nouns;
  const auto index = [&](const std::string& noun) { return nouns.try_emplace(noun, nouns.size()).first->second; };
  struct Rule {
    size_t from, to;
    bool is_so;
  };
  std::vector<Rule> rules;
  size_t given = 0;
  for (const std::string& sentence : sentences_of(exercise.passage)) {
    if (const Texts rule = matched(sentence, "(Every|No) (\\w+) is a (\\w+)"); !rule.empty()) {
      rules.push_back({index(rule[2]), index(rule[3]), rule[1] == "Every"});
    } else {
      given = index(matched(sentence, "\\w+ is a (\\w+)")[1]);
    }
  }
  const size_t asked = index(matched(exercise.question, "Is \\w+ a (\\w+)\\? Answer yes, no or unknown\\.")[1]);
  std::set<bool> seen;
  for (uint64_t is = 0; is < uint64_t{1} << nouns.size(); ++is) {
    const auto holds = [&](size_t noun) { return (is >> noun & 1) != 0; };
    const bool possible = holds(given) && std::ranges::all_of(rules, [&](const Rule& rule) {
                            return !holds(rule.from) || holds(rule.to) == rule.is_so;
                          });
    if (possible) seen.insert(holds(asked));
  }
  EXPECT_FALSE(seen.empty());
  return seen.size() == 2 ? "Unknown" : *seen.begin() ? "Yes" : "No";
}

// As sums and products of 0 and 1.
std::string solve_claim(const Exercise& exercise) {
  std::string claim = matched(exercise.question, "Is \"(.*)\" true or false\\?")[1];
  for (const std::string& sentence : sentences_of(exercise.passage)) {
    const Texts fact = matched(sentence, "(\\w) is (true|false)");
    claim = replaced(claim, fact[1], fact[2] == "true" ? "1" : "0");
  }
  claim = replaced(replaced(claim, "not 1", "0"), "not 0", "1");
  claim = replaced(replaced(claim, "and", "*"), "or", "+");
  return Calculator(claim).value() > 0 ? "True" : "False";
}

std::string solve_logic(const Exercise& exercise) {
  if (exercise.passage.starts_with("A is ")) return solve_claim(exercise);
  return exercise.question.ends_with("unknown.") ? solve_kinds(exercise) : solve_order(exercise);
}

std::string solve_problem(const Exercise& exercise) {
  const std::string& passage = exercise.passage;
  if (passage.find('$') != std::string::npos) {
    int64_t pays = 0;
    for (const std::string& good : found_all(passage, "\\d+ \\w+ at \\$\\d+")) {
      const Texts counts = found_all(good, "\\d+");
      pays += number_in(counts[0]) * number_in(counts[1]);
    }
    const Texts given = found_all(passage, "pays with \\$\\d+");
    return std::to_string(given.empty() ? pays : number_in(found_all(given[0], "\\d+")[0]) - pays);
  }
  const Texts numbers = found_all(passage, "\\d+");
  if (passage.starts_with("Each ")) return std::to_string(number_in(numbers[0]) * number_in(numbers[1]));
  if (passage.find(" shared ") != std::string::npos) {
    EXPECT_EQ(number_in(numbers[0]) % number_in(numbers[1]), 0);
    return std::to_string(number_in(numbers[0]) / number_in(numbers[1]));
  }
  const std::string owner = passage.substr(0, passage.find(' '));
  int64_t has = 0;
  for (const std::string& sentence : sentences_of(passage)) {
    const int64_t number = number_in(found_all(sentence, "\\d+")[0]);
    const bool loses = sentence.starts_with(owner + " loses") || sentence.starts_with(owner + " gives");
    has += loses ? -number : number;
    EXPECT_GE(has, 0) << passage;
  }
  return std::to_string(has);
}

// All rules that the shown numbers keep must go on alike.
std::string solve_sequence(const Exercise& exercise) {
  std::vector<int64_t> terms;
  for (const std::string& number : found_all(exercise.question, "\\d+")) terms.push_back(number_in(number));
  EXPECT_EQ(terms.size(), 5U);
  std::set<int64_t> next;
  const int64_t last = terms[4], step = terms[4] - terms[3];
  const auto keeps = [&](const auto& rule) {
    for (size_t i = 2; i < terms.size(); ++i) {
      if (!rule(terms[i - 2], terms[i - 1], terms[i])) return false;
    }
    return true;
  };
  if (keeps([](int64_t a, int64_t b, int64_t c) { return c - b == b - a; })) next.insert(last + step);
  if (keeps([](int64_t a, int64_t b, int64_t c) { return c * a == b * b; })) next.insert(last * last / terms[3]);
  if (keeps([](int64_t a, int64_t b, int64_t c) { return c == a + b; })) next.insert(last + terms[3]);
  if (keeps([](int64_t a, int64_t b, int64_t c) { return c - b == b - a + 1; })) next.insert(last + step + 1);
  if (keeps([](int64_t a, int64_t b, int64_t c) { return c - b == b - a + 2; })) next.insert(last + step + 2);
  EXPECT_EQ(next.size(), 1U) << exercise.question;
  return next.empty() ? "" : std::to_string(*next.begin());
}

std::string solve_time(const Exercise& exercise) {
  const Texts days = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
  if (const Texts today = matched(exercise.passage, "Today is (\\w+)\\."); !today.empty()) {
    auto day = static_cast<size_t>(std::ranges::find(days, today[1]) - days.begin());
    const bool ahead = exercise.question.ends_with("s?") || exercise.question.ends_with("day?");
    for (int64_t left = number_in(found_all(exercise.question, "\\d+")[0]); left > 0; --left) {
      day = (day + (ahead ? 1 : 6)) % 7;
    }
    return days[day];
  }
  const Texts times = found_all(exercise.passage, "\\d\\d:\\d\\d");
  const auto minutes = [](const std::string& clock) {
    return number_in(clock.substr(0, 2)) * 60 + number_in(clock.substr(3));
  };
  if (times.size() == 2) {
    const int64_t between = minutes(times[1]) - minutes(times[0]);
    return std::to_string(between > 0 ? between : between + 1440);
  }
  const int64_t end = minutes(times[0]) + number_in(matched(exercise.passage, ".* lasts (\\d+) minutes?\\.")[1]);
  const std::string hour = std::to_string(end / 60 % 24), minute = std::to_string(end % 60);
  return std::string(hour.size() < 2 ? "0" : "") + hour + ":" + (minute.size() < 2 ? "0" : "") + minute;
}

std::string solve_words(const Exercise& exercise) {
  const std::string& question = exercise.question;
  if (const Texts quoted = matched(question, ".*\"(\\w+)\".*"); !quoted.empty()) {
    const std::string& word = quoted[1];
    if (question.find("How many letters") == 0) return std::to_string(word.size());
    if (question.find("backwards") != std::string::npos) return {word.rbegin(), word.rend()};
    if (const Texts letter = matched(question, "How many times does the letter (\\w) .*"); !letter.empty()) {
      return std::to_string(std::ranges::count(word, letter[1][0]));
    }
    const Texts places = {"first", "second", "third", "fourth"};
    const std::string place = matched(question, "What is the (\\w+) letter of .*")[1];
    return word.substr(static_cast<size_t>(std::ranges::find(places, place) - places.begin()), 1);
  }
  Texts words = found_all(question.substr(question.find(':')), "\\w+");
  if (question.find("reverse") != std::string::npos) {
    std::ranges::reverse(words);
  } else {
    std::ranges::sort(words);
  }
  if (question.find("comes first") != std::string::npos) return words.front();
  if (question.find("comes last") != std::string::npos) return words.back();
  return std::accumulate(words.begin() + 1, words.end(), words.front(),
                         [](const std::string& row, const std::string& word) { return row + ", " + word; });
}

// The story acted out again. Who carries a thing is "" for nobody.
std::string solve_story(const Exercise& exercise) {
  std::map<std::string, std::string> place, carrier;
  const auto where = [&](const std::string& thing) { return place[carrier[thing].empty() ? thing : carrier[thing]]; };
  const Texts sentences = sentences_of(exercise.passage);
  for (size_t i = 1; i < sentences.size(); ++i) {
    const std::string& said = sentences[i];
    if (Texts was = matched(said, "(?:The )?(\\w+) was (in|at) the (\\w+)"); !was.empty()) {
      place[was[1]] = was[3];
    } else if (Texts went = matched(said, "(\\w+) (?:went|walked|ran|hurried) to the (\\w+)"); !went.empty()) {
      EXPECT_NE(place[went[1]], went[2]);
      place[went[1]] = went[2];
    } else if (Texts gave = matched(said, "(\\w+) gave the (\\w+) to (\\w+)"); !gave.empty()) {
      EXPECT_EQ(carrier[gave[2]], gave[1]);
      EXPECT_EQ(place[gave[1]], place[gave[3]]);
      carrier[gave[2]] = gave[3];
    } else if (Texts put = matched(said, "(\\w+) (?:put down|dropped|left) the (\\w+) there"); !put.empty()) {
      EXPECT_EQ(carrier[put[2]], put[1]);
      carrier[put[2]] = "";
      place[put[2]] = place[put[1]];
    } else {
      Texts took = matched(said, "(\\w+) (?:took|picked up|grabbed) the (\\w+)");
      EXPECT_EQ(took.size(), 3U) << said;
      if (took.size() != 3) return "";
      EXPECT_EQ(where(took[2]), place[took[1]]);
      carrier[took[2]] = took[1];
    }
  }
  if (Texts who = matched(exercise.question, "Who has the (\\w+)\\?"); !who.empty()) {
    return carrier[who[1]].empty() ? "Nobody" : carrier[who[1]];
  }
  if (Texts many = matched(exercise.question, "How many things is (\\w+) carrying\\?"); !many.empty()) {
    return std::to_string(std::ranges::count_if(carrier, [&](const auto& of) { return of.second == many[1]; }));
  }
  const std::string found = where(matched(exercise.question, "Where is (?:the )?(\\w+)\\?")[1]);
  const bool is_at = std::set<std::string>{"market", "station", "beach", "bakery"}.contains(found);
  return (is_at ? "At the " : "In the ") + found + ".";
}

void expect_right(Exercise (*make)(Random&, int), std::string (*solve)(const Exercise&)) {
  std::set<std::string> different;
  for (int level = kEasiest; level <= kHardest; ++level) {
    Random random(static_cast<uint64_t>(level));
    for (int i = 0; i < 120 && !testing::Test::HasFailure(); ++i) {
      const Exercise exercise = make(random, level);
      EXPECT_EQ(solve(exercise), exercise.answer) << "level " << level << ": " << exercise.passage << "\n"
                                                  << exercise.question;
      different.insert(exercise.content);
    }
  }
  EXPECT_GT(different.size(), 300U);  // of 600; easy ones repeat
}

TEST(Exercises, ArithmeticIsWhatAReaderReckons) { expect_right(make_arithmetic, solve_arithmetic); }
TEST(Exercises, LogicHoldsInEveryWorldThatTheSentencesAllow) { expect_right(make_logic, solve_logic); }
TEST(Exercises, ProblemsAreWhatTheirSentencesAddUpTo) { expect_right(make_problem, solve_problem); }
TEST(Exercises, SequencesGoOnInOneWayOnly) { expect_right(make_sequence, solve_sequence); }
TEST(Exercises, StoriesEndWhereActingThemOutEnds) { expect_right(make_story, solve_story); }
TEST(Exercises, TimesAndDaysAreThoseOfTheClockAndTheWeek) { expect_right(make_time, solve_time); }
TEST(Exercises, WordsAreTakenApartAsTheyAreSpelled) { expect_right(make_word_exercise, solve_words); }

}  // namespace
}  // namespace phial::data

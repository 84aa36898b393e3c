#include <string>
#include <vector>

#include "phial/data/exercises/exercise.h"
#include "phial/data/pick.h"

namespace phial::data {
namespace {

constexpr std::array<const char*, 7> kDays = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                              "Friday", "Saturday", "Sunday"};
constexpr int64_t kMinutesOfDay = 24 * 60;

std::string clock(int64_t minutes) {
  const auto two = [](int64_t value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  return two(minutes / 60) + ":" + two(minutes % 60);
}

Exercise day_of_week(Random& random, int level) {
  const auto today = static_cast<int64_t>(random.below(7));
  const int64_t days = number_between(random, 1, level == 1 ? 6 : 10 * (level - 1) * (level - 1));
  const bool ahead = level == 1 || chance(random, 0.6);
  const int64_t then = ((today + (ahead ? days : -days)) % 7 + 7) % 7;
  const std::string passage = std::string("Today is ") + kDays[static_cast<size_t>(today)] + ".";
  const std::string count = std::to_string(days) + (days == 1 ? " day" : " days");
  const std::string question = ahead ? "Which day is it in " + count + "?" : "Which day was it " + count + " ago?";
  return {passage, question, kDays[static_cast<size_t>(then)], passage + question};
}

// Times of one day; from level 4 on over midnight.
Exercise when_it_ends(Random& random, int level) {
  constexpr std::array<const char*, 5> kEvents = {"film", "class", "concert", "train ride", "meeting"};
  const std::string event = pick(random, kEvents);
  const int64_t grain = level == 1 ? 60 : level == 2 ? 15 : 1;
  const int64_t length = grain * number_between(random, 1, 60 * level / grain);
  const int64_t latest = level < 4 ? kMinutesOfDay - 1 - length : kMinutesOfDay - 1;
  const int64_t begin = grain * number_between(random, 0, latest / grain);
  const std::string lasts = std::to_string(length) + (length == 1 ? " minute" : " minutes");
  const int64_t end = (begin + length) % kMinutesOfDay;
  if (chance(random, 0.5)) {
    const std::string passage = "The " + event + " begins at " + clock(begin) + " and lasts " + lasts + ".";
    return {passage, "When does it end?", clock(end), passage};
  }
  const std::string passage = "The " + event + " begins at " + clock(begin) + " and ends at " + clock(end) + ".";
  return {passage, "How many minutes does it last?", std::to_string(length), passage};
}

}  // namespace

Exercise make_time(Random& random, int level) {
  return chance(random, 0.4) ? day_of_week(random, level) : when_it_ends(random, level);
}

}  // namespace phial::data

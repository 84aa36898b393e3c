#include "phial/data/pictures/series.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <span>

#include "phial/data/pick.h"

namespace phial::data {
namespace {

struct Topic {
  const char* title;
  const char* before;
  const char* after;
  std::vector<std::string> names;
};

const std::vector<Topic>& topics() {
  static const std::vector<Topic> all = {
      {"Fruit sold", "", " kg", {"Apples", "Pears", "Plums", "Figs", "Kiwis", "Limes", "Grapes", "Mangos", "Melons"}},
      {"Harvest", "", " t", {"Wheat", "Rye", "Oats", "Corn", "Rice", "Barley", "Hops", "Beans", "Peas"}},
      {"Pets in town", "", "", {"Dogs", "Cats", "Birds", "Fish", "Rabbits", "Mice", "Ponies", "Snakes", "Geese"}},
      {"Visitors", "", "", {"Rome", "Oslo", "Lima", "Cairo", "Delhi", "Paris", "Tokyo", "Quito", "Bern", "Dublin"}},
      {"Books read", "", "", {"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Ida", "Jonas"}},
      {"Medals won", "", "", {"Chile", "Japan", "Kenya", "Spain", "Peru", "Italy", "India", "Nepal", "Egypt", "Cuba"}},
      {"Energy mix", "", "", {"Coal", "Gas", "Wind", "Solar", "Hydro", "Oil", "Wood", "Peat", "Waves"}},
      {"Club members", "", "", {"Tennis", "Golf", "Hockey", "Rugby", "Chess", "Judo", "Rowing", "Boxing", "Diving"}},
      {"Budget", "$", "", {"Rent", "Food", "Travel", "Staff", "Tax", "Tools", "Power", "Water", "Ads"}},
      {"Sales", "$", "", {"Shoes", "Hats", "Coats", "Socks", "Bags", "Belts", "Shirts", "Ties", "Scarves"}},
      {"Trees planted", "", "", {"Oak", "Ash", "Elm", "Pine", "Birch", "Maple", "Yew", "Fir", "Beech"}},
      {"Test score", "", "", {"Math", "Art", "Music", "Latin", "Physics", "Biology", "Sport", "History", "French"}},
  };
  return all;
}

const std::vector<Topic>& topics_in_time() {
  static const std::vector<std::string> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static const std::vector<std::string> days = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  static const std::vector<Topic> all = {
      {"Rainfall", "", " mm", months}, {"Visitors", "", "", months},  {"Income", "$", "", months},
      {"Steps walked", "", "", days},  {"Calls taken", "", "", days}, {"Cups sold", "", "", days},
      {"Members", "", "", {}},         {"Output", "", " t", {}},      {"Price", "$", "", {}},
      {"Births", "", "", {}},          {"Cars built", "", "", {}},
  };
  return all;
}

std::vector<std::string> names_in_time(Random& random, const Topic& topic, size_t count) {
  if (topic.names.empty()) {
    const int64_t step = number_between(random, 1, 5);
    const int64_t first = number_between(random, 1960, 2020 - step * static_cast<int64_t>(count));
    std::vector<std::string> years;
    years.reserve(count);
    for (size_t i = 0; i < count; ++i) years.push_back(std::to_string(first + step * static_cast<int64_t>(i)));
    return years;
  }
  count = std::min(count, topic.names.size());
  const auto first = topic.names.begin() + static_cast<std::ptrdiff_t>(random.below(topic.names.size() - count + 1));
  return {first, first + static_cast<std::ptrdiff_t>(count)};
}

std::string titled(Random& random, const Topic& topic) {
  if (chance(random, 0.15)) return "";
  std::string title = topic.title;
  if (!topic.names.empty() && chance(random, 0.3)) title += " in " + std::to_string(number_between(random, 1990, 2025));
  return title;
}

void choose_scale(Random& random, Series& series, bool marked) {
  constexpr std::array<int64_t, 12> kSteps = {2, 4, 10, 20, 40, 50, 100, 200, 500, 1000, 2000, 5000};
  series.step = pick(random, kSteps);
  series.steps = static_cast<int>(number_between(random, 4, 6));
  series.format.thousands = series.most() >= 1000 && chance(random, 0.5);
  // On an axis without decimals every half step is a whole number; a marked value may have one.
  if (marked && series.step <= 20 && chance(random, 0.35)) {
    series.format.decimals = 1;
    series.step *= 10;
  }
}

std::vector<int64_t> different_values(Random& random, const Series& series, size_t count, bool marked) {
  // Marked values lie far enough apart to be told by eye, too.
  const int64_t grid = marked ? std::max<int64_t>(1, series.most() / 32) : series.step / 2;
  std::vector<int64_t> places;
  for (int64_t place = 1; place * grid <= series.most(); ++place) places.push_back(place);
  std::vector<int64_t> values = pick_several(random, places, count);
  for (int64_t& value : values) {
    value *= grid;
    if (marked && grid > 2) value = std::min(value + number_between(random, 0, grid / 3), series.most());
  }
  return values;
}

}  // namespace

Series make_series(Random& random, int count, Names names, bool marked) {
  const Topic& topic = pick(random, names == Names::kAny ? topics() : topics_in_time());
  const auto wanted = static_cast<size_t>(count);
  Series series;
  series.names =
      names == Names::kAny ? pick_several(random, topic.names, wanted) : names_in_time(random, topic, wanted);
  series.title = titled(random, topic);
  choose_scale(random, series, marked);
  if (chance(random, 0.6)) {
    series.format.before = topic.before;
    series.format.after = topic.after;
  }
  series.values = different_values(random, series, series.names.size(), marked);
  // The axis ends behind the largest value.
  const int64_t largest = *std::ranges::max_element(series.values);
  series.steps = static_cast<int>(std::max<int64_t>(2, (largest + series.step - 1) / series.step));
  return series;
}

std::string content_of(const Series& series) {
  std::string content = series.title;
  for (size_t i = 0; i < series.names.size(); ++i) {
    content += "\n" + series.names[i] + "\t" + written(series.values[i], series.format);
  }
  return content;
}

namespace {

// A series under question: what the forms of questions need of it.
struct Ask {
  Random& random;
  const Series& series;
  const std::string& what;
  const std::string& chart;

  size_t any() const { return random.below(series.names.size()); }
  std::pair<size_t, size_t> any_two() const {
    const size_t one = any();
    const size_t other = (one + 1 + random.below(series.names.size() - 1)) % series.names.size();
    return {one, other};
  }
  // Largest first.
  std::vector<size_t> by_value() const {
    std::vector<size_t> order(series.values.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, std::greater(), [&](size_t i) { return series.values[i]; });
    return order;
  }
  const std::string& name(size_t i) const { return series.names[i]; }
  std::string number(int64_t value) const { return written(value, series.format); }
  std::string phrase(std::initializer_list<std::string> phrases) const {
    return pick(random, std::vector<std::string>(phrases));
  }
};

Question ask_largest(const Ask& ask) {
  return {
      ask.phrase({"Which " + ask.what + " is the largest?", "What has the highest value?",
                  "Which name has the greatest value in the " + ask.chart + "?", "Name the largest " + ask.what + "."}),
      ask.name(ask.by_value().front())};
}

Question ask_smallest(const Ask& ask) {
  return {
      ask.phrase({"Which " + ask.what + " is the smallest?", "What has the lowest value?",
                  "Which name has the least value in the " + ask.chart + "?", "Name the smallest " + ask.what + "."}),
      ask.name(ask.by_value().back())};
}

Question ask_second(const Ask& ask) {
  return {ask.phrase({"Which " + ask.what + " is the second largest?", "What has the second highest value?"}),
          ask.name(ask.by_value()[1])};
}

Question ask_count(const Ask& ask) {
  return {ask.phrase({"How many " + ask.what + "s are there?",
                      "How many " + ask.what + "s does the " + ask.chart + " show?", "Count the " + ask.what + "s."}),
          std::to_string(ask.series.names.size())};
}

Question ask_larger_of_two(const Ask& ask) {
  const auto [one, other] = ask.any_two();
  const bool higher = chance(ask.random, 0.5);
  const std::string wanted = higher ? "higher" : "lower";
  return {ask.phrase({"Which has the " + wanted + " value, " + ask.name(one) + " or " + ask.name(other) + "?",
                      ask.name(one) + " or " + ask.name(other) + ": which value is " + wanted + "?"}),
          ask.name((ask.series.values[one] > ask.series.values[other]) == higher ? one : other)};
}

Question ask_if_larger(const Ask& ask) {
  const auto [one, other] = ask.any_two();
  const bool larger = ask.series.values[one] > ask.series.values[other];
  const bool asks_larger = chance(ask.random, 0.5);
  const std::string wanted = asks_larger ? "higher" : "lower";
  return {ask.phrase({"Is the value of " + ask.name(one) + " " + wanted + " than that of " + ask.name(other) + "?",
                      "Does " + ask.name(one) + " have a " + wanted + " value than " + ask.name(other) + "?"}),
          larger == asks_larger ? "Yes" : "No"};
}

Question ask_title(const Ask& ask) {
  return {ask.phrase({"What is the title of the " + ask.chart + "?", "What does the title say?", "Read the title."}),
          ask.series.title};
}

Question ask_value(const Ask& ask) {
  const size_t one = ask.any();
  return {ask.phrase({"What is the value of " + ask.name(one) + "?", "Which value does " + ask.name(one) + " have?",
                      "Read the value of " + ask.name(one) + ".", "How much is shown for " + ask.name(one) + "?"}),
          ask.number(ask.series.values[one])};
}

Question ask_largest_value(const Ask& ask) {
  const auto order = ask.by_value();
  const bool largest = chance(ask.random, 0.5);
  return {
      ask.phrase({std::string("What is the ") + (largest ? "highest" : "lowest") + " value?",
                  std::string("What is the value of the ") + (largest ? "largest " : "smallest ") + ask.what + "?"}),
      ask.number(ask.series.values[largest ? order.front() : order.back()])};
}

Question ask_difference(const Ask& ask) {
  const auto [one, other] = ask.any_two();
  const auto [least, most] = std::minmax(ask.series.values[one], ask.series.values[other]);
  return {ask.phrase({"What is the difference between the values of " + ask.name(one) + " and " + ask.name(other) + "?",
                      "By how much do the values of " + ask.name(one) + " and " + ask.name(other) + " differ?"}),
          ask.number(most - least)};
}

Question ask_sum(const Ask& ask) {
  const auto [one, other] = ask.any_two();
  return {ask.phrase({"What is the sum of the values of " + ask.name(one) + " and " + ask.name(other) + "?",
                      "What do the values of " + ask.name(one) + " and " + ask.name(other) + " add up to?"}),
          ask.number(ask.series.values[one] + ask.series.values[other])};
}

Question ask_above(const Ask& ask) {
  // Between the smallest and the largest value and on none of them: a mark of the axis if there is such a one, else the
  // middle of two neighbours.
  const Series& series = ask.series;
  std::vector<int64_t> sorted = series.values;
  std::ranges::sort(sorted);
  std::vector<int64_t> borders;
  for (int64_t mark = series.step; mark < sorted.back(); mark += series.step) {
    if (mark > sorted.front() && !std::ranges::binary_search(sorted, mark)) borders.push_back(mark);
  }
  for (size_t i = 1; borders.empty() && i < sorted.size(); ++i) {
    if (sorted[i] - sorted[i - 1] > 1) borders.push_back(std::midpoint(sorted[i - 1], sorted[i]));
  }
  if (borders.empty()) return ask_count(ask);
  const int64_t border = pick(ask.random, borders);
  const bool above = chance(ask.random, 0.5);
  const auto count = std::ranges::count_if(series.values, [&](int64_t v) { return (v > border) == above; });
  return {"How many " + ask.what + "s have a value " + (above ? "above " : "below ") + ask.number(border) + "?",
          std::to_string(count)};
}

}  // namespace

Question ask_series(Random& random, const Series& series, Asked asked, const std::string& what,
                    const std::string& chart) {
  using Form = Question (*)(const Ask&);
  std::vector<Form> forms = {ask_largest, ask_smallest, ask_count, ask_larger_of_two, ask_if_larger};
  if (series.names.size() > 2) forms.push_back(ask_second);
  if (!series.title.empty()) forms.push_back(ask_title);
  if (asked == Asked::kValues) {
    forms.insert(forms.end(), {ask_value, ask_value, ask_value, ask_largest_value, ask_difference, ask_sum, ask_above});
  }
  const Ask ask{random, series, what, chart};
  return pick(random, forms)(ask);
}

}  // namespace phial::data

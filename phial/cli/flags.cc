#include "phial/cli/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <utility>

namespace phial::cli {
namespace {

template <class T>
bool read_number(std::string_view word, T& into) {
  if (!word.empty() && word.front() == '+') word.remove_prefix(1);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), into);
  return error == std::errc() && end == word.data() + word.size();
}

// In the fewest digits that give this float or double again.
template <class T>
std::string number_text(T value) {
  std::array<char, 400> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed).ptr};
}

std::string wanted_text(const Flag& flag, std::string_view kind) {
  std::string text(kind);
  if (flag.least && flag.most) {
    text += " from " + number_text(*flag.least) + " to " + number_text(*flag.most);
  } else if (flag.least) {
    text += " of at least " + number_text(*flag.least);
  }
  return text;
}

Error bad_value(const Flag& flag, std::string_view word, const std::string& wanted) {
  return Error{Code::kInvalid, "'" + std::string(word) + "' is no value for " + flag.shown_name(), "give " + wanted};
}

template <class T>
Status set_number(const Flag& flag, const std::string& word, std::string_view kind, T& into) {
  T value{};
  const bool good = read_number(word, value) && std::isfinite(static_cast<double>(value)) &&
                    (!flag.least || value >= static_cast<T>(*flag.least)) &&
                    (!flag.most || value <= static_cast<T>(*flag.most));
  if (!good) return bad_value(flag, word, wanted_text(flag, kind));
  into = value;
  return ok();
}

Status check_choice(const Flag& flag, const std::string& word) {
  if (flag.choices.empty() || std::ranges::find(flag.choices, word) != flag.choices.end()) return ok();
  std::string wanted = "one of";
  for (const std::string& choice : flag.choices) wanted += (&choice == flag.choices.data() ? " " : ", ") + choice;
  return bad_value(flag, word, wanted);
}

// Reads words into whatever the target is.
struct Setter {
  const Flag& flag;
  std::span<const std::string> words;

  Status operator()(bool* into) const {
    *into = true;
    return ok();
  }
  Status operator()(int* into) const { return set_number(flag, words.back(), "a whole number", *into); }
  Status operator()(uint64_t* into) const { return set_number(flag, words.back(), "a whole number", *into); }
  Status operator()(float* into) const { return set_number(flag, words.back(), "a number", *into); }
  Status operator()(double* into) const { return set_number(flag, words.back(), "a number", *into); }
  Status operator()(std::string* into) const {
    PHIAL_CHECKED(check_choice(flag, words.back()));
    *into = words.back();
    return ok();
  }
  Status operator()(std::optional<int>* into) const {
    return set_number(flag, words.back(), "a whole number", into->emplace());
  }
  Status operator()(std::optional<float>* into) const {
    return set_number(flag, words.back(), "a number", into->emplace());
  }
  Status operator()(std::optional<double>* into) const {
    return set_number(flag, words.back(), "a number", into->emplace());
  }
  Status operator()(std::optional<std::string>* into) const {
    PHIAL_CHECKED(check_choice(flag, words.back()));
    *into = words.back();
    return ok();
  }
  Status operator()(std::vector<std::string>* into) const {
    for (const std::string& word : words) PHIAL_CHECKED(check_choice(flag, word));
    into->assign(words.begin(), words.end());
    return ok();
  }
};

std::string default_of(const FlagTarget& target) {
  struct {
    std::string operator()(const bool*) const { return ""; }
    std::string operator()(const int* value) const { return std::to_string(*value); }
    std::string operator()(const uint64_t* value) const { return std::to_string(*value); }
    std::string operator()(const float* value) const { return number_text(*value); }
    std::string operator()(const double* value) const { return number_text(*value); }
    std::string operator()(const std::string* value) const { return *value; }
    std::string operator()(const std::optional<int>* value) const { return *value ? std::to_string(**value) : ""; }
    std::string operator()(const std::optional<float>* value) const { return *value ? number_text(**value) : ""; }
    std::string operator()(const std::optional<double>* value) const { return *value ? number_text(**value) : ""; }
    std::string operator()(const std::optional<std::string>* value) const { return value->value_or(""); }
    std::string operator()(const std::vector<std::string>*) const { return ""; }
  } text;
  return std::visit(text, target);
}

// CLI11's sentences end in its own words for things; ours say the flag and the remedy.
Error usage_error(std::string_view command, const Flags& flags, const CLI::ParseError& error,
                  const std::vector<std::string>& left_over) {
  const std::string help = "'phial " + std::string(command) + " --help' shows what there is";
  if (!left_over.empty()) {
    const std::string& word = left_over.front();
    if (!word.starts_with("-")) {
      return Error{Code::kInvalid, "'" + word + "' is one word too many for 'phial " + std::string(command) + "'",
                   help};
    }
    std::vector<std::string> names{"--help"};
    for (const Flag& flag : flags.all()) names.insert(names.end(), flag.names.begin(), flag.names.end());
    const auto meant = nearest(word.substr(0, word.find('=')), names);
    return Error{Code::kInvalid, "'phial " + std::string(command) + "' has no flag " + word,
                 meant ? "did you mean " + *meant + "?" : help};
  }
  std::string message = error.what();
  std::ranges::replace(message, '\n', ' ');
  // The one sentence of CLI11's that a person can still meet: "--model: 1 required TEXT missing".
  const std::string name = message.substr(0, message.find(':'));
  const auto named = std::ranges::find_if(
      flags.all(), [&](const Flag& flag) { return std::ranges::find(flag.names, name) != flag.names.end(); });
  if (named == flags.all().end()) {
    const size_t dash = std::min(message.find('-'), message.size());
    const std::string word = message.substr(dash, message.find_first_of(" :=,", dash) - dash);
    return Error{
        Code::kInvalid,
        "'phial " + std::string(command) + "' cannot take " + (word.empty() ? "these words" : word) + ": " + message,
        help};
  }
  return Error{Code::kInvalid, "no value was given for " + name, "write " + name + " " + named->placeholder};
}

}  // namespace

Status Flag::set(std::span<const std::string> words) const { return std::visit(Setter{*this, words}, target); }

Flag& Flags::add(std::string_view names, bool& into, std::string_view help) { return add(names, &into, "", help); }

Flag& Flags::add(std::string_view names, FlagTarget into, std::string_view placeholder, std::string_view help) {
  Flag flag;
  while (!names.empty()) {
    const size_t comma = std::min(names.find(','), names.size());
    flag.names.emplace_back(names.substr(0, comma));
    names.remove_prefix(std::min(comma + 1, names.size()));
  }
  flag.placeholder = placeholder;
  flag.help = help;
  flag.default_text = default_of(into);
  flag.group = group_;
  flag.target = into;
  return flags_.emplace_back(std::move(flag));
}

Flag& Flags::argument(std::string_view placeholder, FlagTarget into, std::string_view help) {
  return add("", into, placeholder, help);
}

namespace {

// CLI11 takes "--json=false" for "--json".
Status check_switches(const Flags& flags, std::span<const std::string> words) {
  for (const std::string& word : words) {
    if (word == "--") break;
    const std::string name = word.substr(0, word.find('='));
    if (name.size() == word.size()) continue;
    for (const Flag& flag : flags.all()) {
      if (!flag.is_switch() || std::ranges::find(flag.names, name) == flag.names.end()) continue;
      std::string message = name;
      message.append(" takes no value, and '").append(word).append("' gives one");
      return Error{Code::kInvalid, std::move(message), "write it alone, or leave it out"};
    }
  }
  return ok();
}

// "--docs A B 'a question' --json": an option that takes several words has swallowed the one that `positional` needs.
// Moves the last of them over, unless an option's name stands right before it.
void give_back_swallowed(const Flags& flags, size_t positional, std::span<const std::string> words,
                         std::vector<std::vector<std::string>>& collected) {
  for (size_t i = 0; i < flags.all().size(); ++i) {
    const Flag& flag = flags.all()[i];
    if (flag.is_positional() || !flag.is_repeated() || flag.takes_one || collected[i].size() < 2) continue;
    const auto last = std::find(words.rbegin(), words.rend(), collected[i].back());
    if (last == words.rend() || std::next(last) == words.rend() || std::next(last)->starts_with('-')) continue;
    collected[positional].push_back(std::move(collected[i].back()));
    collected[i].pop_back();
    return;
  }
}

}  // namespace

Result<Parsed> parse(std::string_view command, const Flags& flags, std::span<const std::string> words) {
  Parsed parsed;
  CLI::App app("", std::string(command));
  app.set_help_flag("");
  app.add_flag("-h,--help", parsed.wants_help);
  app.allow_extras();

  // Collected as words first; our own rules read them, so that every message has one voice.
  std::vector<std::vector<std::string>> collected(flags.all().size());
  std::vector<CLI::Option*> options;
  for (size_t i = 0; i < flags.all().size(); ++i) {
    const Flag& flag = flags.all()[i];
    std::string names;
    for (const std::string& name : flag.names) names += (names.empty() ? "" : ",") + name;
    if (flag.is_positional()) names = "argument" + std::to_string(i);
    CLI::Option* option = nullptr;
    if (flag.is_switch()) {
      option = app.add_flag(names)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    } else {
      option = app.add_option(names, collected[i]);
      option->allow_extra_args(flag.is_repeated() && !flag.takes_one);
      option->expected(1, flag.is_repeated() ? CLI::detail::expected_max_vector_size : 1);
      if (!flag.is_repeated()) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
    options.push_back(option);
  }

  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());  // CLI11 takes them off the back
    // A person who asks for help gets it, whatever else is wrong or missing.
    for (const std::string& word : words) {
      if (word == "--") break;
      if (word == "--help" || word == "-h") return Parsed{true};
    }
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return usage_error(command, flags, error, {});
  }
  auto left_over = app.remaining();
  if (const auto dashes = std::ranges::find(left_over, "--"); dashes != left_over.end()) left_over.erase(dashes);
  if (!left_over.empty()) {
    return usage_error(command, flags, CLI::ParseError("", 0), left_over);
  }

  for (size_t i = 0; i < options.size(); ++i) {
    const Flag& flag = flags.all()[i];
    if (flag.is_positional() && flag.required && collected[i].empty()) {
      give_back_swallowed(flags, i, words, collected);
    }
  }
  PHIAL_CHECKED(check_switches(flags, words));
  for (size_t i = 0; i < options.size(); ++i) {
    const Flag& flag = flags.all()[i];
    if (options[i]->count() == 0 && collected[i].empty()) {
      if (flag.required) {
        return Error{Code::kInvalid, "'phial " + std::string(command) + "' needs " + flag.shown_name(),
                     "'phial " + std::string(command) + " --help' has an example"};
      }
      continue;
    }
    PHIAL_CHECKED(flag.set(collected[i]));
  }
  return parsed;
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known) {
  std::optional<std::string> best;
  size_t best_distance = word.size() / 3 + 2;  // more edits than this and it was not meant
  for (const std::string& candidate : known) {
    if (word.size() >= 3 && candidate.starts_with(word)) return candidate;
    // Edits between the words (Levenshtein), one row at a time; a swap of neighbours counts as two.
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < word.size(); ++i) {
      size_t diagonal = std::exchange(row[0], i + 1);
      for (size_t j = 0; j < candidate.size(); ++j) {
        const size_t replaced = diagonal + (word[i] == candidate[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace phial::cli

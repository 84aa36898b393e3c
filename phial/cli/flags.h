// The flags of one command: described once, in the command's own struct, and from there the parser, `--help`, the man
// page and the shell completions. CLI11 cuts the command line up; what a value may be is decided here.
//
// A default is what the bound variable holds when it is described.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "phial/base/result.h"

namespace phial::cli {

// What a shell offers for a value.
enum class Completes { kNothing, kPath, kModel, kLibrary };

using FlagTarget =
    std::variant<bool*, int*, uint64_t*, float*, double*, std::string*, std::optional<int>*, std::optional<float>*,
                 std::optional<double>*, std::optional<std::string>*, std::vector<std::string>*>;

struct Flag {
  std::vector<std::string> names;  // "-n", "--max-tokens"; empty: a positional argument
  std::string placeholder;         // "N"; empty: a switch
  std::string help;
  std::string default_text;  // empty: nothing worth telling
  std::string group;
  FlagTarget target;
  std::vector<std::string> choices;
  std::optional<double> least, most;
  Completes completes = Completes::kNothing;
  bool required = false;
  bool takes_one = false;  // repeated, but each time with one value

  bool is_positional() const { return names.empty(); }
  bool is_switch() const { return placeholder.empty(); }
  bool is_repeated() const { return std::holds_alternative<std::vector<std::string>*>(target); }
  // How messages call it: the long name, or the placeholder.
  const std::string& shown_name() const { return is_positional() ? placeholder : names.back(); }

  Flag& between(double low, double high) {
    least = low;
    most = high;
    return *this;
  }
  Flag& at_least(double low) {
    least = low;
    return *this;
  }
  Flag& one_of(std::vector<std::string> values) {
    choices = std::move(values);
    return *this;
  }
  Flag& offers(Completes kind) {
    completes = kind;
    return *this;
  }
  Flag& must() {
    required = true;
    return *this;
  }
  Flag& one_each() {
    takes_one = true;
    return *this;
  }
  Flag& default_is(std::string text) {
    default_text = std::move(text);
    return *this;
  }

  // Reads the given words into the target. kInvalid names the flag, what was given and what is wanted.
  Status set(std::span<const std::string> words) const;
};

class Flags {
 public:
  // `names`: "-n,--max-tokens".
  Flag& add(std::string_view names, bool& into, std::string_view help);
  Flag& add(std::string_view names, FlagTarget into, std::string_view placeholder, std::string_view help);
  // A word without a flag. Several: bind a vector, as the last one.
  Flag& argument(std::string_view placeholder, FlagTarget into, std::string_view help);
  // The heading that the flags after it stand under.
  void group(std::string_view title) { group_ = title; }

  const std::vector<Flag>& all() const { return flags_; }

 private:
  std::vector<Flag> flags_;
  std::string group_;
};

// What a command line turned out to be.
struct Parsed {
  bool wants_help = false;
};

// Fills the bound variables from `words` (what follows the command's name). Errors are the person's: exit status 2.
Result<Parsed> parse(std::string_view command, const Flags& flags, std::span<const std::string> words);

// The one of `known` nearest to `word`, if it is near enough to be meant.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known);

}  // namespace phial::cli

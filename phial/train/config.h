// A configuration file: fields by dotted names, each with its help, bound to a variable, as a TOML file or a command
// line gives them.
//
// A default is what the bound variable holds when it is described. Errors: kInvalid for a field that there is none of,
// and for a value of another kind or outside its limits; from a file the message names its line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial::train {

using ConfigTarget =
    std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*, std::vector<double>*>;

struct ConfigField {
  std::string name;  // "optimizer.lr"
  std::string help;
  ConfigTarget target;
  std::vector<std::string> choices = {};
  std::optional<double> least = {}, most = {};

  ConfigField& at_least(double low) {
    least = low;
    return *this;
  }
  ConfigField& between(double low, double high) {
    least = low;
    most = high;
    return *this;
  }
  ConfigField& one_of(std::vector<std::string> values) {
    choices = std::move(values);
    return *this;
  }
};

class ConfigFields {
 public:
  ConfigField& add(std::string name, ConfigTarget target, std::string help);
  const std::vector<ConfigField>& all() const { return fields_; }

  // `named`: what messages call the text.
  Status read_toml(std::string_view text, std::string_view named);
  // "optimizer.lr=1e-3", the value as TOML has it; a text may stand without its quotes.
  Status set(std::string_view assignment);

  // Every field with its value, by its dotted name.
  Json values() const;
  // The same as a file, with what each field means.
  std::string toml() const;

 private:
  std::vector<ConfigField> fields_;
};

}  // namespace phial::train

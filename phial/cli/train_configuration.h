// The configuration that a verb of training is given: a TOML file, and fields on the command line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "phial/cli/console.h"
#include "phial/cli/flags.h"
#include "phial/train/config.h"

namespace phial::cli {

class ConfigurationFlags {
 public:
  void describe(Flags& flags);
  // kInvalid if nothing is given.
  Status check() const;
  // Fills the configuration. False: the person asked for the fields alone, and has them now.
  template <class Config>
  Result<bool> read(Config& config, Console& console) const {
    train::ConfigFields fields;
    config.describe(fields);
    return read_fields(fields, console);
  }

 private:
  Result<bool> read_fields(train::ConfigFields& fields, Console& console) const;

  std::optional<std::string> file_;
  std::vector<std::string> overrides_;
  bool wants_fields_ = false;
};

}  // namespace phial::cli

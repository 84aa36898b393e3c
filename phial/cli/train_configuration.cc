#include "phial/cli/train_configuration.h"

#include "phial/base/mapped_file.h"

namespace phial::cli {

void ConfigurationFlags::describe(Flags& flags) {
  flags.add("-c,--config", &file_, "FILE", "the configuration, TOML").offers(Completes::kPath);
  flags.add("--set", &overrides_, "FIELD=VALUE", "overrides a field: optimizer.lr=2e-3. May be repeated").one_each();
  flags.add("--fields", wants_fields_, "prints a configuration of every field with its default, and does nothing else");
}

Status ConfigurationFlags::check() const {
  if (wants_fields_ || file_ || !overrides_.empty()) return ok();
  return Error{Code::kInvalid, "no configuration was given", "give --config FILE; --fields prints one to begin with"};
}

Result<bool> ConfigurationFlags::read_fields(train::ConfigFields& fields, Console& console) const {
  if (file_) {
    PHIAL_TRY(const std::string text, read_text_file(*file_));
    PHIAL_CHECKED(fields.read_toml(text, *file_));
  }
  for (const std::string& assignment : overrides_) PHIAL_CHECKED(fields.set(assignment));
  if (wants_fields_) console.write(fields.toml());
  return !wants_fields_;
}

}  // namespace phial::cli

// The pictures that a person names: --image F, once or several times.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "phial/cli/flags.h"
#include "phial/generate/language_model.h"

namespace phial::cli {

struct PictureFlags {
  std::vector<std::string> files = {};

  // `meaning`: what a picture is for, for the help.
  void describe(Flags& flags, std::string_view meaning);
  Result<std::vector<generate::Picture>> read() const;
};

// --projector FILE.
void add_projector_flag(Flags& flags, std::optional<std::string>& file);

Result<generate::Picture> read_picture(const std::string& file);

}  // namespace phial::cli

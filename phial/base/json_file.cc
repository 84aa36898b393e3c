#include "phial/base/json_file.h"

#include <string>

#include "phial/base/folder.h"
#include "phial/base/text_file.h"

namespace phial {

Result<Json> read_json_if_there(const std::filesystem::path& path) {
  constexpr size_t kMostBytes = size_t{64} << 20;
  if (!is_there(path)) return Json();
  PHIAL_TRY(const std::string text, read_text_file(path, kMostBytes));
  auto json = parse_json(text);
  if (!json) return std::move(json).error().in(path.string());
  return json;
}

}  // namespace phial

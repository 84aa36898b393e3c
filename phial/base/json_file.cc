#include "phial/base/json_file.h"

#include <span>
#include <string>

#include "phial/base/folder.h"
#include "phial/base/mapped_file.h"

namespace phial {

Result<Json> read_json_if_there(const std::filesystem::path& path) {
  constexpr size_t kMostBytes = size_t{64} << 20;
  if (!is_there(path)) return Json();
  PHIAL_TRY(const std::string text, read_text_file(path, kMostBytes));
  auto json = parse_json(text);
  if (!json) return std::move(json).error().in(path.string());
  return json;
}

Status write_json_file(const std::filesystem::path& path, const Json& json, int indent) {
  const std::string text = json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
  return write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace phial

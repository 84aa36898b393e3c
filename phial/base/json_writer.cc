#include "phial/base/json_writer.h"

#include <span>
#include <string>

#include "phial/base/mapped_file.h"

namespace phial {

Status write_json_file(const std::filesystem::path& path, const Json& json, int indent) {
  const std::string text = json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
  return write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace phial

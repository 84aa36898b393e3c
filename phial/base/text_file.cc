#include "phial/base/text_file.h"

#include "phial/base/regular_file.h"

namespace phial {

Result<std::string> read_text_file(const std::filesystem::path& path, size_t max_bytes) {
  PHIAL_TRY(const RegularFile file, RegularFile::open(path));
  if (file.size() > max_bytes) {
    return Error{Code::kOutOfRange,
                 "it has " + std::to_string(file.size()) + " bytes, " + std::to_string(max_bytes) +
                     " are allowed here (" + path.string() + ")",
                 "name a smaller file"};
  }
  std::string text(file.size(), '\0');
  PHIAL_CHECKED(read_exactly(path, file.descriptor(), 0, reinterpret_cast<std::byte*>(text.data()), text.size()));
  return text;
}

}  // namespace phial

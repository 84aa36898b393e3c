#include "phial/formats/npy.h"

#include <string>

#include "phial/base/check.h"
#include "phial/base/mapped_file.h"

namespace phial::formats {
namespace {

// The magic, the version, the length of the text that follows, and that text: a Python dictionary, padded with spaces
// so that the numbers begin at a multiple of 64 bytes.
std::string npy_header(std::span<const uint64_t> shape) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const uint64_t extent : shape) text += std::to_string(extent) + ", ";
  if (shape.size() > 1) text.resize(text.size() - 2);
  if (shape.size() == 1) text.pop_back();
  text += "), }";
  constexpr size_t kBeforeText = 10;
  text.append(63 - (kBeforeText + text.size()) % 64, ' ');
  text += '\n';
  std::string header = "\x93NUMPY";
  header += {'\x01', '\x00', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return header + text;
}

}  // namespace

Status write_npy(const std::filesystem::path& path, std::span<const uint64_t> shape, std::span<const float> values) {
  uint64_t product = 1;
  for (const uint64_t extent : shape) product *= extent;
  PHIAL_CHECK(product == values.size());
  const std::string header = npy_header(shape);
  return write_file_atomically(path, {std::as_bytes(std::span(header)), std::as_bytes(values)});
}

}  // namespace phial::formats

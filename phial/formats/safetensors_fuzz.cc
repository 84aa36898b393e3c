#include "phial/formats/safetensors.h"

#include "phial/base/check.h"

// The first byte chooses between the two parsers of this format.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  if (data[0] == 'i') {
    const auto shards = phial::formats::parse_shard_index({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (!shards) return 0;
    for (const auto& [tensor, file] : *shards) {
      PHIAL_CHECK(std::filesystem::path(file).filename() == file && file != "." && file != "..");
    }
    return 0;
  }
  const auto tensors = phial::formats::parse_safetensors(bytes);
  if (!tensors) {
    PHIAL_CHECK(tensors.error().text().find('\n') == std::string::npos);
    return 0;
  }
  for (const auto& tensor : *tensors) {
    PHIAL_CHECK(tensor.bytes.size() == phial::tensor::bytes_of(tensor.dtype, tensor.elements()));
    PHIAL_CHECK(tensor.bytes.data() >= bytes.data() &&
                tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size());
  }
  return 0;
}

#include "phial/formats/gguf.h"

#include "phial/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto gguf = phial::formats::parse_gguf(bytes);
  if (!gguf) {
    PHIAL_CHECK(!gguf.error().message.empty() && gguf.error().text().find('\n') == std::string::npos);
    return 0;
  }
  for (const auto& tensor : gguf->tensors) {
    PHIAL_CHECK(tensor.bytes.size() == phial::tensor::bytes_of(tensor.dtype, tensor.elements()));
    PHIAL_CHECK(tensor.bytes.data() >= bytes.data() &&
                tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size());
  }
  return 0;
}

#include "phial/formats/int4_folder.h"

#include <algorithm>

#include "phial/base/check.h"
#include "phial/formats/safetensors.h"

// The first line is the quantization_config, the rest a safetensors file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(text.find('\n'), size);
  const auto stated = phial::parse_json(text.substr(0, end));
  auto tensors =
      phial::formats::parse_safetensors(std::as_bytes(std::span(data, size)).subspan(std::min(end + 1, size)));
  if (!stated || !tensors) return 0;
  const phial::Status joined = phial::formats::join_int4({{"quantization_config", *stated}}, *tensors);
  if (!joined) {
    PHIAL_CHECK(!joined.error().message.empty() && joined.error().text().find('\n') == std::string::npos);
    return 0;
  }
  for (const auto& tensor : *tensors) {
    PHIAL_CHECK(tensor.bytes.size() == phial::tensor::bytes_of(tensor.dtype, tensor.elements()));
    if (!tensor.int4) continue;
    PHIAL_CHECK(tensor.shape.size() == 2 && tensor.dtype == phial::tensor::DType::kInt4);
    std::vector<float> weights(tensor.shape[1]);
    for (const size_t output : {size_t{0}, static_cast<size_t>(tensor.shape[0] - 1)}) {
      phial::tensor::decode_row(*tensor.int4, output, 0, weights);
    }
    (void)phial::tensor::all_zeros_are(*tensor.int4, 8);
    (void)phial::tensor::groups_are_whole(*tensor.int4, 32);
  }
  return 0;
}

#include "phial/spec/vision.h"

#include <cstdint>
#include <string_view>

#include "phial/base/check.h"
#include "phial/spec/vision_tensors.h"

// What describes an eye, in a folder or a GGUF file. No tensor has as many numbers as would not fit 64 bits.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int kWidth = 64;
  const auto json = phial::parse_json({reinterpret_cast<const char*>(data), size});
  if (!json) return 0;
  for (const auto& spec :
       {phial::spec::vision_from_gguf(*json, kWidth), phial::spec::vision_of_config(*json, *json, kWidth)}) {
    if (!spec) {
      PHIAL_CHECK(spec.error().text().find('\n') == std::string_view::npos);
      continue;
    }
    PHIAL_CHECK(phial::spec::validate(*spec));
    if (spec->n_layers > 2) continue;
    for (const auto& tensor : phial::spec::vision_tensors(*spec)) {
      int64_t numbers = 1;
      for (const int64_t extent : tensor.shape) {
        PHIAL_CHECK(extent > 0 && !__builtin_mul_overflow(numbers, extent, &numbers));
      }
    }
  }
  return 0;
}

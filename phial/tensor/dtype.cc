#include "phial/tensor/dtype.h"

#include <array>

namespace phial::tensor {
namespace {

// In the order of DType.
constexpr std::array<DTypeInfo, 25> kTypes = {{
    {"F32", 0, 1, 4},
    {"F16", 1, 1, 2},
    {"BF16", 30, 1, 2},
    {"F64", 28, 1, 8},
    {"I8", 24, 1, 1},
    {"I16", 25, 1, 2},
    {"I32", 26, 1, 4},
    {"I64", 27, 1, 8},
    {"U8", -1, 1, 1},
    {"BOOL", -1, 1, 1},
    {"Q4_0", 2, 32, 18},
    {"Q4_1", 3, 32, 20},
    {"Q5_0", 6, 32, 22},
    {"Q5_1", 7, 32, 24},
    {"Q8_0", 8, 32, 34},
    {"Q2_K", 10, 256, 84},
    {"Q3_K", 11, 256, 110},
    {"Q4_K", 12, 256, 144},
    {"Q5_K", 13, 256, 176},
    {"Q6_K", 14, 256, 210},
    {"IQ4_NL", 20, 32, 18},
    {"IQ4_XS", 23, 256, 136},
    {"phial_q4", 0x50480004, 32, 17},
    {"phial_q3", 0x50480003, 32, 13},
    {"INT4", -1, 8, 4},
}};
static_assert(kTypes[static_cast<size_t>(DType::kInt4)].name == "INT4", "one line a DType, in its order");
static_assert(kTypes[static_cast<size_t>(DType::kQ4_0)].name == "Q4_0");

}  // namespace

const DTypeInfo& info(DType dtype) { return kTypes[static_cast<size_t>(dtype)]; }

std::optional<DType> dtype_from_gguf(uint32_t id) {
  for (size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].gguf_id >= 0 && static_cast<uint32_t>(kTypes[i].gguf_id) == id) return static_cast<DType>(i);
  }
  return std::nullopt;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

std::optional<uint64_t> bytes_of(DType dtype, uint64_t count) {
  const DTypeInfo& type = info(dtype);
  uint64_t bytes = 0;
  if (count % type.block_size != 0) return std::nullopt;
  if (__builtin_mul_overflow(count / type.block_size, uint64_t{type.block_bytes}, &bytes)) return std::nullopt;
  return bytes;
}

bool is_weight_type(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 || info(dtype).block_size > 1;
}

}  // namespace phial::tensor

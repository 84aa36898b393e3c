// The types that weights are stored in: plain numbers and blocks of quantised ones.
//
// Numbers in brackets are the GGUF type ids. A block type packs `block_size` consecutive weights of a row into
// `block_bytes`; a row's length is a multiple of the block. Layouts: tensor/blocks.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace phial::tensor {

enum class DType : uint8_t {
  kF32,      // [0]
  kF16,      // [1]
  kBF16,     // [30]
  kF64,      // [28]
  kI8,       // [24]
  kI16,      // [25]
  kI32,      // [26]
  kI64,      // [27]
  kU8,       // safetensors only
  kBool,     // safetensors only
  kQ4_0,     // [2]
  kQ4_1,     // [3]
  kQ5_0,     // [6]
  kQ5_1,     // [7]
  kQ8_0,     // [8]
  kQ2_K,     // [10]
  kQ3_K,     // [11]
  kQ4_K,     // [12]
  kQ5_K,     // [13]
  kQ6_K,     // [14]
  kIQ4_NL,   // [20]
  kIQ4_XS,   // [23]
  kPhialQ4,  // [0x50480004] of our own, as the next: far from those that ggml will give out
  kPhialQ3,  // [0x50480003]
  kInt4,     // AWQ and GPTQ matrices of Hugging Face folders: tensor/int4.h
};

struct DTypeInfo {
  std::string_view name;  // as GGUF spells it: "F32", "Q4_K"
  int gguf_id;            // -1: GGUF has none
  uint32_t block_size;    // weights a block
  uint32_t block_bytes;
};

const DTypeInfo& info(DType dtype);
std::optional<DType> dtype_from_gguf(uint32_t id);
std::optional<DType> dtype_from_name(std::string_view name);

// The bytes of `count` weights; nothing if `count` is not whole blocks or the product does not fit 64 bits.
std::optional<uint64_t> bytes_of(DType dtype, uint64_t count);

// True if the type holds weights: decode_row of blocks.h turns it into f32, that of int4.h for kInt4.
bool is_weight_type(DType dtype);

}  // namespace phial::tensor

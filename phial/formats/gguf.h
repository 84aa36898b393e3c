// GGUF, versions 2 and 3: one file with a model's settings, its tokenizer and its tensors.
//
// Rules of reading: docs/formats.md. Errors: kCorrupt, and kUnsupported for a version, tensor type or split file that
// Phial does not read; found before anything is allocated whose size the file chooses freely.
// Source: the GGUF specification of the ggml project.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"

namespace phial::formats {

struct Gguf {
  uint32_t version = 0;
  uint64_t alignment = 32;      // of every tensor's bytes, counted from the first one
  Json metadata;                // one flat object; text that is not UTF-8 stays as it is
  std::vector<Tensor> tensors;  // in the file's order; their bytes lie within what was parsed
};

// True if `bytes` begin as a GGUF file of any version does.
bool looks_like_gguf(std::span<const std::byte> bytes);

Result<Gguf> parse_gguf(std::span<const std::byte> bytes);

}  // namespace phial::formats

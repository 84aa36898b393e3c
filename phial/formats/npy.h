// NumPy's .npy, version 1.0: what `phial logits` and `phial embed` write. Little-endian float32, C order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "phial/base/result.h"

namespace phial::formats {

// Promise: the product of `shape` is values.size(). Written atomically.
Status write_npy(const std::filesystem::path& path, std::span<const uint64_t> shape, std::span<const float> values);

}  // namespace phial::formats

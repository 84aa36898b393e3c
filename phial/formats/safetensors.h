// safetensors: a JSON table of tensors, then their bytes without holes.
//
// Rules of reading: docs/formats.md. Errors: kCorrupt, and kUnsupported for an element type that Phial does not know.
// Source: the format's description in the safetensors project.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"

namespace phial::formats {

// True if `bytes` begin as a safetensors file does.
bool looks_like_safetensors(std::span<const std::byte> bytes);

// The tensors in the order of their bytes, which lie within what was parsed.
Result<std::vector<Tensor>> parse_safetensors(std::span<const std::byte> bytes);

// model.safetensors.index.json: which file of the same folder holds which tensor. Every file name is a plain name, so
// joining it to the folder's path stays in the folder.
using ShardMap = std::map<std::string, std::string>;  // tensor -> file
Result<ShardMap> parse_shard_index(std::string_view json_text);

}  // namespace phial::formats

#include "phial/formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "phial/base/bytes.h"
#include "phial/base/json.h"
#include "phial/base/utf8.h"
#include "phial/formats/damaged.h"

namespace phial::formats {
namespace {

constexpr uint64_t kLongestHeader = uint64_t{32} << 20;  // the largest models' are below 10 MB
constexpr size_t kMostDimensions = 8;
constexpr std::string_view kMetadataKey = "__metadata__";

// A JSON number as a count: whole, not negative, written as an integer.
std::optional<uint64_t> as_count(const Json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<uint64_t>();
}

struct Entry {
  Tensor tensor;
  uint64_t begin = 0, end = 0;
};

Status read_shape(const Json& fields, Entry& entry, uint64_t* elements) {
  const std::string name = in_quotes(entry.tensor.name);
  const Json* shape = find_member(fields, "shape");
  if (shape == nullptr || !shape->is_array() || shape->size() > kMostDimensions) {
    return damaged("tensor " + name + " has no shape of up to " + std::to_string(kMostDimensions) + " dimensions");
  }
  *elements = 1;
  for (const Json& extent : *shape) {
    const auto count = as_count(extent);
    if (!count || !multiply_fits(*elements, *count, elements)) {
      return damaged("a dimension of tensor " + name + " is " + printable(dump_json(extent)));
    }
    entry.tensor.shape.push_back(*count);
  }
  return ok();
}

Result<Entry> read_entry(const std::string& name, const Json& fields) {
  Entry entry;
  entry.tensor.name = name;
  const std::string* dtype_name = find_string(fields, "dtype");
  if (dtype_name == nullptr) return damaged("tensor " + in_quotes(name) + " has no dtype");
  const auto dtype = tensor::dtype_from_name(*dtype_name);
  if (!dtype || tensor::info(*dtype).block_size != 1) {
    return Error{Code::kUnsupported,
                 "tensor " + in_quotes(name) + " is of type " + in_quotes(*dtype_name) + ", which Phial does not read",
                 "take the model in F32, F16 or BF16"};
  }
  entry.tensor.dtype = *dtype;
  uint64_t elements = 0;
  PHIAL_CHECKED(read_shape(fields, entry, &elements));

  const Json* offsets = find_member(fields, "data_offsets");
  const bool is_pair = offsets != nullptr && offsets->is_array() && offsets->size() == 2;
  const auto begin = is_pair ? as_count((*offsets)[0]) : std::nullopt;
  const auto end = is_pair ? as_count((*offsets)[1]) : std::nullopt;
  if (!begin || !end || *begin > *end) return damaged("tensor " + in_quotes(name) + " has no proper data_offsets");
  const auto size = tensor::bytes_of(*dtype, elements);
  if (!size || *size != *end - *begin) {
    return damaged("tensor " + in_quotes(name) + " has " + std::to_string(*end - *begin) +
                   " bytes, its type and shape need " + (size ? std::to_string(*size) : "more than 2^64"));
  }
  entry.begin = *begin;
  entry.end = *end;
  return entry;
}

// The format wants the tensors' bytes to cover what follows the header, without holes or overlap.
Status place_tensors(std::span<const std::byte> data, std::vector<Entry>& entries) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t covered = 0;
  for (Entry& entry : entries) {
    if (entry.end > data.size()) {
      return cut_short("tensor " + in_quotes(entry.tensor.name) + " ends at byte " + std::to_string(entry.end) +
                       " of the data, which has " + std::to_string(data.size()));
    }
    if (entry.begin != covered) {
      return damaged("tensor " + in_quotes(entry.tensor.name) + " begins at byte " + std::to_string(entry.begin) +
                     " of the data, the one before it ends at " + std::to_string(covered));
    }
    covered = entry.end;
    entry.tensor.bytes = data.subspan(static_cast<size_t>(entry.begin), static_cast<size_t>(entry.end - entry.begin));
  }
  if (covered != data.size()) {
    return damaged(std::to_string(data.size() - covered) + " bytes after the last tensor belong to none");
  }
  return ok();
}

}  // namespace

bool looks_like_safetensors(std::span<const std::byte> bytes) {
  uint64_t length = 0;
  if (bytes.size() < sizeof length + 2) return false;
  std::memcpy(&length, bytes.data(), sizeof length);
  return length >= 2 && length <= kLongestHeader && bytes[sizeof length] == std::byte{'{'};
}

Result<std::vector<Tensor>> parse_safetensors(std::span<const std::byte> bytes) {
  Reader in(bytes);
  PHIAL_TRY(const uint64_t length, in.u64());
  if (length > kLongestHeader) {
    return damaged("the header promises " + std::to_string(length) + " bytes, at most " +
                   std::to_string(kLongestHeader) + " are allowed");
  }
  PHIAL_TRY(const std::string_view text, in.text(length));
  Result<Json> header = parse_json(text, RepeatedKeys::kRefused);
  if (!header) return std::move(header).error().in("header");
  if (!header->is_object()) return damaged("the header is not a JSON object");

  std::vector<Entry> entries;
  entries.reserve(header->size());
  for (const auto& [name, fields] : header->items()) {
    if (name == kMetadataKey) continue;
    PHIAL_TRY(Entry entry, read_entry(name, fields));
    entries.push_back(std::move(entry));
  }
  PHIAL_CHECKED(place_tensors(bytes.subspan(in.position()), entries));
  std::vector<Tensor> tensors;
  tensors.reserve(entries.size());
  for (Entry& entry : entries) tensors.push_back(std::move(entry.tensor));
  return tensors;
}

Result<ShardMap> parse_shard_index(std::string_view json_text) {
  PHIAL_TRY(const Json index, parse_json(json_text, RepeatedKeys::kRefused));
  const Json* weight_map = find_member(index, "weight_map");
  if (weight_map == nullptr || !weight_map->is_object()) return damaged("the index has no weight_map object");
  ShardMap shards;
  for (const auto& [name, value] : weight_map->items()) {
    const auto* file = value.get_ptr<const std::string*>();
    if (file == nullptr) return damaged("weight_map names no file for tensor " + in_quotes(name));
    if (file->empty() || *file == "." || *file == ".." ||
        file->find_first_of(std::string_view("/\\\0", 3)) != file->npos) {
      return damaged("weight_map names the file " + in_quotes(*file) + " for tensor " + in_quotes(name) +
                     ", it must lie in the index's own folder");
    }
    shards.emplace(name, *file);
  }
  if (shards.empty()) return damaged("the index names no tensors");
  return shards;
}

}  // namespace phial::formats

#include "phial/formats/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "phial/base/bytes.h"
#include "phial/base/utf8.h"
#include "phial/formats/damaged.h"
#include "phial/formats/gguf_layout.h"

namespace phial::formats {
namespace {

constexpr uint64_t kLongestName = 65535;
constexpr uint32_t kMostGgufDimensions = 4;
constexpr int kDeepestArray = 8;
// Of all metadata arrays together: sixteen vocabularies of a million entries, and at most 256 MB of JSON values.
constexpr uint64_t kMostArrayElements = uint64_t{1} << 24;

// The fewest bytes that a value of the type takes; 0 for a type that GGUF does not have.
uint64_t least_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kString:
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    case GgufType::kArray:
      return 12;
  }
  return 0;
}

// A type that ggml has or had and Phial does not read, for the message.
std::string_view foreign_type_name(uint32_t id) {
  switch (id) {
    case 4:
      return "Q4_2";
    case 5:
      return "Q4_3";
    case 9:
      return "Q8_1";
    case 15:
      return "Q8_K";
    case 16:
      return "IQ2_XXS";
    case 17:
      return "IQ2_XS";
    case 18:
      return "IQ3_XXS";
    case 19:
      return "IQ1_S";
    case 21:
      return "IQ3_S";
    case 22:
      return "IQ2_S";
    case 29:
      return "IQ1_M";
    case 31:
      return "Q4_0_4_4";
    case 32:
      return "Q4_0_4_8";
    case 33:
      return "Q4_0_8_8";
    case 34:
      return "TQ1_0";
    case 35:
      return "TQ2_0";
    case 39:
      return "MXFP4";
    default:
      return "unknown";
  }
}

Result<std::string_view> read_name(Reader& in, std::string_view what) {
  PHIAL_TRY(const uint64_t length, in.u64());
  if (length == 0 || length > kLongestName) {
    return damaged("the name of " + std::string(what) + " has " + std::to_string(length) + " bytes, 1 to " +
                   std::to_string(kLongestName) + " were expected");
  }
  PHIAL_TRY(const std::string_view name, in.text(length));
  if (!is_valid_utf8(name))
    return damaged("the name of " + std::string(what) + ", " + in_quotes(name) + ", is not UTF-8");
  return name;
}

// Reads metadata values; keeps count of array elements over the whole file.
class ValueReader {
 public:
  explicit ValueReader(Reader& in) : in_(in) {}

  Result<Json> read(GgufType type, int depth = 0) {
    switch (type) {
      case GgufType::kU8:
        return number<uint8_t>();
      case GgufType::kI8:
        return number<int8_t>();
      case GgufType::kU16:
        return number<uint16_t>();
      case GgufType::kI16:
        return number<int16_t>();
      case GgufType::kU32:
        return number<uint32_t>();
      case GgufType::kI32:
        return number<int32_t>();
      case GgufType::kF32:
        return number<float>();
      case GgufType::kU64:
        return number<uint64_t>();
      case GgufType::kI64:
        return number<int64_t>();
      case GgufType::kF64:
        return number<double>();
      case GgufType::kBool:
        return boolean();
      case GgufType::kString:
        return string();
      case GgufType::kArray:
        return array(depth);
    }
    return damaged("a value has the type " + std::to_string(static_cast<uint32_t>(type)) + ", GGUF has types 0 to 12");
  }

 private:
  template <class T>
  Result<Json> number() {
    PHIAL_TRY(const T value, in_.read<T>());
    return Json(value);
  }

  Result<Json> boolean() {
    PHIAL_TRY(const uint8_t value, in_.u8());
    if (value > 1) return damaged("a truth value is " + std::to_string(value) + ", it must be 0 or 1");
    return Json(value == 1);
  }

  Result<Json> string() {
    PHIAL_TRY(const uint64_t length, in_.u64());
    PHIAL_TRY(const std::string_view text, in_.text(length));
    return Json(std::string(text));
  }

  Result<Json> array(int depth) {
    PHIAL_TRY(const uint32_t type_id, in_.u32());
    PHIAL_TRY(const uint64_t count, in_.u64());
    const auto type = static_cast<GgufType>(type_id);
    const uint64_t least = least_bytes(type);
    if (least == 0) {
      return damaged("an array has elements of type " + std::to_string(type_id) + ", GGUF has types 0 to 12");
    }
    if (count > in_.left() / least) {
      return damaged("an array promises " + std::to_string(count) + " elements, the " + std::to_string(in_.left()) +
                     " bytes left cannot hold them");
    }
    if (count > kMostArrayElements - elements_) {
      return Error{Code::kUnsupported,
                   "the metadata's arrays hold more than " + std::to_string(kMostArrayElements) + " elements together",
                   "no known model needs that: get the file again"};
    }
    if (depth >= kDeepestArray) {
      return damaged("arrays nest deeper than " + std::to_string(kDeepestArray) + " levels");
    }
    elements_ += count;
    Json::array_t values;
    values.reserve(static_cast<size_t>(count));
    for (uint64_t i = 0; i < count; ++i) {
      PHIAL_TRY(Json value, read(type, depth + 1));
      values.push_back(std::move(value));
    }
    return Json(std::move(values));
  }

  Reader& in_;
  uint64_t elements_ = 0;
};

Result<Json> read_metadata(Reader& in, uint64_t count) {
  Json metadata = Json::object();
  ValueReader values(in);
  for (uint64_t i = 0; i < count; ++i) {
    PHIAL_TRY(const std::string_view key, read_name(in, "metadata entry " + std::to_string(i)));
    PHIAL_TRY(const uint32_t type, in.u32());
    Result<Json> value = values.read(static_cast<GgufType>(type));
    if (!value) return std::move(value).error().in("metadata entry " + in_quotes(key));
    const auto [place, is_new] = metadata.get_ref<Json::object_t&>().emplace(std::string(key), *std::move(value));
    if (!is_new) return damaged("metadata entry " + in_quotes(key) + " is given twice");
  }
  return metadata;
}

// A line of the tensor table. `offset` counts from the first tensor's byte.
struct GgufTensor {
  Tensor tensor;
  uint64_t offset = 0;
  uint64_t size = 0;
};

// The shape, turned to outermost first, and the size in bytes that follows from it.
Status read_shape(Reader& in, GgufTensor& entry) {
  const std::string name = in_quotes(entry.tensor.name);
  PHIAL_TRY(const uint32_t n_dimensions, in.u32());
  if (n_dimensions == 0 || n_dimensions > kMostGgufDimensions) {
    return damaged("tensor " + name + " has " + std::to_string(n_dimensions) + " dimensions, 1 to " +
                   std::to_string(kMostGgufDimensions) + " are possible");
  }
  uint64_t elements = 1;
  for (uint32_t i = 0; i < n_dimensions; ++i) {
    PHIAL_TRY(const uint64_t extent, in.u64());
    if (extent == 0 || !multiply_fits(elements, extent, &elements)) {
      return damaged("dimension " + std::to_string(i) + " of tensor " + name + " is " + std::to_string(extent));
    }
    entry.tensor.shape.push_back(extent);
  }
  std::reverse(entry.tensor.shape.begin(), entry.tensor.shape.end());

  PHIAL_TRY(const uint32_t type_id, in.u32());
  const auto dtype = tensor::dtype_from_gguf(type_id);
  if (!dtype) {
    return Error{Code::kUnsupported,
                 "tensor " + name + " is of type " + std::to_string(type_id) + " (" +
                     std::string(foreign_type_name(type_id)) + "), which Phial does not read",
                 "take a file in Q4_K_M, Q4_0, Q8_0 or F16"};
  }
  entry.tensor.dtype = *dtype;
  const uint32_t block = tensor::info(*dtype).block_size;
  const auto size = tensor::bytes_of(*dtype, elements);
  if (entry.tensor.shape.back() % block != 0 || !size) {
    return damaged("tensor " + name + " has rows of " + std::to_string(entry.tensor.shape.back()) + ", " +
                   std::string(tensor::info(*dtype).name) + " needs multiples of " + std::to_string(block));
  }
  entry.size = *size;
  return ok();
}

Result<std::vector<GgufTensor>> read_tensor_table(Reader& in, uint64_t count, uint64_t alignment) {
  std::vector<GgufTensor> entries;
  entries.reserve(static_cast<size_t>(count));
  for (uint64_t i = 0; i < count; ++i) {
    GgufTensor entry;
    PHIAL_TRY(const std::string_view name, read_name(in, "tensor " + std::to_string(i)));
    entry.tensor.name = name;
    PHIAL_CHECKED(read_shape(in, entry));
    PHIAL_TRY(entry.offset, in.u64());
    if (entry.offset % alignment != 0) {
      return damaged("tensor " + in_quotes(name) + " begins at " + std::to_string(entry.offset) +
                     ", which is no multiple of the alignment " + std::to_string(alignment));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

// Gives each tensor its bytes of `data`, all tensors' bytes with what pads them.
Status place_gguf_tensors(std::span<const std::byte> data, std::vector<GgufTensor>& entries) {
  for (GgufTensor& entry : entries) {
    if (entry.offset > data.size() || entry.size > data.size() - entry.offset) {
      const uint64_t left = entry.offset > data.size() ? 0 : data.size() - entry.offset;
      return cut_short("tensor " + in_quotes(entry.tensor.name) + " promises " + std::to_string(entry.size) +
                       " bytes, " + std::to_string(left) + " are left");
    }
    entry.tensor.bytes = data.subspan(static_cast<size_t>(entry.offset), static_cast<size_t>(entry.size));
  }
  std::vector<const GgufTensor*> by_place;
  by_place.reserve(entries.size());
  for (const GgufTensor& entry : entries) by_place.push_back(&entry);
  std::sort(by_place.begin(), by_place.end(),
            [](const GgufTensor* a, const GgufTensor* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < by_place.size(); ++i) {
    if (by_place[i]->offset < by_place[i - 1]->offset + by_place[i - 1]->size) {
      return damaged("the bytes of tensors " + in_quotes(by_place[i - 1]->tensor.name) + " and " +
                     in_quotes(by_place[i]->tensor.name) + " overlap");
    }
  }
  return ok();
}

struct Header {
  uint32_t version = 0;
  uint64_t n_tensors = 0, n_entries = 0;
};

Result<Header> read_header(Reader& in) {
  PHIAL_TRY(const std::string_view magic, in.text(kGgufMagic.size()));
  if (magic != kGgufMagic) return damaged("it does not begin with GGUF");
  Header header;
  PHIAL_TRY(header.version, in.u32());
  if (header.version != 2 && header.version != 3) {
    const bool is_big_endian = (header.version & 0xFFFFU) == 0 && header.version != 0;
    return Error{Code::kUnsupported,
                 is_big_endian ? std::string("a big-endian GGUF file, Phial reads little-endian ones")
                               : "GGUF version " + std::to_string(header.version) + ", Phial reads versions 2 and 3",
                 "convert the model again with a current converter"};
  }
  PHIAL_TRY(header.n_tensors, in.u64());
  PHIAL_TRY(header.n_entries, in.u64());
  // An entry takes at least a length, one letter, a type and one byte; a tensor a length, one letter, a count of
  // dimensions, one of them, a type and an offset.
  constexpr uint64_t kLeastEntry = 8 + 1 + 4 + 1, kLeastTensor = 8 + 1 + 4 + 8 + 4 + 8;
  if (header.n_entries > in.left() / kLeastEntry || header.n_tensors > in.left() / kLeastTensor) {
    return damaged("it promises " + std::to_string(header.n_entries) + " metadata entries and " +
                   std::to_string(header.n_tensors) + " tensors, the " + std::to_string(in.left()) +
                   " bytes left cannot hold them");
  }
  return header;
}

Result<uint64_t> find_alignment(const Json& metadata) {
  if (find_member(metadata, "general.alignment") == nullptr) return uint64_t{32};
  const auto alignment = find_int(metadata, "general.alignment");
  if (!alignment || *alignment <= 0 || !std::has_single_bit(static_cast<uint64_t>(*alignment))) {
    return damaged("general.alignment must be a power of two");
  }
  return static_cast<uint64_t>(*alignment);
}

Status refuse_split(const Json& metadata) {
  const auto parts = find_int(metadata, "split.count");
  if (!parts || *parts <= 1) return ok();
  return Error{Code::kUnsupported, "this is one part of a model split into " + std::to_string(*parts) + " files",
               "join them with llama.cpp's `llama-gguf-split --merge FIRST_PART OUT.gguf`"};
}

}  // namespace

bool looks_like_gguf(std::span<const std::byte> bytes) {
  return bytes.size() >= kGgufMagic.size() && std::memcmp(bytes.data(), kGgufMagic.data(), kGgufMagic.size()) == 0;
}

Result<Gguf> parse_gguf(std::span<const std::byte> bytes) {
  Reader in(bytes);
  PHIAL_TRY(const Header header, read_header(in));
  Gguf gguf;
  gguf.version = header.version;
  PHIAL_TRY(gguf.metadata, read_metadata(in, header.n_entries));
  PHIAL_CHECKED(refuse_split(gguf.metadata));
  PHIAL_TRY(gguf.alignment, find_alignment(gguf.metadata));

  if (header.n_tensors > in.left()) return damaged("its table of tensors is cut short");
  PHIAL_TRY(std::vector<GgufTensor> entries, read_tensor_table(in, header.n_tensors, gguf.alignment));
  const uint64_t padding = (gguf.alignment - in.position() % gguf.alignment) % gguf.alignment;
  const auto data =
      padding < in.left() ? bytes.subspan(in.position() + static_cast<size_t>(padding)) : std::span<const std::byte>();
  PHIAL_CHECKED(place_gguf_tensors(data, entries));
  gguf.tensors.reserve(entries.size());
  for (GgufTensor& entry : entries) gguf.tensors.push_back(std::move(entry.tensor));
  return gguf;
}

}  // namespace phial::formats

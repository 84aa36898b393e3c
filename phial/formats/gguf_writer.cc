#include "phial/formats/gguf_writer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "phial/base/check.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/gguf_layout.h"

namespace phial::formats {
namespace {

using enum GgufType;

constexpr uint32_t kVersion = 3;
constexpr uint64_t kAlignment = 32;

class HeaderBytes {
 public:
  template <class T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void raw(std::string_view value) { bytes_.append(value); }
  void text(std::string_view value) {
    number(uint64_t{value.size()});
    raw(value);
  }

  void entry(std::string_view key, const Json& value) {
    text(key);
    const GgufType type = type_of(value);
    number(static_cast<uint32_t>(type));
    put(type, value);
  }

  // Zeros up to the alignment.
  void pad() { bytes_.append((kAlignment - bytes_.size() % kAlignment) % kAlignment, '\0'); }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

 private:
  static GgufType type_of(const Json& value) {
    if (value.is_boolean()) return kBool;
    if (value.is_string()) return kString;
    if (value.is_array()) return kArray;
    if (value.is_number_unsigned()) return value.get<uint64_t>() <= UINT32_MAX ? kU32 : kU64;
    if (value.is_number_integer()) {
      const auto whole = value.get<int64_t>();
      return whole >= 0 ? whole <= UINT32_MAX ? kU32 : kU64 : whole >= INT32_MIN ? kI32 : kI64;
    }
    PHIAL_CHECK(value.is_number_float());
    return kF32;
  }

  void put(GgufType type, const Json& value) {
    switch (type) {
      case kU32:
        return number(value.get<uint32_t>());
      case kI32:
        return number(value.get<int32_t>());
      case kF32:
        return number(value.get<float>());
      case kBool:
        return number(static_cast<uint8_t>(value.get<bool>() ? 1 : 0));
      case kString:
        return text(value.get_ref<const std::string&>());
      case kU64:
        return number(value.get<uint64_t>());
      case kI64:
        return number(value.get<int64_t>());
      default:
        break;
    }
    GgufType kind = value.empty() ? kString : type_of(value.front());
    if (kind == kU32) kind = kI32;
    number(static_cast<uint32_t>(kind));
    number(uint64_t{value.size()});
    for (const Json& one : value) put(kind, one);
  }

  std::string bytes_;
};

// The file at `path`, which begins with `header` and holds `values` bytes of tensors behind it.
Result<OutputFile> go_on(const std::filesystem::path& path, std::span<const std::byte> header, uint64_t values) {
  {
    PHIAL_TRY(const MappedFile there, MappedFile::open(path));
    if (there.bytes().size() < header.size() || !std::ranges::equal(there.bytes().first(header.size()), header)) {
      return Error{Code::kCorrupt, "it does not begin as the file that it is a part of (" + path.string() + ")",
                   "run the command again, from the beginning"};
    }
  }
  return OutputFile::append(path, header.size() + values);
}

uint64_t padded(uint64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

Status write_gguf(const std::filesystem::path& path, const Json& metadata, const std::vector<NewTensor>& tensors,
                  const std::stop_token& stop, const WriteValues& write, size_t first) {
  PHIAL_CHECK(first <= tensors.size());
  HeaderBytes header;
  header.raw(kGgufMagic);
  header.number(kVersion);
  header.number(uint64_t{tensors.size()});
  header.number(uint64_t{metadata.size()});
  for (const auto& [key, value] : metadata.items()) header.entry(key, value);
  uint64_t offset = 0;
  uint64_t there = 0;  // of the values, up to the end of the last tensor before `first`
  for (size_t n = 0; n < tensors.size(); ++n) {
    const NewTensor& tensor = tensors[n];
    if (n < first) there = offset + tensor.bytes();
    header.text(tensor.name);
    header.number(static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i > 0; --i) header.number(tensor.shape[i - 1]);
    header.number(static_cast<uint32_t>(tensor::info(tensor.dtype).gguf_id));
    header.number(offset);
    offset += padded(tensor.bytes());
  }
  header.pad();

  PHIAL_TRY(OutputFile file, first == 0 ? OutputFile::create(path) : go_on(path, header.bytes(), there));
  constexpr std::byte kPadding[kAlignment] = {};
  const auto pad = [&](uint64_t bytes) { return file.write({kPadding, static_cast<size_t>(padded(bytes) - bytes)}); };
  PHIAL_CHECKED(first == 0 ? file.write(header.bytes()) : pad(there));
  for (const NewTensor& tensor : std::span(tensors).subspan(first)) {
    PHIAL_CHECKED(write(file, tensor, stop));
    PHIAL_CHECKED(pad(tensor.bytes()));
  }
  return file.finish();
}

}  // namespace phial::formats

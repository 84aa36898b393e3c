#include "phial/capi/boundary.h"

#include <algorithm>

#include "phial/base/utf8.h"

namespace phial::capi {
namespace {

phial_code code_of(Code code) {
  switch (code) {
    case Code::kNotFound:
      return PHIAL_NOT_FOUND;
    case Code::kCorrupt:
      return PHIAL_CORRUPT;
    case Code::kUnsupported:
      return PHIAL_UNSUPPORTED;
    case Code::kInvalid:
      return PHIAL_INVALID;
    case Code::kOutOfRange:
      return PHIAL_OUT_OF_RANGE;
    case Code::kOutOfMemory:
      return PHIAL_OUT_OF_MEMORY;
    case Code::kIo:
      return PHIAL_IO;
    case Code::kCancelled:
      return PHIAL_CANCELLED;
  }
  return PHIAL_INTERNAL;
}

// Appends what fits into `to` behind its first `used` bytes, whole characters only; returns the bytes then used.
size_t append(phial_error& to, size_t used, std::string_view text) {
  const size_t room = sizeof to.message - 1 - used;
  const size_t taken = text.size() <= room ? text.size() : utf8_floor(text, room);
  std::memcpy(to.message + used, text.data(), taken);
  to.message[used + taken] = '\0';
  return used + taken;
}

}  // namespace

phial_code fail(phial_error* error, phial_code code, std::string_view message) noexcept {
  if (error != nullptr) {
    error->code = code;
    append(*error, 0, message);
  }
  return code;
}

phial_code fail(phial_error* error, const Error& cause) noexcept {
  const phial_code code = fail(error, code_of(cause.code), cause.message);
  if (error != nullptr && !cause.remedy.empty()) {
    const size_t used = append(*error, std::strlen(error->message), ": ");
    append(*error, used, cause.remedy);
  }
  return code;
}

Status check_options(const void* given, size_t given_bytes, size_t least, size_t known) {
  constexpr size_t kMost = 4096;  // a size that nobody set may be any number
  if (given_bytes < least || given_bytes > kMost) {
    return Error{
        Code::kInvalid,
        "the options' size is " + std::to_string(given_bytes) + ", at least " + std::to_string(least) + " is wanted",
        "set size to sizeof the struct, and all other fields to zero"};
  }
  if (given_bytes <= known) return ok();
  const auto* bytes = static_cast<const unsigned char*>(given);
  if (std::all_of(bytes + known, bytes + given_bytes, [](unsigned char byte) { return byte == 0; })) return ok();
  return Error{Code::kUnsupported, "an option is set that this version (" PHIAL_VERSION ") does not know",
               "leave it zero, or use a newer libphial"};
}

Error not_given(const char* name) { return {Code::kInvalid, std::string(name) + " is null", "give one"}; }

Result<std::string> read_text(const char* text, const char* name) {
  PHIAL_CHECKED(check_given(text, name));
  std::string read = text;
  if (is_valid_utf8(read)) return read;
  return Error{Code::kInvalid, std::string(name) + " is not UTF-8: '" + printable(read) + "'", "convert it to UTF-8"};
}

Result<std::string> read_optional_text(const char* text, const char* name) {
  if (text == nullptr) return std::string();
  return read_text(text, name);
}

Result<std::vector<std::string>> read_texts(const char* const* texts, size_t count, const char* name) {
  if (count > 0) PHIAL_CHECKED(check_given(texts, name));
  std::vector<std::string> read;
  read.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    PHIAL_TRY(std::string text, read_text(texts[i], name));
    read.push_back(std::move(text));
  }
  return read;
}

}  // namespace phial::capi

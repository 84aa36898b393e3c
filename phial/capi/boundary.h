// What stands between C callers and the rooms: no exception passes, errors become codes with text, options of older and
// newer headers are read, strings are UTF-8.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/capi/phial.h"

namespace phial::capi {

// Neither allocates.
phial_code fail(phial_error* error, phial_code code, std::string_view message) noexcept;
phial_code fail(phial_error* error, const Error& cause) noexcept;

// Runs `body`, which returns a Status, and tells the caller how it went.
template <class Body>
phial_code guarded(phial_error* error, const Body& body) noexcept {
  try {
    const Status done = body();
    return done ? fail(error, PHIAL_OK, "") : fail(error, done.error());
  } catch (const std::bad_alloc&) {
    return fail(error, PHIAL_OUT_OF_MEMORY, "there is not enough memory: ask for less at once, or free something");
  } catch (const std::length_error&) {  // a container that could never be so large
    return fail(error, PHIAL_OUT_OF_MEMORY, "there is not enough memory: ask for less at once");
  } catch (const std::exception& thrown) {
    return fail(error, PHIAL_INTERNAL, thrown.what());
  } catch (...) {
    return fail(error, PHIAL_INTERNAL, "a callback threw something");
  }
}

// Part of read_options(): checks a caller's `size`.
Status check_options(const void* given, size_t given_bytes, size_t least, size_t known);

// A caller's struct as this version knows it: fields that the caller's header does not have are zero; one that this
// library does not have must be. `least`: the size that the struct had when it first appeared.
template <class Options>
Result<Options> read_options(const Options* given, size_t least) {
  Options options{};
  if (given != nullptr) {
    PHIAL_CHECKED(check_options(given, given->size, least, sizeof(Options)));
    std::memcpy(&options, given, std::min(given->size, sizeof(Options)));
  }
  options.size = sizeof(Options);
  return options;
}

// Writes as much of `info` as the caller's header has.
template <class Info>
Status write_info(Info info, size_t least, Info* to) {
  if (to == nullptr) return Error{Code::kInvalid, "there is no place for the result: the pointer is null", ""};
  const size_t size = to->size;
  if (size < least) {
    return Error{Code::kInvalid,
                 "the result's size is " + std::to_string(size) + ", at least " + std::to_string(least) + " is wanted",
                 "set size to sizeof the struct"};
  }
  info.size = size;
  std::memcpy(to, &info, std::min(size, sizeof(Info)));
  return ok();
}

Error not_given(const char* name);
// `name`: what the argument is, for the error.
template <class T>
Status check_given(const T* pointer, const char* name) {
  return pointer != nullptr ? ok() : Status(not_given(name));
}
Result<std::string> read_text(const char* text, const char* name);
// Nothing for null.
Result<std::string> read_optional_text(const char* text, const char* name);
Result<std::vector<std::string>> read_texts(const char* const* texts, size_t count, const char* name);

}  // namespace phial::capi

// What every fallible function of Phial returns: a value, or an Error with a code for programs and a sentence for
// people.
//
// Nothing in Phial throws. The spelling is that of std::expected<T, Error>, so that the day our compilers have it this
// class becomes an alias.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace phial {

enum class Code {
  kNotFound,     // a file, model, library or tensor that does not exist
  kCorrupt,      // bytes that do not keep their format's promises
  kUnsupported,  // well-formed, but something Phial does not do
  kInvalid,      // an argument, option or request that makes no sense
  kOutOfRange,   // larger than a limit: a context, a size
  kOutOfMemory,  // more than this machine has or gives
  kIo,           // the operating system refused
  kCancelled,    // the person or the caller stopped it
};

// `message` names the thing, what was found and what was wanted; `remedy` (may be empty) says what to do about it.
// Printed as "phial: error: MESSAGE: REMEDY", on one line.
struct Error {
  Code code = Code::kInvalid;
  std::string message;
  std::string remedy;

  // The same error, with the place it happened in: "MESSAGE (PLACE)".
  Error in(std::string_view place) && {
    message.append(" (").append(place).append(")");
    return std::move(*this);
  }
  // "MESSAGE: REMEDY", or MESSAGE alone.
  std::string text() const { return remedy.empty() ? message : message + ": " + remedy; }
};

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // Promise of the caller: has_value().
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }

  // Promise of the caller: !has_value().
  Error& error() & { return *std::get_if<1>(&state_); }
  const Error& error() const& { return *std::get_if<1>(&state_); }
  Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, Error> state_;
};

using Status = Result<std::monostate>;
inline Status ok() { return std::monostate{}; }

}  // namespace phial

#define PHIAL_CONCAT_IMPL(a, b) a##b
#define PHIAL_CONCAT(a, b) PHIAL_CONCAT_IMPL(a, b)

// PHIAL_TRY(lhs, expression): lhs takes the value, or the error leaves this function.
#define PHIAL_TRY(lhs, ...) PHIAL_TRY_IMPL(PHIAL_CONCAT(phial_result_, __COUNTER__), lhs, __VA_ARGS__)
#define PHIAL_TRY_IMPL(result, lhs, ...)           \
  auto result = (__VA_ARGS__);                     \
  if (!(result)) return std::move(result).error(); \
  lhs = *std::move(result)

// PHIAL_CHECKED(expression): as PHIAL_TRY, for a Status.
#define PHIAL_CHECKED(...)                                                                        \
  do {                                                                                            \
    if (auto phial_status = (__VA_ARGS__); !phial_status) return std::move(phial_status).error(); \
  } while (false)

// Puts values behind others as they stand in memory: how the heads of binary files are put together.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

namespace phial {

template <class T>
  requires std::is_trivially_copyable_v<T>
void append_bytes(std::vector<std::byte>& to, std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  to.insert(to.end(), bytes.begin(), bytes.end());
}
template <class T>
  requires std::is_trivially_copyable_v<T>
void append_bytes(std::vector<std::byte>& to, const T& value) {
  append_bytes(to, std::span<const T>(&value, 1));
}

}  // namespace phial

// Large zeroed memory for weights, caches and scratch: aligned to a page, and taken from the machine only where
// touched.
#pragma once

#include <cstddef>
#include <cstdint>

#include "phial/base/result.h"

namespace phial::model {

class AlignedBytes {
 public:
  // kHuge asks for huge pages, each taken whole where it is first touched: for memory that is streamed through, such as
  // weights and the slabs of a cache.
  enum class Pages { kSmall, kHuge };

  AlignedBytes() = default;
  // kOutOfMemory that names `purpose` and the size if the machine has no room. More than a size_t holds is such a size.
  static Result<AlignedBytes> make(uint64_t size, const char* purpose, Pages pages = Pages::kSmall);

  AlignedBytes(AlignedBytes&& other) noexcept;
  AlignedBytes& operator=(AlignedBytes&& other) noexcept;
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  ~AlignedBytes();

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace phial::model

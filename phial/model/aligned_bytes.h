// Large zeroed memory for weights, caches and scratch: aligned to a page, and taken from the machine only where
// touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

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

  AlignedBytes(AlignedBytes&& other) noexcept { *this = std::move(other); }
  AlignedBytes& operator=(AlignedBytes&& other) noexcept {
    if (this != &other) {
      release();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  ~AlignedBytes() { release(); }

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
  void release();  // of an object that is set or destroyed next

  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace phial::model

// AlignedBytes of the allocator: WebAssembly has no pages to ask for.
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include "phial/model/aligned_bytes.h"

namespace phial::model {

Result<AlignedBytes> AlignedBytes::make(uint64_t size, const char* purpose, Pages) {
  AlignedBytes bytes;
  if (size == 0) return bytes;
  constexpr size_t kAlignment = 64;
  constexpr uint64_t kMost = std::numeric_limits<size_t>::max() / kAlignment * kAlignment;
  const uint64_t whole = (size + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = size > kMost ? nullptr : std::aligned_alloc(kAlignment, static_cast<size_t>(whole));
  if (memory == nullptr) {
    return Error{Code::kOutOfMemory,
                 std::string(purpose) + " needs " + std::to_string((size >> 20) + 1) +
                     " MiB, which this program's memory of 4 GiB does not have",
                 "ask for a shorter context, or use a smaller model"};
  }
  std::memset(memory, 0, static_cast<size_t>(size));
  bytes.data_ = static_cast<std::byte*>(memory);
  bytes.size_ = static_cast<size_t>(size);
  return bytes;
}

void AlignedBytes::release() { std::free(data_); }

}  // namespace phial::model

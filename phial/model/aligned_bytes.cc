#include "phial/model/aligned_bytes.h"

#include <sys/mman.h>

#include <string>

namespace phial::model {

Result<AlignedBytes> AlignedBytes::make(uint64_t size, const char* purpose, Pages pages) {
  AlignedBytes bytes;
  if (size == 0) return bytes;
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return Error{
        Code::kOutOfMemory,
        std::string(purpose) + " needs " + std::to_string((size >> 20) + 1) + " MiB, which this machine refuses",
        "close other programs, ask for a shorter --context, or use a smaller model"};
  }
  bytes.data_ = static_cast<std::byte*>(memory);
  bytes.size_ = static_cast<size_t>(size);
  // Advice only: a machine without huge pages goes on without.
  if (pages == Pages::kHuge) ::madvise(memory, size, MADV_HUGEPAGE);
  return bytes;
}

void AlignedBytes::release() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace phial::model

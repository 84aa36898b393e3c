// A WebAssembly memory grows to 4 GiB; what the allocator has free inside of it now is not counted.
#include "phial/model/available_memory.h"

namespace phial::model {

uint64_t available_memory() {
  constexpr uint64_t kPageBytes = 65536, kMostPages = 65536;
  return (kMostPages - __builtin_wasm_memory_size(0)) * kPageBytes;
}

}  // namespace phial::model

// What the machine has left. Used inside model only.
#pragma once

#include <cstdint>

namespace phial::model {

// Bytes of memory that this process may still take: the machine's, and its containers' limits.
uint64_t available_memory();

}  // namespace phial::model

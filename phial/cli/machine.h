// The machine that runs this program, and what the program takes of it.
#pragma once

#include <cstdint>
#include <string>

namespace phial::cli {

// "AMD EPYC 7B13": as the system calls it, on one line; empty where it does not say.
std::string processor_name();

uint64_t machine_memory_bytes();

// Of the last level that the threads share; 0: the system does not say.
uint64_t largest_cache_bytes();

// The most memory that the process really held until now, pages of mapped files included.
uint64_t peak_memory_bytes();

}  // namespace phial::cli

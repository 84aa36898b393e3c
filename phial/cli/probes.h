// What this machine can do at best, to set a model's speed against.
//
// Both run our own kernels, the best set that the machine has, on all threads of the pool: the figures are what this
// program could reach, not what the hardware's data sheet says.
#pragma once

#include "phial/base/thread_pool.h"

namespace phial::cli {

// Bytes a second, in 1e9, read from memory by all threads: the best of several passes over more than the caches hold.
double read_gigabytes_per_second(ThreadPool& pool);

// 8-bit multiply-adds, counted as two operations, in 1e9 a second: a matrix product whose operands lie in the cache.
double int8_giga_operations_per_second(ThreadPool& pool);

}  // namespace phial::cli

// PHIAL_CHECK(condition): a promise between our own rooms, never a judgment of input. A broken one is a defect in Phial
// and ends the program with the place and the condition.
#pragma once

#include <cstdio>
#include <cstdlib>

#define PHIAL_CHECK(condition)                                                                      \
  do {                                                                                              \
    if (!(condition)) {                                                                             \
      std::fprintf(stderr, "phial: broken promise at %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                                 \
    }                                                                                               \
  } while (false)

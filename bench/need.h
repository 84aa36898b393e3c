// How the probes end when something fails: with one line on standard error.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "phial/base/result.h"

namespace phial {

[[noreturn]] inline void fail(const std::string& why) {
  std::fprintf(stderr, "error: %s\n", why.c_str());
  std::exit(1);
}

// What a result holds, or the end.
template <class T>
T need(Result<T> result) {
  if (!result) fail(result.error().text());
  return *std::move(result);
}

}  // namespace phial

// A table of the kinds that a maker knows, each with its name, and those of them that somebody asked for.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"

namespace phial::data {

// Kind has `name`.
template <class Kind, size_t N>
constexpr std::array<std::string_view, N> names_of(const std::array<Kind, N>& kinds) {
  std::array<std::string_view, N> names;
  for (size_t i = 0; i < N; ++i) names[i] = kinds[i].name;
  return names;
}

// In the order of `names`. `what` they are is for the error, kInvalid: "exercises".
template <class Kind, size_t N>
Result<std::vector<const Kind*>> kinds_named(const std::array<Kind, N>& kinds, const std::vector<std::string>& names,
                                             const char* what) {
  std::vector<const Kind*> found;
  for (const std::string& name : names) {
    const auto* kind = std::ranges::find(kinds, name, &Kind::name);
    if (kind == kinds.end()) {
      return Error{Code::kInvalid, std::string("there are no ") + what + " of kind '" + name + "'", ""};
    }
    found.push_back(kind);
  }
  return found;
}

}  // namespace phial::data

// Messages for a person about what Phial is doing: handed down, never global. The libraries print nothing themselves.
#pragma once

#include <functional>
#include <string_view>

namespace phial {

enum class Severity {
  kDetail,   // shown with --verbose: the memory plan, a recomputed cache
  kNote,     // shown to a person: which model is used
  kWarning,  // something works less well than it could: a slow kernel path, a template that fell back
};

using Log = std::function<void(Severity, std::string_view)>;

// Throws every message away.
inline void no_log(Severity, std::string_view) {}

}  // namespace phial

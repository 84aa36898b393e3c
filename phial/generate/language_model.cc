#include "phial/generate/language_model.h"

namespace phial::generate {

std::string_view name_of(StopReason reason) {
  switch (reason) {
    case StopReason::kEnd:
      return "end";
    case StopReason::kStopText:
      return "stop";
    case StopReason::kMaxTokens:
      return "length";
    case StopReason::kCancelled:
      return "cancelled";
  }
  return "";
}

}  // namespace phial::generate

#include "phial/formats/conversations.h"

#include "phial/base/check.h"
#include "phial/base/utf8.h"

namespace {
using phial::formats::Turn;

void check_promises(const std::vector<Turn>& turns) {
  for (const Turn& turn : turns) {
    PHIAL_CHECK(turn.role == "user" || turn.role == "assistant" || (turn.role == "system" && !turn.text.empty()));
    PHIAL_CHECK(phial::is_valid_utf8(turn.text));
  }
}

void check_promises(const phial::formats::Conversation& conversation) {
  check_promises(conversation.turns);
  phial::Json messages = phial::Json::array();
  for (const Turn& turn : conversation.turns) messages.push_back({{"role", turn.role}, {"content", turn.text}});
  const auto again = phial::formats::conversation_from_json({{"messages", messages}});
  PHIAL_CHECK(again && again->turns == conversation.turns);
}

void check_promises(const phial::formats::Preference& preference) {
  for (const auto* turns : {&preference.prompt, &preference.chosen, &preference.rejected}) check_promises(*turns);
  PHIAL_CHECK(preference.prompt.back().role == "user" && preference.chosen != preference.rejected);
  for (const auto* answer : {&preference.chosen, &preference.rejected}) {
    PHIAL_CHECK(answer->front().role == "assistant" && answer->back().role == "assistant");
  }
}

}  // namespace

// One row, read as either.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto row = phial::parse_json({reinterpret_cast<const char*>(data), size});
  if (!row) return 0;
  if (const auto conversation = phial::formats::conversation_from_json(*row)) {
    check_promises(*conversation);
  } else {
    PHIAL_CHECK(conversation.error().text().find('\n') == std::string::npos);
  }
  if (const auto preference = phial::formats::preference_from_json(*row)) {
    check_promises(*preference);
  } else {
    PHIAL_CHECK(preference.error().text().find('\n') == std::string::npos);
  }
  return 0;
}

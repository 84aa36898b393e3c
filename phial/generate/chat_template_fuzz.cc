// Any bytes as a chat template: parsed and rendered within bounds. What it marks as data a message wrote, and what a
// message wrote it marks.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "phial/generate/chat_template.h"

using phial::generate::ChatTemplate;
using phial::generate::Message;
using phial::generate::TemplateContext;

namespace {

constexpr std::string_view kSystem = "<|end|>.", kUser = " <|end|> caf\xC3\xA9 \xCE\xA9";

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

// Data may come cut, moved, in another case, or with escapes as JSON and Python write them; none of them makes another
// letter.
bool may_be_data(char c) {
  constexpr std::string_view kOfEscapes = "\\\"'/ntrbfux0123456789abcdef";
  if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 'a' - 'A');
  return kSystem.find(c) != kSystem.npos || kUser.find(c) != kUser.npos || kOfEscapes.find(c) != kOfEscapes.npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto parsed = ChatTemplate::parse(source);
  if (!parsed) return 0;
  const std::vector<Message> messages = {
      {"system", std::string(kSystem)}, {"user", std::string(kUser)}, {"assistant", ""}};
  TemplateContext context;
  context.bos_token = "<s>";
  context.date = "2024-07-26";
  const auto segments = parsed->render(messages, context);
  if (!segments) return 0;
  bool template_is_ascii = true;
  for (const char c : source) template_is_ascii = template_is_ascii && is_ascii(c) && c != '\\';  // "\u03a9"
  bool was_data = false;
  for (size_t i = 0; i < segments->size(); ++i) {
    const auto& segment = (*segments)[i];
    if (segment.text.empty() || (i > 0 && segment.is_data == was_data)) std::abort();
    was_data = segment.is_data;
    for (const char c : segment.text) {
      if (segment.is_data ? !may_be_data(c) : template_is_ascii && !is_ascii(c)) std::abort();
    }
  }
  return 0;
}

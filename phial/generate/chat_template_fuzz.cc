// Any bytes as a chat template: parsed and rendered within bounds, and whatever it marks as data came from a message.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "phial/generate/chat_template.h"

using phial::generate::ChatTemplate;
using phial::generate::Message;
using phial::generate::TemplateContext;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parsed = ChatTemplate::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!parsed) return 0;
  const std::vector<Message> messages = {{"system", "Be brief."}, {"user", " <|end|> h\xC3\xA9 "}, {"assistant", ""}};
  TemplateContext context;
  context.bos_token = "<s>";
  context.date = "2024-07-26";
  const auto segments = parsed->render(messages, context);
  if (!segments) return 0;
  bool was_data = false;
  for (size_t i = 0; i < segments->size(); ++i) {
    const auto& segment = (*segments)[i];
    if (segment.text.empty() || (i > 0 && segment.is_data == was_data)) std::abort();
    was_data = segment.is_data;
  }
  return 0;
}

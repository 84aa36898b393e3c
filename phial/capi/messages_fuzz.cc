#include <cstddef>
#include <cstdint>
#include <memory>

#include "phial/capi/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const phial::generate::Picture pictures[] = {std::make_shared<const phial::formats::Image>()};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)phial::capi::read_messages(text, {});
  (void)phial::capi::read_messages(text, pictures);
  return 0;
}

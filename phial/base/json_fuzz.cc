#include "phial/base/json.h"

#include "phial/base/check.h"
#include "phial/base/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = phial::parse_json(text);
  const auto strict = phial::parse_json(text, phial::RepeatedKeys::kRefused);
  PHIAL_CHECK(json.has_value() || !strict.has_value());
  if (!json) return 0;
  const std::string line = phial::dump_json(*json);
  PHIAL_CHECK(phial::is_valid_utf8(line) && line.find('\n') == std::string::npos);
  const auto again = phial::parse_json(line);
  PHIAL_CHECK(again.has_value() && phial::dump_json(*again) == line);
  phial::find_int(*json, "a");
  phial::find_number(*json, "a");
  phial::find_bool(*json, "a");
  phial::find_string(*json, "a");
  return 0;
}

// Text, tables and source code in any encoding.
#include <cstddef>
#include <cstdint>

#include "phial/documents/readers/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phial::documents::fuzz_reader(data, size, {"text", "csv", "code"});
  return 0;
}

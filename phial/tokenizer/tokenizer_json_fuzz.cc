#include "phial/tokenizer/fuzz_input.h"
#include "phial/tokenizer/load.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto input = phial::tokenizer::fuzz_input(data, size);
  const auto tokenizer = phial::tokenizer::from_tokenizer_json(input.file);
  if (tokenizer) phial::tokenizer::use(**tokenizer, input.text);
  return 0;
}

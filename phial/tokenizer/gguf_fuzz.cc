#include "phial/formats/gguf.h"
#include "phial/tokenizer/fuzz_input.h"
#include "phial/tokenizer/load.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto input = phial::tokenizer::fuzz_input(data, size);
  const auto gguf = phial::formats::parse_gguf(std::as_bytes(std::span(input.file)));
  if (!gguf) return 0;
  const auto tokenizer = phial::tokenizer::from_gguf(gguf->metadata);
  if (tokenizer) phial::tokenizer::use(**tokenizer, input.text);
  return 0;
}

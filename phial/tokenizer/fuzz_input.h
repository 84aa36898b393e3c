// A fuzzer's bytes as a tokenizer's file and a text to encode, divided by the line "\n=====\n".
#pragma once

#include <cstdlib>
#include <string_view>

#include "phial/tokenizer/tokenizer.h"

namespace phial::tokenizer {

struct FuzzInput {
  std::string_view file, text;
};

inline FuzzInput fuzz_input(const uint8_t* data, size_t size) {
  constexpr std::string_view kDivider = "\n=====\n";
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t at = all.rfind(kDivider);
  if (at == std::string_view::npos) return {all, "The <s> caf\xC3\xA9 '\xFF 12"};
  return {all.substr(0, at), all.substr(at + kDivider.size())};
}

// Encodes and decodes in every way, and ends the program if an id lies outside the vocabulary.
inline void use(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool special : {false, true}) {
    const auto ids = tokenizer.encode(text, {.parse_special = special, .add_bos = special});
    for (const TokenId id : ids) {
      if (id < 0 || id >= tokenizer.vocab_size()) std::abort();
      tokenizer.bytes_of(id, special);
    }
    tokenizer.decode(ids, special);
  }
  tokenizer.id_of(text);
}

}  // namespace phial::tokenizer

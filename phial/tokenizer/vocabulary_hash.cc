#include "phial/tokenizer/vocabulary_hash.h"

#include <string>

namespace phial::tokenizer {

uint64_t vocabulary_hash(const Tokenizer& tokenizer) {
  uint64_t hash = 0xCBF29CE484222325;
  const auto add = [&hash](uint8_t byte) { hash = (hash ^ byte) * 0x100000001B3; };
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string bytes = tokenizer.bytes_of(id, true);
    for (int shift = 0; shift < 64; shift += 8) add(static_cast<uint8_t>(bytes.size() >> shift));
    for (const char byte : bytes) add(static_cast<uint8_t>(byte));
  }
  return hash == 0 ? 1 : hash;
}

}  // namespace phial::tokenizer

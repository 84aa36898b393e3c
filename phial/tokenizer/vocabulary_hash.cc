#include "phial/tokenizer/vocabulary_hash.h"

#include <span>
#include <string>

#include "phial/base/fnv.h"

namespace phial::tokenizer {

uint64_t vocabulary_hash(const Tokenizer& tokenizer) {
  Fnv1a hash;
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string bytes = tokenizer.bytes_of(id, true);
    const uint64_t length = bytes.size();
    hash.add(std::as_bytes(std::span(&length, 1)));
    hash.add(bytes);
  }
  return hash.value() == 0 ? 1 : hash.value();
}

}  // namespace phial::tokenizer

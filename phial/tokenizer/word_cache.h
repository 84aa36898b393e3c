// Remembers the ids of words already encoded: texts repeat their words, and looking one up is cheaper than merging it.
//
// Lives as long as one encode() call, so it needs no lock. Words are copied; nothing refers to the text afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "phial/tokenizer/tokenizer.h"

namespace phial::tokenizer {

class WordCache {
 public:
  // Appends the ids of `word` to `ids` if it is known.
  bool append(std::string_view word, std::vector<TokenId>& ids) const;

  // Remembers that `word` is ids[from, end). Long or too many words are not remembered.
  void remember(std::string_view word, const std::vector<TokenId>& ids, size_t from);

 private:
  struct Slot {
    uint32_t hash = 0;
    uint32_t key_at = 0;
    uint32_t ids_at = 0;
    uint16_t n_ids = 0;
    uint16_t key_length = 0;  // 0: empty
  };

  void grow();

  std::vector<Slot> slots_;
  size_t size_ = 0;
  std::string keys_;
  std::vector<TokenId> ids_;
};

}  // namespace phial::tokenizer

// SentencePiece's precompiled character map: a double-array trie from byte strings to replacements.
//
// Bytes: the trie's size in bytes (u32), the trie's units (u32 each), then the replacements, each ended by a zero byte.
// Source: sentencepiece's normalizer (Kudo and Richardson 2018); the unit layout is that of darts-clone.
// Threads: immutable once made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"

namespace phial::tokenizer {

class Charsmap {
 public:
  // An empty map for no bytes.
  static Result<Charsmap> make(std::string_view bytes);

  bool empty() const { return trie_.empty(); }

  // Each longest match replaced, from left to right: sentencepiece's own rule.
  std::string apply_longest(std::string_view text) const;

  // Hugging Face's rule: a short grapheme as a whole if any of its prefixes has a replacement (the shortest's is
  // taken), else each character by itself.
  std::string apply_by_grapheme(std::string_view text) const;

 private:
  struct Match {
    size_t length = 0;  // 0: none
    uint32_t value = 0;
  };
  Match longest(std::string_view text) const { return find(text, /*shortest=*/false); }
  Match find(std::string_view text, bool shortest) const;
  std::optional<std::string_view> replacement(uint32_t value) const;
  void append_grapheme(std::string_view grapheme, std::string& to) const;

  std::vector<uint32_t> trie_;
  std::string replacements_;
};

Result<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

}  // namespace phial::tokenizer

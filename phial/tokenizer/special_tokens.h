// Finds the special (added) tokens in a text: leftmost first, the longest of those that start there.
//
// Threads: immutable once made.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "phial/tokenizer/tokenizer.h"

namespace phial::tokenizer {

// An added token as vocabularies declare them.
struct AddedToken {
  SpecialToken token;
  bool single_word = false;  // only where no word character touches it
  bool is_plain = false;     // mere text that got an id of its own (runs of spaces): found in any text
};

class SpecialTokens {
 public:
  struct Segment {
    std::string_view text;  // plain text, or what the token swallowed
    TokenId id = -1;        // >= 0: a special token
  };

  SpecialTokens() = default;
  explicit SpecialTokens(std::vector<AddedToken> added);

  // `text` cut into plain segments and tokens, in order; no empty plain segments.
  std::vector<Segment> split(std::string_view text, const EncodeOptions& options) const;

  // The ones that need parse_special.
  const std::vector<SpecialToken>& specials() const { return specials_; }
  const std::vector<AddedToken>& added() const { return added_; }

 private:
  const AddedToken* match(std::string_view text, size_t at, const EncodeOptions& options) const;

  std::vector<AddedToken> added_;  // by first byte, then longest first
  std::vector<SpecialToken> specials_;
  std::array<uint32_t, 257> first_of_byte_{};  // added_[first_of_byte_[b], first_of_byte_[b + 1]) start with b
  bool any_plain_ = false;
};

}  // namespace phial::tokenizer

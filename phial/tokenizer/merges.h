// The merge machine of byte-pair encoding: which adjacent pair of tokens becomes which token, and in what order.
//
// A text is a row of symbols; the adjacent pair with the lowest rank merges first, the leftmost on ties, until no pair
// is left that merges. SentencePiece scores, GPT-2 merge lists and tiktoken ranks are all brought into this form.
// Source: Sennrich et al. 2016; the queue makes it O(n log n) for a word of n symbols.
// Threads: immutable once filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "phial/tokenizer/tokenizer.h"

namespace phial::tokenizer {

class MergeTable {
 public:
  static constexpr uint32_t kNever = UINT32_MAX;  // the rank of a pair that does not merge

  struct Merge {
    uint32_t rank = kNever;
    TokenId merged = -1;
  };

  explicit MergeTable(size_t expected_pairs = 0);

  // The first entry of a pair stands. Promise: rank < kNever, both symbols >= 0.
  void add(TokenId left, TokenId right, Merge merge);
  Merge find(TokenId left, TokenId right) const;
  size_t size() const { return size_; }

  // Merges `symbols` in place until nothing merges. Symbols below zero never merge.
  void apply(std::vector<TokenId>& symbols) const;

 private:
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge;
  };
  static constexpr uint64_t kEmpty = UINT64_MAX;

  void grow();
  void apply_by_scanning(std::vector<TokenId>& symbols) const;
  void apply_by_queue(std::vector<TokenId>& symbols) const;

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace phial::tokenizer

// Packed sequences as the network takes them.
#pragma once

#include "phial/spec/rope.h"
#include "phial/train/torch.h"

namespace phial::train {

// A target that counts for nothing.
inline constexpr int64_t kIgnored = -100;

// All [B, T], int64. Positions begin anew with each document; a token sees those of its own document only.
struct Batch {
  at::Tensor ids, targets, positions, documents;
  bool one_document_a_row = false;  // true: every row is one document from position 0, and no mask is needed
  spec::RopeTable table = spec::RopeTable::kShort;
};

}  // namespace phial::train

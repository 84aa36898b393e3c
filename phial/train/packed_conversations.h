// Conversations packed into rows: as many in one as fit, none cut, none seeing another.
//
// Best-fit decreasing: the longest first, each into the fullest row that has room for it. Every epoch is packed anew of
// conversations in another order, and its rows are shuffled; both are functions of the seed. The targets are the tokens
// of answers; a batch is as wide as its fullest row. Source: best-fit packing (arXiv 2404.10830).
// Threads: immutable once made.
#pragma once

#include <cstdint>
#include <vector>

#include "phial/train/batch.h"
#include "phial/train/chat_data.h"

namespace phial::train {

struct PackingOptions {
  int64_t sequence_tokens = 0;       // T; no conversation is longer
  double epochs = 1;                 // how often each conversation is seen
  std::vector<double> weights = {};  // of the files: so many times as often; empty: all alike
  uint64_t seed = 0;
};

class PackedConversations : public BatchSource {
 public:
  // `files`: the conversations of each.
  PackedConversations(std::vector<std::vector<TokenizedAnswer>> files, const PackingOptions& options);

  uint64_t rows() const override { return rows_.size(); }  // of all epochs
  Result<Batch> batch(uint64_t first, int64_t count) const override;
  uint64_t fingerprint() const override;

 private:
  using Row = std::vector<uint32_t>;  // of conversations_
  void add_epoch(std::vector<uint32_t> seen, uint64_t seed, int64_t sequence_tokens);
  int64_t length(const Row& row) const;

  std::vector<TokenizedAnswer> conversations_;
  std::vector<Row> rows_;
};

}  // namespace phial::train

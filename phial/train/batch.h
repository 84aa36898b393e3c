// Packed sequences as the network takes them, and where they come from.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "phial/base/result.h"
#include "phial/spec/rope.h"
#include "phial/train/torch.h"

namespace phial::train {

// A target that counts for nothing.
inline constexpr int64_t kIgnored = -100;

class TrainingPicture;

// A picture whose rows stand at consecutive tokens of a row, where their embeddings stand otherwise.
struct BatchPicture {
  int64_t row = 0, position = 0;                       // of its first token
  int64_t tile_rows = 0, tile_cols = 0;                // of its page
  at::Tensor pixels = {};                              // [1 + tile_rows * tile_cols, 3, S, S] (formats/image_tiles.h)
  std::shared_ptr<const TrainingPicture> source = {};  // what cut_pictures makes pixels of
};

// All [B, T], int64, on the CPU whatever device a network is on. Positions begin anew with each document; a token sees
// those of its own document only.
struct Batch {
  at::Tensor ids, targets, positions, documents;
  bool one_document_a_row = false;  // true: every row is one document from position 0, and no mask is needed
  spec::RopeTable table = spec::RopeTable::kShort;
  std::vector<BatchPicture> pictures = {};  // what the ids of their tokens are does not matter
};

// A document's place in a batch, or of what fills a row up, whose number is negative.
struct DocumentInBatch {
  int64_t row = 0, first = 0, tokens = 0;
  int64_t number = 0;  // as the batch has it
};

// All of the batch, row by row.
std::vector<DocumentInBatch> documents_in(const Batch& batch);

// Rows in an order that is a function of their number: that number is all the state there is.
// Threads: immutable once made.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual uint64_t rows() const = 0;  // before anything comes again
  // Of the data, not of the order: other data has another.
  virtual uint64_t fingerprint() const = 0;
  // Rows [first, first + count), counted from the beginning of training. Their pictures have no pixels yet.
  virtual Result<Batch> batch(uint64_t first, int64_t count) const = 0;
};

}  // namespace phial::train

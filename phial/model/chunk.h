// Segments cut into chunks: the tokens that one pass of the decoder runs together. Used inside model only.
//
// Rows whose logits are wanted stand behind the others, so that the last layer can leave the others out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "phial/model/decoder.h"
#include "phial/model/kv_access.h"
#include "phial/spec/rope.h"
#include "phial/spec/spec.h"

namespace phial::model {

// Consecutive tokens of a segment; logits are wanted of the last `wanted` of them.
struct Part {
  const Segment* segment = nullptr;
  size_t begin = 0, count = 0;
  size_t wanted = 0;
};

// Chunk after chunk, each of at most kPrefillChunk tokens of as many segments as there is room for.
std::vector<std::vector<Part>> cut_into_chunks(std::span<const Segment> segments);

struct Row {
  int32_t id;
  const float* embedding;  // [hidden_dim] in place of the id's own; null: that
  int position;
  spec::RopeTable table;
  KvAccess cache;
};

// Neighbouring rows of one cache whose attention is computed together, for so many query heads of a key-value head.
struct QueryBlock {
  size_t first, rows;
  int heads;
};

// Rows of one cache, the first of them at `position`.
struct QueryRows {
  size_t first, count;
  int position;
};

// Appends the blocks that the rows are cut into: those of a block-sparse layer each in one block of `pattern`, which is
// not active for a dense one. Returns the floats of scratch that attention needs for any of them.
size_t cut_queries(const QueryRows& rows, const spec::BlockSparse& pattern, int heads_per_kv,
                   std::vector<QueryBlock>& blocks);

struct Chunk {
  std::vector<Row> rows;
  std::vector<QueryBlock> blocks;         // in the order of their rows
  std::vector<QueryBlock> sparse_blocks;  // the same of block-sparse layers
  size_t wanted_rows = 0;                 // the last ones
  size_t attention_scratch = 0;           // floats that attention needs of a thread
};

// Promise: the caches have the lengths at which `parts` begin.
Chunk lay_out(std::span<const Part> parts, const spec::DecoderSpec& spec);

}  // namespace phial::model

#include "phial/model/chunk.h"

#include <algorithm>

#include "phial/model/attention.h"

namespace phial::model {
namespace {

// Of `count` tokens of a segment, whose last is among them or not.
size_t wanted_of(LogitsOf which, size_t count, bool has_last) {
  if (which == LogitsOf::kAll) return count;
  return which == LogitsOf::kLast && has_last ? std::min<size_t>(count, 1) : 0;
}

// Appends tokens [begin, end) of a part.
void add(const Part& part, size_t begin, size_t end, const spec::DecoderSpec& spec, Chunk& chunk) {
  const size_t count = end - begin;
  const KvAccess cache(*part.segment->cache);
  const QueryRows rows = {chunk.rows.size(), count, cache.length() + static_cast<int>(begin)};
  for (size_t t = 0; t < count; ++t) {
    const Segment& segment = *part.segment;
    const size_t at_id = part.begin + begin + t;
    const float* embedding = segment.rows.empty() ? nullptr : segment.rows[at_id];
    chunk.rows.push_back(
        {segment.ids[at_id], embedding, rows.position + static_cast<int>(t), part.segment->table, cache});
  }
  const int heads_per_kv = spec.n_heads / spec.n_kv_heads;
  size_t scratch = cut_queries(rows, {}, heads_per_kv, chunk.blocks);
  if (spec.block_sparse.active()) {
    scratch = std::max(scratch, cut_queries(rows, spec.block_sparse, heads_per_kv, chunk.sparse_blocks));
  }
  chunk.attention_scratch = std::max(chunk.attention_scratch, scratch);
}

}  // namespace

size_t cut_queries(const QueryRows& rows, const spec::BlockSparse& pattern, int heads_per_kv,
                   std::vector<QueryBlock>& blocks) {
  const int count = static_cast<int>(rows.count), keys = rows.position + count;
  const int seen = pattern.active() ? sparse_keys(pattern, keys) : keys;
  const QueryTile tile = query_tile(count, seen, heads_per_kv);
  size_t scratch = 0;
  for (int t = 0; t < count;) {
    int n = std::min(tile.tokens, count - t);
    if (pattern.active()) n = std::min(n, pattern.block - (rows.position + t) % pattern.block);
    blocks.push_back({rows.first + static_cast<size_t>(t), static_cast<size_t>(n), tile.heads});
    scratch = std::max(scratch, attention_scratch(n, seen, tile.heads));
    t += n;
  }
  return scratch;
}

std::vector<std::vector<Part>> cut_into_chunks(std::span<const Segment> segments) {
  std::vector<std::vector<Part>> chunks;
  size_t room = 0;
  for (const Segment& segment : segments) {
    const size_t tokens = segment.ids.size();
    for (size_t done = 0; done < tokens;) {
      if (room == 0) {
        chunks.emplace_back();
        room = kPrefillChunk;
      }
      const size_t count = std::min(tokens - done, room);
      chunks.back().push_back({&segment, done, count, wanted_of(segment.logits_of, count, done + count == tokens)});
      done += count;
      room -= count;
    }
  }
  return chunks;
}

Chunk lay_out(std::span<const Part> parts, const spec::DecoderSpec& spec) {
  Chunk chunk;
  for (const Part& part : parts) {
    if (part.wanted < part.count) add(part, 0, part.count - part.wanted, spec, chunk);
  }
  for (const Part& part : parts) {
    if (part.wanted > 0) add(part, part.count - part.wanted, part.count, spec, chunk);
    chunk.wanted_rows += part.wanted;
  }
  return chunk;
}

}  // namespace phial::model

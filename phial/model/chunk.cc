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

// Scores of all keys are held for the queries of a block.
void need_scratch(size_t queries, int keys, int heads_per_kv, Chunk& chunk) {
  const size_t scratch = attention_scratch(static_cast<int>(queries), keys, heads_per_kv);
  chunk.attention_scratch = std::max(chunk.attention_scratch, scratch);
}

// Rows [at, at + count) from position `first` on, `keys` positions being there at the end.
void cut_for_sparse_layers(size_t at, size_t count, int first, int keys, const spec::DecoderSpec& spec, Chunk& chunk) {
  const int heads_per_kv = spec.n_heads / spec.n_kv_heads, seen = sparse_keys(spec.block_sparse, keys);
  const auto most = static_cast<size_t>(query_block(seen, heads_per_kv));
  const auto pattern = static_cast<size_t>(spec.block_sparse.block);
  for (size_t t = 0; t < count;) {
    const size_t left = pattern - (static_cast<size_t>(first) + t) % pattern;
    const size_t rows = std::min({most, left, count - t});
    chunk.sparse_blocks.push_back({at + t, rows});
    t += rows;
  }
  need_scratch(most, seen, heads_per_kv, chunk);
}

// Appends tokens [begin, end) of a part.
void add(const Part& part, size_t begin, size_t end, const spec::DecoderSpec& spec, Chunk& chunk) {
  const size_t count = end - begin;
  const KvAccess cache(*part.segment->cache);
  const int first = cache.length() + static_cast<int>(begin), keys = first + static_cast<int>(count);
  const int heads_per_kv = spec.n_heads / spec.n_kv_heads;
  const auto block = static_cast<size_t>(query_block(keys, heads_per_kv));
  const size_t at = chunk.rows.size();
  for (size_t t = 0; t < count; t += block) chunk.blocks.push_back({at + t, std::min(block, count - t)});
  for (size_t t = 0; t < count; ++t) {
    const Segment& segment = *part.segment;
    const size_t at_id = part.begin + begin + t;
    const float* embedding = segment.rows.empty() ? nullptr : segment.rows[at_id];
    chunk.rows.push_back({segment.ids[at_id], embedding, first + static_cast<int>(t), part.segment->table, cache});
  }
  need_scratch(block, keys, heads_per_kv, chunk);
  if (spec.block_sparse.active()) cut_for_sparse_layers(at, count, first, keys, spec, chunk);
}

}  // namespace

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

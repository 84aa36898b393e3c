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
  const int first = cache.length() + static_cast<int>(begin), keys = first + static_cast<int>(count);
  const int heads_per_kv = spec.n_heads / spec.n_kv_heads;
  const auto block = static_cast<size_t>(query_block(keys, heads_per_kv));
  const size_t at = chunk.rows.size();
  for (size_t t = 0; t < count; t += block) chunk.blocks.push_back({at + t, std::min(block, count - t)});
  for (size_t t = 0; t < count; ++t) {
    const int32_t id = part.segment->ids[part.begin + begin + t];
    chunk.rows.push_back({id, first + static_cast<int>(t), part.segment->table, cache});
  }
  const size_t scratch = attention_scratch(static_cast<int>(block), keys, heads_per_kv);
  chunk.attention_scratch = std::max(chunk.attention_scratch, scratch);
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

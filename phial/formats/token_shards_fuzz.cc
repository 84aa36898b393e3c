#include "phial/formats/token_shards.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "phial/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint64_t> aligned(size / sizeof(uint64_t) + 1);
  std::memcpy(aligned.data(), data, size);
  const auto shard = phial::formats::TokenShard::parse(std::as_bytes(std::span(aligned)).first(size), "fuzz");
  if (!shard) {
    PHIAL_CHECK(!shard.error().message.empty() && shard.error().text().find('\n') == std::string::npos);
    return 0;
  }
  uint64_t begin = 0;
  for (const uint64_t end : shard->document_ends()) {
    PHIAL_CHECK(begin < end && end <= shard->n_tokens());
    std::array<int32_t, 64> ids{};
    for (uint64_t at = begin; at < end; at += ids.size()) {
      const auto some = std::span(ids).first(std::min<uint64_t>(ids.size(), end - at));
      if (!shard->read(at, some)) continue;
      for (const int32_t id : some) PHIAL_CHECK(id >= 0 && static_cast<uint32_t>(id) < shard->header().vocab_size);
    }
    begin = end;
  }
  return 0;
}

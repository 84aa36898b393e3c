// The measurement itself: prompts and single tokens, from caches that already hold some.
#pragma once

#include <optional>
#include <vector>

#include "phial/base/result.h"
#include "phial/cli/bench_report.h"
#include "phial/cli/console.h"
#include "phial/cli/probes.h"
#include "phial/model/decoder.h"

namespace phial::cli {

struct BenchRequest {
  int prompt = 0, gen = 0;  // not both 0
  std::vector<int> depths = {};
  std::optional<int> repeat;  // times that each figure is taken; nothing: three, or one where it takes seconds
  model::KvType kv = model::KvType::kF16;
  uint64_t weights_bytes = 0;  // TokenWork

  // Positions that the largest measurement fills.
  int most_tokens() const;
};

// Keys and values that a token reads after `depth` others.
uint64_t kv_bytes_read(const spec::DecoderSpec& spec, model::KvType type, double depth);

struct BenchRuns {
  std::vector<BenchRun> runs;
  model::KvType kv = model::KvType::kF16;  // as it was kept
  uint64_t kv_bytes = 0;                   // the whole cache
};

// One run a depth, in their order; ids are spread over the vocabulary, and sampling is not in it. `probe` (may be null)
// reads beside each: memory that others use as well is faster in one minute than in the next.
// kCancelled if the person stops it.
Result<BenchRuns> run_bench(const model::Decoder& decoder, const BenchRequest& request, const ReadProbe* probe,
                            Console& console);

}  // namespace phial::cli

// The decoder of the Phi-3 and Llama families, forwards: token ids and a cache in, logits out.
//
// Source: Phi-3 technical report (arXiv 2404.14219) section 2; docs/sources.md.
// Threads: a Decoder is immutable after load and may serve many caches, but forward() uses the pool, which takes one
// caller at a time. A KvCache belongs to one conversation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "phial/base/log.h"
#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/formats/checkpoint.h"
#include "phial/model/input_observer.h"
#include "phial/model/kv_cache.h"
#include "phial/spec/spec.h"

namespace phial::model {

// kExact: activations and KV in f32, weights decoded exactly. kFast: integer products on packed weights, KV in f16 or
// smaller.
enum class Precision { kExact, kFast };

enum class LogitsOf { kNone, kLast, kAll };

// What one cache goes on with in a pass.
struct Segment {
  std::span<const int32_t> ids;  // at positions cache->length() ...
  // Empty, or one for each id: if not null, [hidden_dim], it stands where the embedding of a token would, and the id
  // means nothing to the decoder.
  std::span<const float* const> rows = {};
  spec::RopeTable table = spec::RopeTable::kShort;  // the same for every call that fills one cache
  LogitsOf logits_of = LogitsOf::kLast;
  KvCache* cache = nullptr;
};

// Rows of logits that it gets.
inline size_t rows_of(const Segment& segment) {
  if (segment.logits_of == LogitsOf::kAll) return segment.ids.size();
  return segment.logits_of == LogitsOf::kLast && !segment.ids.empty() ? 1 : 0;
}

// Something that makes a model slower than its size would let it, for want of a kernel.
struct SlowPath {
  std::string what = {};  // for people, on one line
  bool matters = false;   // load() warns of it; the rest costs little and is told only by who measures
};

// How whoever asks for a plan says how long the context is: with --context, or by giving so many tokens.
enum class ContextIs { kFlag, kTokens };

// What a plan is made for.
struct PlanRequest {
  int context_tokens = 0;
  KvType kv = KvType::kF16;   // for kFast; kExact keeps f32
  int sessions = 1;           // that many caches of so many tokens
  uint64_t vision_bytes = 0;  // what the model's image encoder will take beside the decoder
  bool keeps_logits = false;  // the caller holds a row of them for every token
};

// What a model will take, told before anything large is allocated.
struct MemoryPlan {
  // `weights_bytes`: all matrices as they are packed, which is also what one token reads of them.
  uint64_t weights_bytes = 0, kv_bytes = 0, scratch_bytes = 0;
  uint64_t embedding_bytes = 0;  // rows that ids look up, where the file is copied; of a mapped one they are the file's
  uint64_t vision_bytes = 0;     // the image encoder's weights and scratch
  uint64_t logits_bytes = 0;     // what the caller keeps of them
  uint64_t available_bytes = 0;  // free memory of the machine, container limits respected
  int context_tokens = 0;
  int sessions = 1;                   // that many caches of so many tokens
  int largest_context_that_fits = 0;  // 0: not even the weights fit
  KvType kv_type = KvType::kF16;
  std::optional<KvType> smaller_kv_that_fits;  // the largest smaller one with which this context fits
  std::vector<SlowPath> slow_paths = {};

  uint64_t total_bytes() const {
    return weights_bytes + embedding_bytes + kv_bytes + scratch_bytes + vision_bytes + logits_bytes;
  }
  bool fits() const { return total_bytes() <= available_bytes; }
  // kOutOfMemory, with what would fit, unless fits().
  Status check(const std::filesystem::path& model, ContextIs said) const;
  // "107 MB of weights, 94.4 MB of keys and values in f16 for 4096 tokens, ...": one line, for people.
  std::string text() const;
};

class Decoder {
 public:
  // The spec of a checkpoint, LongRoPE factor tensors included. `window_extra`: 0 or 1 (docs/sources.md, reading B).
  static Result<spec::DecoderSpec> read_spec(const formats::Checkpoint& checkpoint, int window_extra = 0);

  // `threads`: of the pool that load() will be given, each of which has scratch of its own.
  static Result<MemoryPlan> plan(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec,
                                 Precision precision, int threads, const PlanRequest& request);

  // Packs the weights tensor by tensor (kFast) or refers to the checkpoint's bytes (kExact); with either LoadMode the
  // file and the packed weights are never in memory at once. `log` is told of slow paths that matter.
  static Result<std::unique_ptr<Decoder>> load(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                               const spec::DecoderSpec& spec, Precision precision, ThreadPool& pool,
                                               const Log& log = no_log);
  virtual ~Decoder() = default;

  virtual const spec::DecoderSpec& spec() const = 0;
  virtual Precision precision() const = 0;

  // An empty cache for up to `capacity_tokens` positions. `type` is for kFast; kExact keeps f32. kOutOfRange if
  // a block-sparse model has no such context.
  Result<KvCache> make_cache(int capacity_tokens, KvType type = KvType::kF16) const;

  // Runs the segments together and appends their keys and values. What is computed for a segment does not depend on
  // the others, to the bit. `logits` becomes [rows, vocab_size]: segment after segment 0, 1 or ids.size() rows.
  // Errors: kOutOfRange if a cache is too small, kInvalid for an id outside the vocabulary; no cache is changed then.
  // kOutOfMemory if the machine has no room for keys and values, kCorrupt if logits are not finite; a cache's
  // length() says then what was appended.
  // Promise: no two segments have the same cache.
  virtual Status forward(std::span<const Segment> segments, std::vector<float>& logits) const = 0;
  Status forward(const Segment& segment, std::vector<float>& logits) const { return forward({&segment, 1}, logits); }

  // Runs `ids` as forward() does and shows the inputs of every matrix of the first `n_layers` layers, and of the output
  // matrix if those are all; no logits are computed. Errors: as forward().
  virtual Status observe(std::span<const int32_t> ids, spec::RopeTable table, int n_layers, KvCache& cache,
                         InputObserver& observer) const = 0;
};

}  // namespace phial::model

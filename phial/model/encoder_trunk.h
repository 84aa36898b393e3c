// The layers of a BERT-like encoder: token ids in, a row of numbers for each token out. Used inside model only.
//
// Sequences are laid one after the other, without padding, in slabs of some hundred tokens. Products run over all rows
// of a slab, attention within each sequence; every row's result is its own, so neighbours change nothing.
//
// Source: BERT (arXiv 1810.04805). Threads: run() uses the pool, one caller at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/lora.h"
#include "phial/kernels/kernels.h"
#include "phial/model/decoder.h"
#include "phial/model/text_encoder_weights.h"
#include "phial/model/workspace.h"
#include "phial/spec/spec.h"

namespace phial::model {

// [CLS] ... [SEP]; the ids from `second` on are those of a second text (token type 1).
struct EncoderInput {
  std::span<const int32_t> ids;
  size_t second = SIZE_MAX;
};

// The last hidden states of one sequence, [tokens, hidden_dim], rows `stride` floats apart.
struct EncodedRows {
  const float* data = nullptr;
  size_t stride = 0, tokens = 0;
  const float* row(size_t t) const { return data + t * stride; }
};

// Called once a sequence, on any of the pool's threads, with its place among all.
using TakeRows = std::function<void(size_t, const EncodedRows&)>;

class EncoderTrunk {
 public:
  // `adapter` may be null, and is not needed afterwards.
  static Result<EncoderTrunk> make(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                   const formats::LoraAdapter* adapter, const spec::EncoderSpec& spec,
                                   Precision precision, ThreadPool& pool);

  const spec::EncoderSpec& spec() const { return spec_; }

  // kOutOfRange for a sequence that is empty or longer than spec().max_tokens, kInvalid for an id outside the
  // vocabulary; then nothing has been taken.
  Status run(std::span<const EncoderInput> sequences, const TakeRows& take) const;

 private:
  EncoderTrunk(std::shared_ptr<const formats::Checkpoint> checkpoint, const spec::EncoderSpec& spec, ThreadPool& pool)
      : checkpoint_(std::move(checkpoint)), spec_(spec), pool_(&pool) {}

  Status check(const EncoderInput& sequence) const;
  size_t scratch_floats(size_t rows) const;

  std::shared_ptr<const formats::Checkpoint> checkpoint_;
  spec::EncoderSpec spec_;
  EncoderWeights weights_;
  mutable Workspace work_;  // run() has one caller at a time, as the pool has
  size_t slab_tokens_ = 0;
  ThreadPool* pool_;
  const kernels::KernelSet& kernels_ = kernels::active();
};

}  // namespace phial::model

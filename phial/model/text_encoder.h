// Sentence embeddings by a BERT-like encoder, for retrieval.
//
// Source: BERT (arXiv 1810.04805), Sentence-BERT (arXiv 1908.10084): mean over all tokens, then L2 normalisation.
// Threads: immutable after load; embed() uses the pool, one caller at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/formats/checkpoint.h"
#include "phial/model/decoder.h"
#include "phial/spec/spec.h"

namespace phial::model {

class TextEncoder {
 public:
  static Result<std::unique_ptr<TextEncoder>> load(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                                   const spec::EncoderSpec& spec, Precision precision,
                                                   ThreadPool& pool);
  virtual ~TextEncoder() = default;

  virtual const spec::EncoderSpec& spec() const = 0;

  // One embedding a sequence, [sequences.size(), hidden_dim], L2-normalised. Each sequence holds [CLS] ... [SEP] and at
  // most spec().max_tokens ids; kOutOfRange and kInvalid otherwise. A sequence's embedding does not depend on the
  // others.
  virtual Result<std::vector<float>> embed(std::span<const std::vector<int32_t>> sequences) const = 0;
};

}  // namespace phial::model

// An extractive reader: where in a passage does the answer to a question begin and end, or does it hold none?
//
// An encoder with two numbers a token, of an answer's beginning and of its end; those of [CLS] stand for "no answer".
// Its weights are a text encoder's with a low rank added to them (LoRA), so that both are one file on disk.
// Source: BERT (arXiv 1810.04805) section 4.3, SQuAD 2.0; LoRA (arXiv 2106.09685).
// Threads: immutable after load; read() uses the pool, one caller at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/lora.h"
#include "phial/model/decoder.h"
#include "phial/spec/spec.h"

namespace phial::model {

// [CLS] question [SEP] passage [SEP].
struct QuestionAndPassage {
  std::vector<int32_t> ids;
  size_t passage = 0;  // place of the passage's first id
};

struct SpanLogits {
  float start = 0, end = 0;
};

class SpanReader {
 public:
  // `adapter`: as PEFT saves that of a BertForQuestionAnswering: low ranks of the layers' matrices, and
  // qa_outputs.weight [2, hidden_dim] and .bias [2]. kInvalid if it does not fit the encoder, kUnsupported if it
  // replaces other tensors whole.
  static Result<std::unique_ptr<SpanReader>> load(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                                  formats::LoraAdapter adapter, const spec::EncoderSpec& spec,
                                                  Precision precision, ThreadPool& pool);
  virtual ~SpanReader() = default;

  virtual const spec::EncoderSpec& spec() const = 0;

  // For each pair, a row for each of its ids. At most spec().max_tokens ids a pair; kOutOfRange and kInvalid otherwise.
  virtual Result<std::vector<std::vector<SpanLogits>>> read(std::span<const QuestionAndPassage> pairs) const = 0;
};

}  // namespace phial::model

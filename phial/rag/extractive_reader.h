// Which sentence of a passage answers a question, and does any?
//
// An encoder reads question and passage together and says for each token how likely an answer begins or ends there, or
// that there is none (model/span_reader). A sentence's score is that of its best span against "none".
// Source: BERT (arXiv 1810.04805) section 4.3; Know What You Don't Know (arXiv 1806.03822).
// Threads: read() one caller at a time.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/model/span_reader.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::rag {

// The sentences of one passage, in the order of the text.
using PassageSentences = std::vector<std::string>;

// What is read of a sentence without a word.
inline constexpr float kLeastReading = -20;

class ExtractiveReader {
 public:
  ExtractiveReader(std::unique_ptr<model::SpanReader> reader, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
                   tokenizer::TokenId begin, tokenizer::TokenId end)
      : reader_(std::move(reader)), tokenizer_(std::move(tokenizer)), begin_(begin), end_(end) {}

  // For each passage, for each of its sentences: the log odds of its best span, kLeastReading to about 15; above 0 an
  // answer is likelier than none. A long passage is read window by window; of a sentence longer than a window, and of a
  // question longer than a quarter of one, the end is left out.
  Result<std::vector<std::vector<float>>> read(std::string_view question, std::span<const PassageSentences> passages);

 private:
  std::unique_ptr<model::SpanReader> reader_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  tokenizer::TokenId begin_, end_;
};

}  // namespace phial::rag

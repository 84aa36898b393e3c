// Passages and questions -> vectors; and, where the encoder has learned it, which sentence answers a question.
//
// Threads: count_tokens() from any; embed() and read() one caller at a time.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/model/text_encoder.h"
#include "phial/rag/extractive_reader.h"
#include "phial/rag/store.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::rag {

class Embedder {
 public:
  virtual ~Embedder() = default;

  // Recorded in each library; changes with anything that changes the vectors.
  virtual EmbedderIdentity identity() const = 0;
  // What embed() reads of a text, special tokens left out; the rest is cut off.
  virtual int max_tokens() const = 0;
  virtual int count_tokens(std::string_view text) const = 0;
  // [texts.size(), identity().dim], each of length 1.
  virtual Result<std::vector<float>> embed(std::span<const std::string> texts) = 0;
  // As ExtractiveReader::read; without rows if this encoder has not learned to read.
  virtual Result<std::vector<std::vector<float>>> read(std::string_view /*question*/,
                                                       std::span<const PassageSentences> /*passages*/) {
    return std::vector<std::vector<float>>();
  }
};

// A BERT-like encoder with its tokenizer. `name`: what identifies the model, for the library.
class EncoderEmbedder : public Embedder {
 public:
  using OpenReader = std::function<Result<std::unique_ptr<model::SpanReader>>()>;

  // kInvalid if the vocabulary has no [CLS] and [SEP] (or <s> and </s>).
  static Result<std::unique_ptr<EncoderEmbedder>> make(std::unique_ptr<model::TextEncoder> encoder,
                                                       std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
                                                       std::string name);

  EmbedderIdentity identity() const override;
  int max_tokens() const override;
  int count_tokens(std::string_view text) const override;
  Result<std::vector<float>> embed(std::span<const std::string> texts) override;
  Result<std::vector<std::vector<float>>> read(std::string_view question,
                                               std::span<const PassageSentences> passages) override;

  // Called once, when something is read first: adding documents needs no reader.
  void learn_to_read(OpenReader open_reader) { open_reader_ = std::move(open_reader); }

 private:
  EncoderEmbedder() = default;

  std::unique_ptr<model::TextEncoder> encoder_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::string name_;
  tokenizer::TokenId begin_ = 0, end_ = 0;
  OpenReader open_reader_;
  std::unique_ptr<ExtractiveReader> reader_;
};

}  // namespace phial::rag

#include "phial/rag/embed.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

namespace phial::rag {
namespace {

// Sequences that run through the encoder together; of like length, so that none waits for a long one.
constexpr size_t kBatch = 32;

std::optional<tokenizer::TokenId> first_known(const tokenizer::Tokenizer& tokenizer,
                                              std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (const auto id = tokenizer.id_of(name)) return id;
  }
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<EncoderEmbedder>> EncoderEmbedder::make(std::unique_ptr<model::TextEncoder> encoder,
                                                               std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
                                                               std::string name) {
  constexpr std::array<std::string_view, 2> kBegin = {"[CLS]", "<s>"};
  constexpr std::array<std::string_view, 2> kEnd = {"[SEP]", "</s>"};
  const auto begin = first_known(*tokenizer, kBegin);
  const auto end = first_known(*tokenizer, kEnd);
  if (!begin || !end) {
    return Error{Code::kInvalid, "this model cannot be searched with (" + model_of_identity(name) + ")",
                 "name a BERT-like folder, such as all-MiniLM-L6-v2"};
  }
  if (encoder->spec().max_tokens < 3) {
    return Error{Code::kInvalid, "the model reads too little text (" + model_of_identity(name) + ")",
                 "name another, such as all-MiniLM-L6-v2"};
  }
  std::unique_ptr<EncoderEmbedder> embedder(new EncoderEmbedder);
  embedder->encoder_ = std::move(encoder);
  embedder->tokenizer_ = std::move(tokenizer);
  embedder->name_ = std::move(name);
  embedder->begin_ = *begin;
  embedder->end_ = *end;
  return embedder;
}

EmbedderIdentity EncoderEmbedder::identity() const {
  return {name_ + "/" + std::to_string(encoder_->spec().max_tokens), encoder_->spec().hidden_dim};
}

int EncoderEmbedder::max_tokens() const { return encoder_->spec().max_tokens - 2; }

int EncoderEmbedder::count_tokens(std::string_view text) const {
  return static_cast<int>(tokenizer_->encode(text).size());
}

Result<std::vector<float>> EncoderEmbedder::embed(std::span<const std::string> texts) {
  std::vector<std::vector<int32_t>> sequences;
  sequences.reserve(texts.size());
  for (const std::string& text : texts) {
    std::vector<int32_t> ids = tokenizer_->encode(text);
    ids.resize(std::min(ids.size(), static_cast<size_t>(max_tokens())));
    ids.insert(ids.begin(), begin_);
    ids.push_back(end_);
    sequences.push_back(std::move(ids));
  }
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sequences[a].size() < sequences[b].size(); });

  const auto dim = static_cast<size_t>(encoder_->spec().hidden_dim);
  std::vector<float> vectors(texts.size() * dim);
  for (size_t first = 0; first < order.size(); first += kBatch) {
    const size_t count = std::min(kBatch, order.size() - first);
    std::vector<std::vector<int32_t>> batch;
    batch.reserve(count);
    for (size_t i = 0; i < count; ++i) batch.push_back(std::move(sequences[order[first + i]]));
    PHIAL_TRY(const std::vector<float> rows, encoder_->embed(batch));
    for (size_t i = 0; i < count; ++i) {
      std::copy_n(rows.begin() + static_cast<ptrdiff_t>(i * dim), dim,
                  vectors.begin() + static_cast<ptrdiff_t>(order[first + i] * dim));
    }
  }
  return vectors;
}

Result<std::vector<std::vector<float>>> EncoderEmbedder::read(std::string_view question,
                                                              std::span<const PassageSentences> passages) {
  if (reader_ == nullptr) {
    if (!open_reader_) return Embedder::read(question, passages);
    PHIAL_TRY(auto opened, open_reader_());
    reader_ = std::make_unique<ExtractiveReader>(std::move(opened), tokenizer_, begin_, end_);
  }
  return reader_->read(question, passages);
}

}  // namespace phial::rag

// An embedder for tests: no model, words hashed into the dimensions, so that texts with common words are near.
#pragma once

#include <cmath>
#include <functional>

#include "phial/rag/embed.h"
#include "phial/rag/lexical.h"

namespace phial::rag {

class FakeEmbedder : public Embedder {
 public:
  explicit FakeEmbedder(int dim = 64, std::string name = "fake") : dim_(dim), name_(std::move(name)) {}

  EmbedderIdentity identity() const override { return {name_, dim_}; }
  int max_tokens() const override { return 254; }
  int count_tokens(std::string_view text) const override { return static_cast<int>(words_of(text).size()); }
  Result<std::vector<float>> embed(std::span<const std::string> texts) override {
    std::vector<float> all;
    for (const std::string& text : texts) {
      std::vector<float> vector(static_cast<size_t>(dim_), 1e-3F);
      for (const std::string& word : content_words(text)) {
        uint64_t hash = 1469598103934665603ULL;  // FNV-1a: the same on every machine
        for (const char c : word) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
        vector[hash % vector.size()] += 1;
      }
      float squares = 0;
      for (const float value : vector) squares += value * value;
      for (const float value : vector) all.push_back(value / std::sqrt(squares));
      ++texts_embedded;
    }
    return all;
  }

  int texts_embedded = 0;

 private:
  int dim_;
  std::string name_;
};

}  // namespace phial::rag

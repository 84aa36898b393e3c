#include "phial/model/text_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "phial/base/default_models_for_test.h"
#include "phial/model/golden_files.h"

namespace phial::model {
namespace {

using testing::HasSubstr;

class MiniLm : public DefaultModels {
 protected:
  void SetUp() override {
    DefaultModels::SetUp();
    for (const Json& one : expected.json()["sentences"]) sentences.push_back(one["ids"]);
  }

  std::unique_ptr<TextEncoder> load(Precision precision) {
    const auto checkpoint = open_model(minilm());
    const spec::EncoderSideFiles beside = {.sentence_bert = side_file("sentence_bert_config.json"),
                                           .tokenizer_config = nullptr,
                                           .pooling = side_file("1_Pooling/config.json")};
    const auto spec = spec::encoder_from_configs(checkpoint->metadata(), beside);
    EXPECT_TRUE(spec) << (spec ? "" : spec.error().text());
    EXPECT_EQ(spec->max_tokens, 256);
    auto encoder = TextEncoder::load(checkpoint, *spec, precision, pool);
    EXPECT_TRUE(encoder) << (encoder ? "" : encoder.error().text());
    return *std::move(encoder);
  }

  // One that is not there is told by its name; the test goes on without it and fails on what it decides.
  Json side_file(const char* name) const {
    const auto text = read_text_file(minilm() / name);
    EXPECT_TRUE(text) << (text ? "" : text.error().text()) << ": run scripts/models";
    return text ? *parse_json(*text) : Json::object();
  }

  Expected expected{golden("real/all-minilm-l6-v2") / "expected"};
  std::vector<std::vector<int32_t>> sentences;
  ThreadPool pool{2};
};

double least_cosine(std::span<const float> a, std::span<const float> b, size_t dim) {
  double least = 1;
  for (size_t i = 0; i < a.size(); i += dim) {
    double dot = 0;
    for (size_t d = 0; d < dim; ++d) dot += static_cast<double>(a[i + d]) * static_cast<double>(b[i + d]);
    least = std::min(least, dot);
  }
  return least;
}

TEST_F(MiniLm, ExactEmbeddingsAreThoseOfTheReference) {
  const auto embeddings = load(Precision::kExact)->embed(sentences);
  ASSERT_TRUE(embeddings);
  const auto wanted = expected.floats("embeddings");
  EXPECT_LE(largest_difference(*embeddings, wanted), 1e-5);
  EXPECT_GE(least_cosine(*embeddings, wanted, 384), 0.99999);
}

// Texts with words in them; of [CLS] [SEP] alone there is no other token to average rounding out.
TEST_F(MiniLm, FastEmbeddingsPointTheSameWay) {
  const auto embeddings = load(Precision::kFast)->embed(sentences);
  ASSERT_TRUE(embeddings);
  const auto wanted = expected.floats("embeddings");
  for (size_t i = 0; i < sentences.size(); ++i) {
    const double cosine =
        least_cosine(std::span(*embeddings).subspan(i * 384, 384), std::span(wanted).subspan(i * 384, 384), 384);
    EXPECT_GE(cosine, sentences[i].size() > 2 ? 0.999 : 0.998) << i;
  }
}

TEST_F(MiniLm, AnEmbeddingDoesNotDependOnItsNeighbours) {
  std::vector<int32_t> longest(256, 2003);
  longest.front() = 101;
  longest.back() = 102;
  for (int i = 0; i < 3; ++i) sentences.insert(sentences.begin() + 4 * i, longest);  // several slabs
  for (const Precision precision : {Precision::kExact, Precision::kFast}) {
    const auto encoder = load(precision);
    const auto together = encoder->embed(sentences);
    ASSERT_TRUE(together);
    for (const size_t i : {size_t{0}, size_t{7}, sentences.size() - 1}) {
      const auto alone = encoder->embed(std::span(sentences).subspan(i, 1));
      ASSERT_TRUE(alone);
      EXPECT_EQ(*alone, std::vector<float>(together->begin() + static_cast<std::ptrdiff_t>(i * 384),
                                           together->begin() + static_cast<std::ptrdiff_t>((i + 1) * 384)));
    }
  }
}

TEST_F(MiniLm, WhatItCannotEmbedIsAnError) {
  const auto encoder = load(Precision::kExact);
  const std::vector<std::vector<int32_t>> empty(1), too_long(1, std::vector<int32_t>(257, 5)), unknown = {{101, 30522}};
  EXPECT_EQ(encoder->embed(empty).error().code, Code::kOutOfRange);
  EXPECT_THAT(encoder->embed(too_long).error().message, HasSubstr("257 tokens"));
  EXPECT_THAT(encoder->embed(unknown).error().message, HasSubstr("outside the vocabulary of 30522"));
  EXPECT_TRUE(encoder->embed({})->empty());
}

}  // namespace
}  // namespace phial::model

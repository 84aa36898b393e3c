#include "phial/model/span_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "phial/model/golden_files.h"

namespace phial::model {
namespace {

using testing::HasSubstr;

class SpanReading : public testing::Test {
 protected:
  SpanReading() {
    for (const Json& one : expected.json()["pairs"]) pairs.push_back({one["ids"], one["passage"]});
  }

  formats::LoraAdapter adapter() const {
    auto opened = formats::open_lora(folder / "reader");
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().text());
    return *std::move(opened);
  }

  Result<std::unique_ptr<SpanReader>> load(formats::LoraAdapter adapter, Precision precision) {
    const auto checkpoint = open_model(folder);
    const auto spec = spec::encoder_from_config(checkpoint->metadata());
    EXPECT_TRUE(spec) << (spec ? "" : spec.error().text());
    return SpanReader::load(checkpoint, std::move(adapter), *spec, precision, pool);
  }

  // The largest difference from the reference, of pair `n`.
  double difference(const std::vector<SpanLogits>& logits, size_t n) const {
    const std::vector<float> wanted = expected.floats("logits." + std::to_string(n));
    EXPECT_EQ(2 * logits.size(), wanted.size());
    double largest = 0;
    for (size_t t = 0; t < logits.size(); ++t) {
      largest = std::max({largest, std::fabs(double{logits[t].start} - double{wanted[2 * t]}),
                          std::fabs(double{logits[t].end} - double{wanted[2 * t + 1]})});
    }
    return largest;
  }

  std::filesystem::path folder = golden("bert-reader-like");
  Expected expected{folder / "expected"};
  std::vector<QuestionAndPassage> pairs;
  ThreadPool pool{2};
};

TEST_F(SpanReading, LogitsAreThoseOfTheModelThatPeftMerges) {
  const auto reader = load(adapter(), Precision::kExact);
  ASSERT_TRUE(reader) << reader.error().text();
  const auto read = (*reader)->read(pairs);
  ASSERT_TRUE(read) << read.error().text();
  ASSERT_EQ(read->size(), pairs.size());
  for (size_t n = 0; n < pairs.size(); ++n) EXPECT_LE(difference((*read)[n], n), 1e-4) << n;
}

TEST_F(SpanReading, RoundedWeightsReadNearlyTheSame) {
  const auto exact = (*load(adapter(), Precision::kExact))->read(pairs);
  const auto fast = (*load(adapter(), Precision::kFast))->read(pairs);
  ASSERT_TRUE(exact && fast);
  double squares = 0, off = 0;
  for (size_t n = 0; n < pairs.size(); ++n) {
    for (size_t t = 0; t < pairs[n].ids.size(); ++t) {
      squares += std::pow((*exact)[n][t].start, 2) + std::pow((*exact)[n][t].end, 2);
      off +=
          std::pow((*exact)[n][t].start - (*fast)[n][t].start, 2) + std::pow((*exact)[n][t].end - (*fast)[n][t].end, 2);
    }
  }
  EXPECT_LE(std::sqrt(off / squares), 0.03);
  EXPECT_GT(off, 0);
}

TEST_F(SpanReading, APairDoesNotDependOnItsNeighbours) {
  const auto reader = *load(adapter(), Precision::kFast);
  const auto together = reader->read(pairs);
  const auto alone = reader->read(std::span(pairs).subspan(2, 1));
  ASSERT_TRUE(together && alone);
  for (size_t t = 0; t < pairs[2].ids.size(); ++t) {
    EXPECT_EQ((*together)[2][t].start, (*alone)[0][t].start);
    EXPECT_EQ((*together)[2][t].end, (*alone)[0][t].end);
  }
}

TEST_F(SpanReading, WhatTheQuestionIsMatters) {
  const auto reader = *load(adapter(), Precision::kExact);
  auto moved = pairs;
  moved[2].passage = 5;  // less of it is the question
  const auto read = reader->read(moved);
  ASSERT_TRUE(read);
  EXPECT_GT(difference((*read)[2], 2), 1e-2);
}

TEST_F(SpanReading, AnAdapterOfAnotherModelIsRefused) {
  auto without_head = adapter();
  without_head.whole.clear();
  EXPECT_THAT(load(std::move(without_head), Precision::kFast).error().message, HasSubstr("no 'qa_outputs.weight'"));

  auto other_names = adapter();
  auto node = other_names.added.extract(other_names.added.begin());
  node.key() = "bert.encoder.layer.7.output.dense.weight";
  other_names.added.insert(std::move(node));
  const auto refused = load(std::move(other_names), Precision::kFast);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_THAT(refused.error().message, HasSubstr("layer.7.output.dense.weight"));

  auto replaces_more = adapter();
  replaces_more.whole.emplace("bert.embeddings.LayerNorm.weight", replaces_more.whole.begin()->second);
  EXPECT_THAT(load(std::move(replaces_more), Precision::kFast).error().message,
              HasSubstr("replaces 'bert.embeddings.LayerNorm.weight'"));

  auto named_twice = adapter();
  const auto& [name, low_rank] = *named_twice.added.begin();
  named_twice.added.emplace("roberta." + name.substr(name.find("encoder")), low_rank);
  EXPECT_THAT(load(std::move(named_twice), Precision::kFast).error().message, HasSubstr("two of its matrices"));

  auto other_width = adapter();
  formats::LowRank& low = other_width.added.begin()->second;
  low.columns /= 2;
  EXPECT_THAT(load(std::move(other_width), Precision::kFast).error().message, HasSubstr("wanted"));
}

}  // namespace
}  // namespace phial::model

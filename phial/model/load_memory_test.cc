// Loading by copy holds what is still read after the load and nothing else: the file and the packed weights are never
// in memory together.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include "phial/base/default_models_for_test.h"
#include "phial/formats/checkpoint.h"
#include "phial/model/golden_files.h"

namespace phial::model {
namespace {

using LoadMemory = DefaultModels;

// Bytes within the file's mapping that are memory of this program.
uint64_t held_bytes(const formats::Checkpoint& checkpoint) {
  auto begin = reinterpret_cast<uintptr_t>(checkpoint.tensors().front().bytes.data()), end = begin;
  for (const formats::Tensor& tensor : checkpoint.tensors()) {
    const auto first = reinterpret_cast<uintptr_t>(tensor.bytes.data());
    begin = std::min(begin, first);
    end = std::max(end, first + tensor.bytes.size());
  }
  std::ifstream maps("/proc/self/smaps");
  bool is_inside = false;
  uint64_t kilobytes = 0;
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0, found = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) is_inside = from < end && to > begin;
    if (is_inside && std::sscanf(line.c_str(), "Anonymous: %lu kB", &found) == 1) kilobytes += found;
  }
  return kilobytes * 1024;
}

TEST_F(LoadMemory, ACopyHoldsTheEmbeddingAndThePagesAtTheEndsOfTensors) {
  constexpr uint64_t kPage = 4096;
  auto opened = formats::Checkpoint::open(smollm2(), LoadMode::kCopy);
  ASSERT_TRUE(opened) << opened.error().text();
  const auto checkpoint = std::make_shared<const formats::Checkpoint>(*std::move(opened));
  EXPECT_EQ(held_bytes(*checkpoint), 0U);
  ThreadPool pool(2);
  const auto spec = Decoder::read_spec(*checkpoint);
  ASSERT_TRUE(spec) << spec.error().text();
  const auto decoder = Decoder::load(checkpoint, *spec, Precision::kFast, pool);
  ASSERT_TRUE(decoder) << decoder.error().text();
  const uint64_t embedding = checkpoint->find("token_embd.weight")->bytes.size();
  EXPECT_GE(held_bytes(*checkpoint), embedding);
  EXPECT_LE(held_bytes(*checkpoint), embedding + 2 * kPage * checkpoint->tensors().size());
  EXPECT_LT(held_bytes(*checkpoint), checkpoint->total_bytes() / 2);
}

TEST_F(LoadMemory, BothWaysOfLoadingGiveTheSameLogits) {
  ThreadPool pool(2);
  const std::vector<int32_t> ids = long_text(5, 1000);
  std::vector<float> logits[2];
  for (const LoadMode mode : {LoadMode::kMap, LoadMode::kCopy}) {
    auto opened = formats::Checkpoint::open(smollm2(), mode);
    ASSERT_TRUE(opened) << opened.error().text();
    const auto checkpoint = std::make_shared<const formats::Checkpoint>(*std::move(opened));
    const auto decoder = Decoder::load(checkpoint, *Decoder::read_spec(*checkpoint), Precision::kFast, pool);
    ASSERT_TRUE(decoder) << decoder.error().text();
    logits[mode == LoadMode::kCopy] = run_all(**decoder, ids);
  }
  EXPECT_EQ(logits[0], logits[1]);
}

}  // namespace
}  // namespace phial::model

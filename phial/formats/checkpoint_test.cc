#include "phial/formats/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <string>

namespace phial::formats {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(PHIAL_TESTDATA) / "golden";

TEST(Checkpoint, GgufAndFolderOfOneModelHoldTheSameWeightsUnderTheirOwnNames) {
  const auto gguf = Checkpoint::open(kGolden / "phi3-mini-like" / "model.gguf");
  const auto folder = Checkpoint::open(kGolden / "phi3-mini-like");
  ASSERT_TRUE(gguf) << gguf.error().text();
  ASSERT_TRUE(folder) << folder.error().text();
  EXPECT_EQ(gguf->kind(), CheckpointKind::kGguf);
  EXPECT_EQ(folder->kind(), CheckpointKind::kHuggingFace);
  EXPECT_EQ(*find_string(gguf->metadata(), "general.architecture"), "phi3");
  EXPECT_EQ(*find_string(folder->metadata(), "model_type"), "phi3");

  const auto in_gguf = gguf->need("token_embd.weight");
  const auto in_folder = folder->need("model.embed_tokens.weight");
  ASSERT_TRUE(in_gguf);
  ASSERT_TRUE(in_folder);
  EXPECT_EQ((*in_gguf)->shape, (*in_folder)->shape);
  EXPECT_TRUE(std::ranges::equal((*in_gguf)->bytes, (*in_folder)->bytes));
}

}  // namespace
}  // namespace phial::formats

#include "phial/formats/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>

#include "phial/base/default_models_for_test.h"

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

// A folder of its own for one test.
class CheckpointFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              (std::string("phial_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  // A file with one F32 tensor of one element.
  void write_shard(const std::string& name, const std::string& tensor, float value) const {
    std::string header = R"({")" + tensor + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    const uint64_t length = header.size();
    std::string file(reinterpret_cast<const char*>(&length), sizeof length);
    file += header;
    file.append(reinterpret_cast<const char*>(&value), sizeof value);
    write(name, file);
  }
  std::string why_not(const std::filesystem::path& path) const {
    const auto opened = Checkpoint::open(path);
    return opened ? "it was opened" : opened.error().text();
  }

  std::filesystem::path folder_;
};

constexpr const char* kIndex = R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})";

TEST_F(CheckpointFolder, ShardsAreOneModel) {
  write("model.safetensors.index.json", kIndex);
  write("config.json", R"({"model_type":"phi3"})");
  write_shard("m-1.safetensors", "a", 1.0F);
  write_shard("m-2.safetensors", "b", 2.0F);
  for (const LoadMode mode : {LoadMode::kMap, LoadMode::kCopy}) {
    for (const auto& path : {folder_, folder_ / "model.safetensors.index.json"}) {
      const auto model = Checkpoint::open(path, mode);
      ASSERT_TRUE(model) << model.error().text();
      EXPECT_EQ(model->metadata()["model_type"], "phi3");
      ASSERT_EQ(model->tensors().size(), 2U);
      float value;
      std::memcpy(&value, model->find("b")->bytes.data(), sizeof value);
      EXPECT_EQ(value, 2.0F);
      EXPECT_EQ(model->total_bytes(), std::filesystem::file_size(folder_ / "m-1.safetensors") * 2);
    }
  }
}

TEST_F(CheckpointFolder, AMissingShardOrTensorIsNamed) {
  write("model.safetensors.index.json", kIndex);
  write("config.json", "{}");
  write_shard("m-1.safetensors", "a", 1.0F);
  EXPECT_THAT(why_not(folder_), testing::HasSubstr("m-2.safetensors"));
  write_shard("m-2.safetensors", "c", 2.0F);
  EXPECT_THAT(why_not(folder_), testing::HasSubstr("tensor 'b' is not in m-2.safetensors"));
}

TEST_F(CheckpointFolder, ATensorInTwoShardsIsRefused) {
  write("model.safetensors.index.json", R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})");
  write("config.json", "{}");
  write_shard("m-1.safetensors", "a", 1.0F);
  std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                       R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})";
  const uint64_t length = header.size();
  write("m-2.safetensors", std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + "xy");
  EXPECT_THAT(why_not(folder_), testing::HasSubstr("'a' is given twice"));
}

TEST_F(CheckpointFolder, AFolderWithoutAModelSaysWhatWasLookedFor) {
  EXPECT_THAT(why_not(folder_), testing::HasSubstr("holds no model"));
  write("pytorch_model.bin", "x");
  EXPECT_THAT(why_not(folder_), testing::HasSubstr("pickled PyTorch weights"));
  write_shard("one.safetensors", "a", 1.0F);
  write_shard("two.safetensors", "a", 1.0F);
  EXPECT_THAT(why_not(folder_), testing::HasSubstr("holds 2 models"));
}

TEST_F(CheckpointFolder, AFolderNeedsAConfigThatIsAnObject) {
  write_shard("model.safetensors", "a", 1.0F);
  EXPECT_THAT(why_not(folder_), testing::HasSubstr("config.json"));
  write("config.json", "[]");
  EXPECT_THAT(why_not(folder_), testing::HasSubstr("not a JSON object"));
  write("config.json", "{");
  EXPECT_THAT(why_not(folder_), testing::HasSubstr("malformed JSON"));
  write("config.json", "{}");
  EXPECT_TRUE(Checkpoint::open(folder_));
}

TEST_F(CheckpointFolder, ABareSafetensorsFileHasNoMetadata) {
  write_shard("model.safetensors", "a", 1.0F);
  const auto model = Checkpoint::open(folder_ / "model.safetensors");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->metadata(), Json::object());
  EXPECT_EQ(model->find("b"), nullptr);
  EXPECT_THAT(model->need("b").error().text(), testing::HasSubstr("no tensor 'b'"));
}

TEST_F(CheckpointFolder, WhatIsNoModelIsRefused) {
  write("notes.txt", "These are notes, not a model.");
  write("empty.gguf", "");
  EXPECT_THAT(why_not(folder_ / "notes.txt"), testing::HasSubstr("neither a GGUF nor a safetensors file"));
  EXPECT_THAT(why_not(folder_ / "empty.gguf"), testing::HasSubstr("neither"));
  EXPECT_EQ(Checkpoint::open(folder_ / "absent").error().code, Code::kNotFound);
}

TEST_F(CheckpointFolder, ATensorGivenTwiceInAGgufIsRefused) {
  std::string file = "GGUF";
  const auto put = [&](auto value) { file.append(reinterpret_cast<const char*>(&value), sizeof value); };
  put(uint32_t{3});
  put(uint64_t{2});
  put(uint64_t{0});
  for (const uint64_t offset : {0, 32}) {
    put(uint64_t{1});
    file += 'w';
    put(uint32_t{1});
    put(uint64_t{8});
    put(uint32_t{0});
    put(offset);
  }
  file.resize((file.size() + 31) / 32 * 32 + 64);
  write("m.gguf", file);
  EXPECT_THAT(why_not(folder_ / "m.gguf"), testing::HasSubstr("'w' is given twice"));
}

TEST_F(DefaultModels, Open) {
  const auto decoder = Checkpoint::open(smollm2());
  ASSERT_TRUE(decoder) << decoder.error().text();
  EXPECT_EQ(decoder->metadata()["tokenizer.ggml.tokens"].size(), 49152U);
  const auto encoder = Checkpoint::open(minilm());
  ASSERT_TRUE(encoder) << encoder.error().text();
  EXPECT_EQ(encoder->metadata()["model_type"], "bert");
}

}  // namespace
}  // namespace phial::formats

#include "phial/convert/merge_lora.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/model/golden_files.h"

namespace phial::convert {
namespace {

namespace fs = std::filesystem;
using model::golden;
using testing::HasSubstr;

fs::path adapter(const std::string& name) { return fs::path(PHIAL_TESTDATA) / "lora" / name; }

class MergeLora : public testing::Test {
 protected:
  void SetUp() override {
    place_ = fs::path(testing::TempDir()) /
             (std::string("phial_lora_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(place_);
    fs::create_directory(place_);
  }
  void TearDown() override { fs::remove_all(place_); }

  fs::path out() const { return place_ / "merged"; }
  // An adapter like that of `name` with other settings; null takes one away.
  fs::path changed(const std::string& name, const std::string& key, const Json& value) const {
    const fs::path folder = place_ / "adapter";
    fs::remove_all(folder);
    fs::copy(adapter(name), folder);
    Json config = *parse_json(*read_text_file(folder / "adapter_config.json"));
    config[key] = value;
    const std::string text = dump_json(config);
    EXPECT_TRUE(write_file_atomically(folder / "adapter_config.json", std::as_bytes(std::span(text))));
    return folder;
  }
  std::string why_not(const fs::path& base, const fs::path& adapter) const {
    const Status done = merge_lora(base, adapter, out(), {});
    EXPECT_EQ(fs::exists(out()), done.has_value());
    fs::remove_all(out());
    return done ? "it was merged" : done.error().text();
  }

  fs::path place_;
};

template <class T>
std::vector<T> values_named(const formats::Checkpoint& file, const char* name) {
  const formats::Tensor* tensor = file.find(name);
  if (tensor == nullptr) return {};
  std::vector<T> values(tensor->bytes.size() / sizeof(T));
  std::memcpy(values.data(), tensor->bytes.data(), tensor->bytes.size());
  return values;
}

TEST_F(MergeLora, LogitsAreThoseOfTheModelThatPeftMerges) {
  ThreadPool pool(2);
  for (const std::string name : {"phi3-mini-like", "llama-like"}) {
    SCOPED_TRACE(name);
    const Status merged = merge_lora(golden(name), adapter(name), out(), {});
    ASSERT_TRUE(merged) << merged.error().text();
    const auto expected = formats::Checkpoint::open(adapter(name) / "expected.safetensors");
    ASSERT_TRUE(expected);
    const auto ids = values_named<int32_t>(*expected, "ids");
    const auto wanted = values_named<float>(*expected, "logits");
    const auto decoder = model::load_model(out(), model::Precision::kExact, pool);
    ASSERT_NE(decoder, nullptr);
    const std::vector<float> found = model::run_all(*decoder, ids, spec::RopeTable::kShort);
    ASSERT_EQ(found.size(), wanted.size());
    float most = 0, size = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      most = std::max(most, std::abs(found[i] - wanted[i]));
      size = std::max(size, std::abs(wanted[i]));
    }
    EXPECT_LE(most, 1e-4F * size);
    EXPECT_TRUE(fs::exists(out() / "tokenizer_config.json"));
    fs::remove_all(out());
  }
}

TEST_F(MergeLora, WeightsKeepTheirType) {
  // The base model in BF16, by way of our own writer.
  const auto base = formats::Checkpoint::open(golden("phi3-mini-like"));
  ASSERT_TRUE(base);
  std::vector<formats::NewTensor> tensors;
  for (const formats::Tensor& tensor : base->tensors()) {
    tensors.push_back({.name = tensor.name,
                       .dtype = tensor::DType::kBF16,
                       .shape = tensor.shape,
                       .pieces = {{tensor.dtype, tensor.bytes.data(), tensor.elements()}}});
  }
  fs::create_directory(place_ / "base");
  fs::copy(golden("phi3-mini-like") / "config.json", place_ / "base");
  ASSERT_TRUE(formats::write_safetensors(place_ / "base/model.safetensors", std::move(tensors), {}));
  const Status merged = merge_lora(place_ / "base", adapter("phi3-mini-like"), out(), {});
  ASSERT_TRUE(merged) << merged.error().text();
  const auto after = formats::Checkpoint::open(out());
  ASSERT_TRUE(after);
  EXPECT_EQ(after->tensors().size(), base->tensors().size());
  for (const formats::Tensor& tensor : after->tensors()) EXPECT_EQ(tensor.dtype, tensor::DType::kBF16);
  EXPECT_FALSE(std::ranges::equal(
      after->find("model.layers.0.mlp.down_proj.weight")->bytes,
      formats::Checkpoint::open(place_ / "base")->find("model.layers.0.mlp.down_proj.weight")->bytes));
}

TEST_F(MergeLora, WhatItCannotMergeIsNamed) {
  const std::string name = "phi3-mini-like";
  EXPECT_THAT(why_not(golden(name), changed(name, "use_dora", true)), HasSubstr("'use_dora' is set"));
  EXPECT_THAT(why_not(golden(name), changed(name, "fan_in_fan_out", true)), HasSubstr("'fan_in_fan_out' is set"));
  EXPECT_THAT(why_not(golden(name), changed(name, "peft_type", "IA3")), HasSubstr("peft_type is 'IA3'"));
  EXPECT_THAT(why_not(golden(name), changed(name, "lora_alpha", "many")), HasSubstr("lora_alpha is no number"));
  EXPECT_THAT(why_not(golden(name), changed(name, "alpha_pattern", {{"q.*", 2}})), HasSubstr("the expression 'q.*'"));
  EXPECT_THAT(why_not(golden(name), adapter("llama-like")), HasSubstr("is of another model"));
  EXPECT_THAT(why_not(golden(name), golden(name)), HasSubstr("it has no adapter_config.json"));
  EXPECT_THAT(why_not(golden(name) / "model.gguf", adapter(name)), HasSubstr("is no Hugging Face folder"));
  const fs::path broken = changed(name, "r", 4);
  fs::resize_file(broken / "adapter_model.safetensors", 3000);
  EXPECT_THAT(why_not(golden(name), broken), HasSubstr((broken / "adapter_model.safetensors").string()));
  EXPECT_EQ(why_not(golden(name), changed(name, "r", 99)), "it was merged");  // the tensors tell their rank
}

}  // namespace
}  // namespace phial::convert

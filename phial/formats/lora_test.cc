#include "phial/formats/lora.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>

#include "phial/base/temp_folder_for_test.h"
#include "phial/formats/safetensors_writer.h"

namespace phial::formats {
namespace {

using tensor::DType;
using testing::HasSubstr;

// An adapter of one matrix, its two halves stored as `dtype`.
Result<LoraAdapter> opened(DType dtype) {
  const TempFolder folder;
  std::ofstream(folder.path() / "adapter_config.json") << R"({"peft_type": "LORA", "r": 1, "lora_alpha": 3})";
  constexpr std::array<float, 2> kNumbers = {0.5F, -2.0F};
  const auto* bytes = reinterpret_cast<const std::byte*>(kNumbers.data());
  std::vector<NewTensor> tensors(2);
  tensors[0] = {"base_model.model.one.lora_A.weight", dtype, {1, 2}, {{dtype, bytes, 2}}};
  tensors[1] = {"base_model.model.one.lora_B.weight", dtype, {2, 1}, {{dtype, bytes, 2}}};
  EXPECT_TRUE(write_safetensors(folder.path() / "adapter_model.safetensors", std::move(tensors), {}));
  return open_lora(folder.path());
}

TEST(Lora, AddsScaleTimesBTimesA) {
  const auto adapter = opened(DType::kF32);
  ASSERT_TRUE(adapter) << adapter.error().text();
  std::array<float, 2> row = {1, 1};
  adapter->added.at("one.weight").add_to(row, 1, 0);
  EXPECT_EQ(row, (std::array<float, 2>{1 + 3 * -2.0F * 0.5F, 1 + 3 * -2.0F * -2.0F}));
}

TEST(Lora, NumbersThatAreNoWeightsAreRefused) {
  const auto adapter = opened(DType::kI32);
  ASSERT_FALSE(adapter);
  EXPECT_EQ(adapter.error().code, Code::kCorrupt);
  EXPECT_THAT(adapter.error().message, HasSubstr("lora_A.weight' is stored as"));
}

}  // namespace
}  // namespace phial::formats

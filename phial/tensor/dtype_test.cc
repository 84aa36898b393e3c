#include "phial/tensor/dtype.h"

#include <gtest/gtest.h>

namespace phial::tensor {
namespace {

TEST(DType, NamesAndGgufNumbersLeadBackToTheType) {
  for (int i = 0; i <= static_cast<int>(DType::kPhialQ3); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_from_name(info(dtype).name), dtype);
    if (info(dtype).gguf_id >= 0) {
      EXPECT_EQ(dtype_from_gguf(static_cast<uint32_t>(info(dtype).gguf_id)), dtype);
    }
  }
}

TEST(DType, WhatIsUnknownIsNothing) {
  EXPECT_EQ(dtype_from_gguf(4), std::nullopt);            // a type that was withdrawn
  EXPECT_EQ(dtype_from_gguf(0xFFFFFFFFU), std::nullopt);  // -1 is not a number of U8 or BOOL
  EXPECT_EQ(dtype_from_name("Q9_9"), std::nullopt);
  EXPECT_EQ(dtype_from_name(""), std::nullopt);
}

TEST(DType, BytesAreCountedInWholeBlocksAndNeverWrapAround) {
  EXPECT_EQ(bytes_of(DType::kF32, 3), 12U);
  EXPECT_EQ(bytes_of(DType::kQ4_0, 64), 36U);
  EXPECT_EQ(bytes_of(DType::kQ4_0, 63), std::nullopt);
  EXPECT_EQ(bytes_of(DType::kQ4_0, 0), 0U);
  EXPECT_EQ(bytes_of(DType::kF32, uint64_t{1} << 62), std::nullopt);
  EXPECT_EQ(bytes_of(DType::kF64, ~uint64_t{0}), std::nullopt);
}

TEST(DType, OnlyNumbersThatDecodeAreWeights) {
  EXPECT_TRUE(is_weight_type(DType::kF32));
  EXPECT_TRUE(is_weight_type(DType::kBF16));
  EXPECT_TRUE(is_weight_type(DType::kIQ4_XS));
  EXPECT_FALSE(is_weight_type(DType::kI32));
  EXPECT_FALSE(is_weight_type(DType::kF64));
  EXPECT_FALSE(is_weight_type(DType::kBool));
}

}  // namespace
}  // namespace phial::tensor

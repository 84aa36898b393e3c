#include "phial/model/slow_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "phial/tensor/dtype.h"

namespace phial::model {
namespace {

using tensor::DType;
using testing::HasSubstr;
using testing::IsEmpty;

// What is asked is only the type and the shape: the bytes are never looked at.
StoredRows rows_of(DType dtype, size_t rows, size_t cols) {
  StoredRows stored;
  stored.dtype = dtype;
  stored.rows = rows;
  stored.cols = cols;
  stored.row_bytes = *tensor::bytes_of(dtype, cols);
  return stored;
}

DecoderTensors model_of(const StoredRows& matrix, const StoredRows& head) {
  DecoderTensors tensors;
  tensors.head = {head};
  for (int i = 0; i < 3; ++i) {
    auto& layer = tensors.layers.emplace_back();
    layer.qkv = layer.output = layer.gate_up = layer.down = {matrix};
  }
  return tensors;
}

class SlowPaths : public testing::Test {
 protected:
  void SetUp() override {
    if (kernels::runnable().size() < 2) GTEST_SKIP() << "this machine has the scalar kernels only";
  }
  const kernels::KernelSet& best = *kernels::runnable().back();
};

// A type that loses its layout makes models slow without a word: this is where it is noticed.
TEST_F(SlowPaths, TypesWithALayoutOfTheirOwnHaveNone) {
  for (const DType dtype :
       {DType::kQ4_0, DType::kQ4_1, DType::kQ4_K, DType::kQ8_0, DType::kF16, DType::kBF16, DType::kF32}) {
    const StoredRows matrix = rows_of(dtype, 64, 256);
    EXPECT_THAT(slow_paths(model_of(matrix, matrix), Precision::kFast, best), IsEmpty()) << tensor::info(dtype).name;
  }
}

TEST_F(SlowPaths, ATypeThatIsWidenedIsToldWithItsCost) {
  const StoredRows matrix = rows_of(DType::kQ2_K, 64, 256);
  const auto paths = slow_paths(model_of(matrix, matrix), Precision::kFast, best);
  ASSERT_EQ(paths.size(), 1U);
  EXPECT_THAT(paths[0].what, HasSubstr("13 matrices are stored as Q2_K"));
  EXPECT_THAT(paths[0].what, HasSubstr("3.24 times their bytes"));
  EXPECT_TRUE(paths[0].matters);
}

TEST_F(SlowPaths, AHeadThatCostsLittleIsNoReasonToWarn) {
  const auto paths =
      slow_paths(model_of(rows_of(DType::kQ4_0, 4096, 256), rows_of(DType::kQ2_K, 64, 256)), Precision::kFast, best);
  ASSERT_EQ(paths.size(), 1U);
  EXPECT_THAT(paths[0].what, HasSubstr("1 matrix is stored as Q2_K"));
  EXPECT_FALSE(paths[0].matters);
}

TEST_F(SlowPaths, ExactPrecisionIsOneWhereTheModelIsTooLargeToUnpack) {
  const StoredRows small = rows_of(DType::kQ4_0, 64, 256), large = rows_of(DType::kQ4_0, 1 << 15, 1 << 14);
  EXPECT_THAT(slow_paths(model_of(small, small), Precision::kExact, best), IsEmpty());
  const auto paths = slow_paths(model_of(small, large), Precision::kExact, best);
  ASSERT_EQ(paths.size(), 1U);
  EXPECT_THAT(paths[0].what, HasSubstr("decoded anew for every use"));
  EXPECT_TRUE(paths[0].matters);
}

TEST_F(SlowPaths, TheScalarKernelsAreOne) {
  const StoredRows matrix = rows_of(DType::kQ4_0, 64, 256);
  const auto paths = slow_paths(model_of(matrix, matrix), Precision::kFast, *kernels::runnable().front());
  ASSERT_EQ(paths.size(), 1U);
  EXPECT_THAT(paths[0].what, HasSubstr(best.name));
  EXPECT_TRUE(paths[0].matters);
}

}  // namespace
}  // namespace phial::model

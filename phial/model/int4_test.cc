// AWQ and GPTQ folders through the whole network, and their matrices through packing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "phial/kernels/kernels.h"
#include "phial/model/golden_files.h"
#include "phial/model/matrix.h"
#include "phial/model/pack.h"

namespace phial::model {
namespace {

class Int4Folder : public testing::TestWithParam<std::string> {
 protected:
  std::filesystem::path folder() const { return golden("phi3-int4-like") / GetParam(); }
  // Ids and the logits that the weights give, computed in double precision by tools/make_int4_fixtures.py.
  std::vector<int32_t> ids() const {
    const auto expected = open_model(folder() / "expected.safetensors");
    const formats::Tensor& ids = *expected->find("ids");
    std::vector<int32_t> out(ids.elements());
    std::memcpy(out.data(), ids.bytes.data(), ids.bytes.size());
    return out;
  }
  std::vector<float> wanted() const {
    const auto expected = open_model(folder() / "expected.safetensors");
    const formats::Tensor& logits = *expected->find("logits");
    std::vector<float> out(logits.elements());
    tensor::decode_row(logits.dtype, logits.bytes.data(), 0, out);
    return out;
  }
};

TEST_P(Int4Folder, ExactLogitsAreThoseOfTheFormulas) {
  ThreadPool pool(2);
  const auto decoder = load_model(folder(), Precision::kExact, pool);
  ASSERT_NE(decoder, nullptr);
  EXPECT_LE(largest_difference(run_all(*decoder, ids()), wanted()), 1e-5);
}

TEST_P(Int4Folder, FastLogitsAreNear) {
  ThreadPool pool(2);
  const auto decoder = load_model(folder(), Precision::kFast, pool);
  ASSERT_NE(decoder, nullptr);
  EXPECT_LE(rms_difference(run_all(*decoder, ids()), wanted()), 0.1);
}

INSTANTIATE_TEST_SUITE_P(Layouts, Int4Folder, testing::Values("awq", "gptq", "gptq-act-order", "gptq-v2"),
                         [](const auto& layout) {
                           std::string name = layout.param;
                           std::erase(name, '-');
                           return name;
                         });

// A matrix of ten groups of 32 inputs and 24 outputs.
struct Parts {
  static constexpr size_t kInputs = 320, kOutputs = 24, kGroups = kInputs / 32;

  std::vector<uint32_t> levels = std::vector<uint32_t>(kInputs * kOutputs / 8);
  std::vector<uint32_t> zeros = std::vector<uint32_t>(kGroups * kOutputs / 8);
  std::vector<uint16_t> scales = std::vector<uint16_t>(kGroups * kOutputs);
  std::vector<int32_t> groups = std::vector<int32_t>(kInputs);
  tensor::Int4Matrix matrix;

  explicit Parts(tensor::Int4Matrix::Packing packing) {
    uint32_t state = 1;
    const auto next = [&] { return state = state * 1664525U + 1013904223U; };
    for (uint32_t& word : levels) word = next() ^ (next() >> 16);
    for (uint32_t& word : zeros) word = next() ^ (next() >> 16);
    for (uint16_t& scale : scales) scale = tensor::f32_to_f16(0.001F + static_cast<float>(next() >> 20) * 1e-6F);
    for (int32_t& group : groups) group = static_cast<int32_t>(next() >> 8) % static_cast<int32_t>(kGroups);
    matrix.packing = packing;
    matrix.inputs = kInputs;
    matrix.outputs = kOutputs;
    matrix.group_size = 32;
    matrix.levels = reinterpret_cast<const std::byte*>(levels.data());
    matrix.zeros = reinterpret_cast<const std::byte*>(zeros.data());
    matrix.scales = reinterpret_cast<const std::byte*>(scales.data());
  }
  StoredRows rows() const {
    StoredRows rows;
    rows.dtype = tensor::DType::kInt4;
    rows.rows = kOutputs;
    rows.cols = kInputs;
    rows.int4 = &matrix;
    return rows;
  }
};

// The furthest that a packed weight is from the stored one, in steps (scales) of the stored one.
double furthest_in_steps(const Parts& parts, Layout layout) {
  ThreadPool pool(1);
  const StoredRows rows = parts.rows();
  const Matrix matrix = *Matrix::make(rows, layout, pool);
  const auto& kernels = kernels::active();
  double furthest = 0;
  std::vector<float> row(Parts::kInputs), x(Parts::kInputs), y(Parts::kOutputs), scratch(matrix.scratch_floats(1));
  std::vector<kernels::Q8Block> blocks(Parts::kInputs / kernels::kBlock);
  for (size_t k = 0; k < Parts::kInputs; ++k) {  // a product with a unit vector is a column of weights
    std::fill(x.begin(), x.end(), 0.0F);
    x[k] = 127;
    kernels.quantize_q8(x.data(), blocks.size(), blocks.data());
    matrix.multiply(kernels, {nullptr, 0, blocks.data(), blocks.size()}, 1, 0, matrix.tile_rows(), y.data(), 0,
                    scratch);
    for (size_t n = 0; n < Parts::kOutputs; ++n) {
      rows.decode(n, 0, row);
      const float step = parts.matrix.scale(parts.matrix.group(k), n);
      furthest = std::max(furthest, std::fabs(static_cast<double>(y[n] / 127 - row[k]) / static_cast<double>(step)));
    }
  }
  return furthest;
}

TEST(Int4Pack, MatricesWithoutZeroPointsKeepEveryLevel) {
  for (const auto packing : {tensor::Int4Matrix::Packing::kAwq, tensor::Int4Matrix::Packing::kGptq}) {
    Parts parts(packing);
    std::fill(parts.zeros.begin(), parts.zeros.end(), 0x77777777U);
    EXPECT_EQ(fast_layout(parts.rows()), Layout::kQ4Min);
    parts.matrix.zero_offset = 1;
    ASSERT_EQ(fast_layout(parts.rows()), Layout::kQ4);
    EXPECT_LE(furthest_in_steps(parts, Layout::kQ4), 1e-4);
  }
}

TEST(Int4Pack, ZeroPointsCostAHundredthOfAStep) {
  for (const auto packing : {tensor::Int4Matrix::Packing::kAwq, tensor::Int4Matrix::Packing::kGptq}) {
    Parts parts(packing);
    ASSERT_EQ(fast_layout(parts.rows()), Layout::kQ4Min);
    EXPECT_LE(furthest_in_steps(parts, Layout::kQ4Min), 0.01);
  }
}

TEST(Int4Pack, ScatteredGroupsAreRoundedToEightBits) {
  Parts parts(tensor::Int4Matrix::Packing::kGptq);
  parts.matrix.groups = reinterpret_cast<const std::byte*>(parts.groups.data());
  ASSERT_EQ(fast_layout(parts.rows()), Layout::kQ8);
  EXPECT_LE(furthest_in_steps(parts, Layout::kQ8), 0.5);
  parts.matrix.groups = nullptr;
  parts.matrix.group_size = 48;  // a block of 32 spans two
  EXPECT_EQ(fast_layout(parts.rows()), Layout::kQ8);
}

}  // namespace
}  // namespace phial::model

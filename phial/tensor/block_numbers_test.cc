#include "phial/tensor/block_numbers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "phial/base/random.h"
#include "phial/tensor/blocks.h"
#include "phial/tensor/codebooks.h"

namespace phial::tensor {
namespace {

class EveryGrid : public testing::TestWithParam<DType> {};

int between(Random& random, int low, int high) {
  return low + static_cast<int>(random.below(static_cast<uint64_t>(high - low + 1)));
}

TEST_P(EveryGrid, ABlockOfAnyNumbersDecodesToThem) {
  const DType dtype = GetParam();
  const BlockGrid& grid = *grid_of(dtype);
  ASSERT_EQ(grid.block, info(dtype).block_size);
  Random random(7);
  for (int round = 0; round < 200; ++round) {
    BlockNumbers numbers;
    numbers.d = f32_to_f16(grid.levels.empty() ? static_cast<float>(random.uniform() * 0.1)
                                               : f8_to_f32(static_cast<uint8_t>(random.below(256))));
    const double sign = grid.has_min && grid.most_min == 1 && round % 2 == 1 ? -1 : 1;
    if (grid.has_min) numbers.dmin = f32_to_f16(static_cast<float>(sign * random.uniform() * 0.1));
    for (size_t g = 0; g < grid.block / grid.group; ++g) {
      const int least = grid.most_scale == 1 ? 1 : grid.scale_has_sign ? -grid.most_scale : 0;
      numbers.scales[g] = static_cast<int8_t>(between(random, least, grid.most_scale));
      if (grid.has_min) numbers.mins[g] = static_cast<uint8_t>(between(random, grid.most_min == 1, grid.most_min));
    }
    for (size_t k = 0; k < grid.block; ++k) {
      numbers.n[k] = grid.levels.empty() ? static_cast<int8_t>(between(random, grid.lowest, grid.highest))
                                         : grid.levels[random.below(grid.levels.size())];
    }
    std::vector<std::byte> block(info(dtype).block_bytes, std::byte{0xAA});
    write_block(dtype, numbers, block.data());
    std::vector<float> decoded(grid.block);
    decode_row(dtype, block.data(), 0, decoded);
    for (size_t k = 0; k < grid.block; ++k) {
      const size_t g = k / grid.group;
      const float product = numbers.step(g) * static_cast<float>(numbers.n[k]);
      ASSERT_EQ(decoded[k], product - numbers.offset(g)) << "weight " << k;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, EveryGrid,
                         testing::Values(DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,
                                         DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kPhialQ4, DType::kPhialQ3),
                         [](const auto& param) { return std::string(tensor::info(param.param).name); });

TEST(BlockNumbers, TypesThatCannotBeWrittenHaveNoGrid) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kQ2_K, DType::kQ3_K, DType::kIQ4_NL, DType::kInt4}) {
    EXPECT_EQ(grid_of(dtype), nullptr) << info(dtype).name;
  }
}

}  // namespace
}  // namespace phial::tensor

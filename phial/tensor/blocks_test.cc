#include "phial/tensor/blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/base/random.h"

namespace phial::tensor {
namespace {

// Stored vectors of one block type. Each file is a safetensors file; this room cannot see that format's reader, and its
// header is one JSON object.
class Vectors {
 public:
  explicit Vectors(const std::string& type)
      : file_(*MappedFile::open(std::string(PHIAL_TESTDATA) + "/quant/" + type + ".safetensors")) {
    std::memcpy(&header_size_, file_.bytes().data(), sizeof header_size_);
    header_ = *parse_json({reinterpret_cast<const char*>(file_.bytes().data()) + 8, header_size_});
  }
  std::span<const std::byte> bytes(const char* name) const {
    const auto begin = header_[name]["data_offsets"][0].get<size_t>();
    const auto end = header_[name]["data_offsets"][1].get<size_t>();
    return file_.bytes().subspan(8 + header_size_ + begin, end - begin);
  }
  std::vector<float> floats(const char* name) const {
    const auto from = bytes(name);
    std::vector<float> values(from.size() / sizeof(float));
    std::memcpy(values.data(), from.data(), from.size());
    return values;
  }

 private:
  MappedFile file_;
  uint64_t header_size_ = 0;
  Json header_;
};

void expect_same_bits(std::span<const float> found, std::span<const float> wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(bits_from_float(found[i]), bits_from_float(wanted[i])) << "weight " << i;
  }
}

class BlockType : public testing::TestWithParam<DType> {
 protected:
  DType dtype() const { return GetParam(); }
  Vectors vectors() const { return Vectors(std::string(info(dtype()).name)); }
  size_t block() const { return info(dtype()).block_size; }
};

TEST_P(BlockType, DecodesToTheReferencesBits) {
  const Vectors v = vectors();
  for (const auto& [stored, decoded] : {std::pair{"bytes", "decoded"}, std::pair{"random_bytes", "random_decoded"}}) {
    const std::vector<float> wanted = v.floats(decoded);
    std::vector<float> found(wanted.size());
    ASSERT_EQ(bytes_of(dtype(), wanted.size()), v.bytes(stored).size());
    decode_row(dtype(), v.bytes(stored).data(), 0, found);
    expect_same_bits(found, wanted);
  }
}

TEST_P(BlockType, APartOfARowDecodesAsItDoesWithinTheWhole) {
  const Vectors v = vectors();
  const std::vector<float> wanted = v.floats("decoded");
  std::vector<float> found(block());
  for (size_t first = 0; first < wanted.size(); first += block()) {
    decode_row(dtype(), v.bytes("bytes").data(), first, found);
    expect_same_bits(found, std::span(wanted).subspan(first, block()));
  }
}

class EncodedBlockType : public BlockType {};

TEST_P(EncodedBlockType, EncodesToTheReferencesBytes) {
  ASSERT_TRUE(can_encode(dtype()));
  const Vectors v = vectors();
  const std::vector<float> source = v.floats("source");
  std::vector<std::byte> found(v.bytes("bytes").size());
  encode_row(dtype(), source, found.data());
  EXPECT_EQ(std::memcmp(found.data(), v.bytes("bytes").data(), found.size()), 0);
}

const auto kSimple = testing::Values(DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0);
const auto kSearched = testing::Values(DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K,
                                       DType::kIQ4_NL, DType::kIQ4_XS);
std::string name_of(const testing::TestParamInfo<DType>& param) { return std::string(info(param.param).name); }

INSTANTIATE_TEST_SUITE_P(Simple, BlockType, kSimple, name_of);
INSTANTIATE_TEST_SUITE_P(Searched, BlockType, kSearched, name_of);
INSTANTIATE_TEST_SUITE_P(Simple, EncodedBlockType, kSimple, name_of);

TEST(Blocks, WeightsThatAreNotNumbersEncodeWithoutUndefinedBehaviour) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (const DType dtype :
       {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kPhialQ4, DType::kPhialQ3}) {
    for (const float odd : {nan, inf, -inf, 3e38F, 1e-45F, -0.0F}) {
      std::vector<float> weights(32, 1.0F);
      weights[5] = odd;
      std::vector<std::byte> stored(info(dtype).block_bytes);
      encode_row(dtype, weights, stored.data());
      decode_row(dtype, stored.data(), 0, weights);
    }
  }
}

TEST(Blocks, ABlockOfZerosStaysZero) {
  for (const DType dtype :
       {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kPhialQ4, DType::kPhialQ3}) {
    std::vector<float> weights(64, 0.0F);
    std::vector<std::byte> stored(*bytes_of(dtype, weights.size()));
    encode_row(dtype, weights, stored.data());
    std::vector<float> back(64, 1.0F);
    decode_row(dtype, stored.data(), 0, back);
    for (const float value : back) EXPECT_EQ(value, 0.0F) << info(dtype).name;
  }
}

// The largest error a block may make: half a step of its grid, plus the rounding of its scale to half precision (a
// relative 2^-11, of values up to the block's range). Q4_0 and Q5_0 have one level fewer on the side opposite the
// furthest weight, where the error reaches a whole step.
TEST(Blocks, EncodingErrsByAtMostAStepOfTheGrid) {
  struct Case {
    DType dtype;
    float steps, levels;
  };
  Random random(7);
  for (const auto& [dtype, steps, levels] :
       {Case{DType::kQ4_0, 1.0F, 8}, Case{DType::kQ4_1, 0.5F, 15}, Case{DType::kQ5_0, 1.0F, 16},
        Case{DType::kQ5_1, 0.5F, 31}, Case{DType::kQ8_0, 0.5F, 127}}) {
    for (int round = 0; round < 200; ++round) {
      std::vector<float> weights(32), back(32);
      for (float& w : weights) w = static_cast<float>(random.uniform() * 4 - 2);
      std::vector<std::byte> stored(info(dtype).block_bytes);
      encode_row(dtype, weights, stored.data());
      decode_row(dtype, stored.data(), 0, back);
      const bool signed_grid = dtype != DType::kQ4_1 && dtype != DType::kQ5_1;
      const float range = signed_grid ? 2.0F : 4.0F;
      const float bound = steps * range / levels + 4.0F * 0x1p-10F;
      for (size_t i = 0; i < 32; ++i) EXPECT_NEAR(back[i], weights[i], bound) << info(dtype).name;
    }
  }
}

TEST(Blocks, PlainTypesRoundTrip) {
  const std::vector<float> weights = {0.0F, -1.5F, 65504.0F, 0x1p-24F, 3.0F};
  for (const DType dtype : {DType::kF32, DType::kF16}) {
    std::vector<std::byte> stored(*bytes_of(dtype, weights.size()));
    encode_row(dtype, weights, stored.data());
    std::vector<float> back(3);
    decode_row(dtype, stored.data(), 2, back);
    expect_same_bits(back, std::span(weights).subspan(2));
  }
  std::vector<std::byte> stored(2);
  encode_row(DType::kBF16, std::vector<float>{-1.5F}, stored.data());
  std::vector<float> back(1);
  decode_row(DType::kBF16, stored.data(), 0, back);
  EXPECT_EQ(back[0], -1.5F);
}

}  // namespace
}  // namespace phial::tensor

// What the probes compute is right; how fast they are is for the person to read.
#include "phial/kernels/every_isa.h"

namespace phial::kernels {
namespace {

using Probes = EveryIsa;

TEST_P(Probes, EveryWayOfReadingReadsEveryWord) {
  constexpr size_t kWords = 8192;
  struct alignas(64) Line {
    uint32_t words[16];
  };
  std::vector<Line> lines(kWords / 16);
  auto* words = reinterpret_cast<uint32_t*>(lines.data());
  uint32_t wanted = 0;
  for (size_t i = 0; i < kWords; ++i) wanted += words[i] = static_cast<uint32_t>(random());
  for (int way = 0; way < kReadWays; ++way) EXPECT_EQ(isa.sum_words(words, kWords, way), wanted) << way;
}

TEST_P(Probes, EveryProductIsCountedAndComputed) {
  uint32_t total = 0;
  const uint64_t one = isa.multiply_bytes(1, &total);
  EXPECT_GT(one, 0U);
  EXPECT_EQ(total, 6 * one);
  EXPECT_EQ(isa.multiply_bytes(1000, &total), 1000 * one);
  EXPECT_EQ(total, 6000 * one);
}

PHIAL_EVERY_ISA(Probes);

}  // namespace
}  // namespace phial::kernels

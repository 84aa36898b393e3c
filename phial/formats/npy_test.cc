#include "phial/formats/npy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "phial/base/mapped_file.h"

namespace phial::formats {
namespace {

std::string written(std::span<const uint64_t> shape, std::span<const float> values) {
  const auto path = std::filesystem::path(testing::TempDir()) / "phial_npy_test.npy";
  EXPECT_TRUE(write_npy(path, shape, values));
  const std::string text = *read_text_file(path);
  std::filesystem::remove(path);
  return text;
}

TEST(Npy, TheHeaderIsNumpysOwnAndTheNumbersBeginAtAMultipleOf64) {
  const std::string file = written(std::vector<uint64_t>{2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(file.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(file.substr(10, 59), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
  EXPECT_EQ(file[127], '\n');
  ASSERT_EQ(file.size(), 128U + 24U);
  float last;
  std::memcpy(&last, file.data() + 148, sizeof last);
  EXPECT_EQ(last, 6.0F);
}

TEST(Npy, OneDimensionHasItsCommaAndNothingIsWrittenAsNothing) {
  EXPECT_NE(written(std::vector<uint64_t>{2}, std::vector<float>{1, 2}).find("'shape': (2,), }"), std::string::npos);
  EXPECT_EQ(written(std::vector<uint64_t>{0, 5}, {}).size(), 128U);
}

TEST(Npy, AFolderThatDoesNotExistIsAnError) {
  const auto status = write_npy("/nowhere/at/all/x.npy", std::vector<uint64_t>{0}, {});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace phial::formats

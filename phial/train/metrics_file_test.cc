#include "phial/train/metrics_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "phial/base/mapped_file.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;

std::string after_going_on(const std::string& before, uint64_t bytes) {
  const fs::path path = fs::temp_directory_path() /
                        ("phial-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
  std::ofstream(path, std::ios::binary | std::ios::trunc) << before;
  {
    auto file = MetricsFile::open(path, bytes);
    EXPECT_TRUE(file);
    EXPECT_TRUE(file->append({{"step", 9}}));
    EXPECT_EQ(file->bytes(), fs::file_size(path));
  }
  auto text = read_text_file(path);
  fs::remove(path);
  return text ? *text : "";
}

TEST(MetricsFile, WhatCameAfterTheSnapshotIsCutOff) {
  EXPECT_EQ(after_going_on("{\"step\":1}\n{\"step\":2}\n", 11), "{\"step\":1}\n{\"step\":9}\n");
}

// The system may lose what a snapshot knows of: the file ends inside a line.
TEST(MetricsFile, AFileThatIsShorterKeepsItsWholeLines) {
  EXPECT_EQ(after_going_on("{\"step\":1}\n{\"st", 100), "{\"step\":1}\n{\"step\":9}\n");
  EXPECT_EQ(after_going_on("{\"st", 100), "{\"step\":9}\n");
}

}  // namespace
}  // namespace phial::train

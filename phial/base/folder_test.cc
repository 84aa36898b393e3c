#include "phial/base/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "phial/base/temp_folder_for_test.h"

namespace phial {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;
using testing::UnorderedElementsAre;

TEST(Folder, ListsWhatLiesInIt) {
  const TempFolder folder;
  EXPECT_THAT(*list_folder(folder.path()), testing::IsEmpty());
  std::ofstream(folder / "a") << "text";
  std::ofstream(folder / ".hidden") << "text";
  fs::create_directory(folder / "within");
  fs::create_symlink("nowhere", folder / "dangling");
  EXPECT_THAT(*list_folder(folder.path()),
              UnorderedElementsAre(folder / "a", folder / ".hidden", folder / "within", folder / "dangling"));
}

TEST(Folder, ALinkIsWhatItPointsTo) {
  const TempFolder folder;
  fs::create_directory(folder / "within");
  fs::create_symlink("within", folder / "link");
  fs::create_symlink("nowhere", folder / "dangling");
  EXPECT_TRUE(is_there(folder / "link"));
  EXPECT_TRUE(is_folder(folder / "link"));
  EXPECT_FALSE(is_there(folder / "dangling"));
  EXPECT_FALSE(is_folder(folder / "dangling"));
}

// A file stands for a folder that nobody may read, which a test run by root could not make.
TEST(Folder, WhatCannotBeListedIsNamed) {
  const TempFolder folder;
  std::ofstream(folder / "file") << "text";
  EXPECT_TRUE(is_there(folder / "file"));
  EXPECT_FALSE(is_folder(folder / "file"));
  for (const fs::path& path : {folder / "missing", folder / "file"}) {
    const auto listed = list_folder(path);
    ASSERT_FALSE(listed);
    EXPECT_EQ(listed.error().code, Code::kIo);
    EXPECT_THAT(listed.error().text(),
                AllOf(StartsWith("cannot list the folder: "), HasSubstr(" (" + path.string() + "): ")));
  }
}

}  // namespace
}  // namespace phial

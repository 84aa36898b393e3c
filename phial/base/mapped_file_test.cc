#include "phial/base/mapped_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace phial {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("phial_files_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  fs::path folder_;
};

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST_F(Files, BothModesGiveTheFilesBytes) {
  const fs::path path = write("a", std::string("some\0bytes", 10));
  for (const LoadMode mode : {LoadMode::kMap, LoadMode::kCopy}) {
    const auto file = MappedFile::open(path, mode);
    ASSERT_TRUE(file) << file.error().text();
    EXPECT_EQ(text_of(*file), std::string("some\0bytes", 10));
    EXPECT_EQ(file->path(), path);
  }
}

TEST_F(Files, AnEmptyFileHasNoBytes) {
  const fs::path path = write("empty", "");
  for (const LoadMode mode : {LoadMode::kMap, LoadMode::kCopy}) {
    const auto file = MappedFile::open(path, mode);
    ASSERT_TRUE(file);
    EXPECT_TRUE(file->bytes().empty());
  }
  EXPECT_EQ(*read_text_file(path), "");
}

TEST_F(Files, AMovedFileKeepsItsBytesAndTheOtherHasNone) {
  auto first = *MappedFile::open(write("a", "first"));
  auto second = *MappedFile::open(write("b", "second"));
  second = std::move(first);
  EXPECT_EQ(text_of(second), "first");
  EXPECT_TRUE(first.bytes().empty());  // NOLINT(bugprone-use-after-move): what is left is what is tested
}

TEST_F(Files, WhatACopyHoldsDoesNotChangeWithTheFile) {
  const fs::path path = write("a", "before");
  const auto file = *MappedFile::open(path, LoadMode::kCopy);
  ASSERT_TRUE(file.hold(file.bytes()));
  write("a", "after!");
  EXPECT_EQ(text_of(file), "before");
}

// Bytes of [begin, end) that are memory of the program itself, and not pages of the file.
size_t own_bytes(std::span<const std::byte> part) {
  std::ifstream maps("/proc/self/smaps");
  const auto begin = reinterpret_cast<uintptr_t>(part.data()), end = begin + part.size();
  bool is_inside = false;
  size_t kilobytes = 0;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t from = 0, to = 0;
    size_t found = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) is_inside = from >= begin && to <= end;
    if (is_inside && std::sscanf(line.c_str(), "Anonymous: %zu kB", &found) == 1) kilobytes += found;
  }
  return kilobytes * 1024;
}

TEST_F(Files, ACopyHoldsWhatItIsToldToAndNothingElse) {
  std::string text(size_t{1} << 20, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 + i / 4096);
  const fs::path path = write("a", text);
  const auto file = *MappedFile::open(path, LoadMode::kCopy);
  EXPECT_EQ(own_bytes(file.bytes()), 0U);
  for (size_t first = 5000; first < text.size(); first += 100000) {  // one part after the other, as tensors are packed
    const auto part = file.bytes().subspan(first, std::min<size_t>(100000, text.size() - first));
    ASSERT_TRUE(file.hold(part));
    EXPECT_GE(own_bytes(file.bytes()), part.size());
    EXPECT_EQ(text_of(file), text);
    file.forget(part);
  }
  EXPECT_EQ(text_of(file), text);
  EXPECT_LE(own_bytes(file.bytes()), size_t{22} * 4096);  // the pages that two parts share
}

TEST_F(Files, AMapHoldsNothing) {
  const auto file = *MappedFile::open(write("a", "some text"));
  EXPECT_TRUE(file.hold(file.bytes()));
  EXPECT_EQ(own_bytes(file.bytes()), 0U);
}

TEST_F(Files, HoldingPartOfAFileThatBecameShorterIsAnError) {
  const fs::path path = write("a", std::string(20000, 'x'));
  const auto file = *MappedFile::open(path, LoadMode::kCopy);
  fs::resize_file(path, 100);
  const Status held = file.hold(file.bytes());
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code, Code::kIo);
  EXPECT_THAT(held.error().text(), HasSubstr("shorter"));
}

TEST_F(Files, ForgottenBytesStayReadable) {
  const std::string text(40000, 'x');
  const fs::path path = write("a", text);
  for (const LoadMode mode : {LoadMode::kMap, LoadMode::kCopy}) {
    const auto file = *MappedFile::open(path, mode);
    ASSERT_TRUE(file.hold(file.bytes()));
    file.forget(file.bytes());
    file.forget(file.bytes().subspan(100, 20000));
    file.forget({});
    file.forget(std::as_bytes(std::span(text)));  // another's memory is left alone
    EXPECT_EQ(text_of(file), text);
  }
}

TEST_F(Files, WhatIsMissingIsNotFoundByName) {
  const auto file = MappedFile::open(folder_ / "absent");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Code::kNotFound);
  EXPECT_THAT(file.error().text(), HasSubstr("absent"));
  EXPECT_EQ(read_text_file(folder_ / "absent").error().code, Code::kNotFound);
}

TEST_F(Files, FoldersDevicesAndPipesAreRefusedAtOnce) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  for (const fs::path& path : {folder_, fs::path("/dev/zero"), folder_ / "pipe"}) {
    const auto file = MappedFile::open(path);
    ASSERT_FALSE(file) << path;
    EXPECT_EQ(file.error().code, Code::kInvalid) << path;
  }
}

TEST_F(Files, ATextFileBeyondTheLimitIsToldWithBothSizes) {
  const auto text = read_text_file(write("a", "0123456789"), 9);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Code::kOutOfRange);
  EXPECT_THAT(text.error().text(), testing::AllOf(HasSubstr("10 bytes"), HasSubstr("9 are allowed")));
  EXPECT_EQ(*read_text_file(folder_ / "a", 10), "0123456789");
}

TEST_F(Files, AFileIsReplacedWholeAndNothingIsLeftBeside) {
  const fs::path path = write("a", "a much longer text than the new one");
  const std::string first = "new", second = " text";
  ASSERT_TRUE(write_file_atomically(path, {std::as_bytes(std::span(first)), std::as_bytes(std::span(second))}));
  EXPECT_EQ(*read_text_file(path), "new text");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(Files, ALinkStaysAndWhatItPointsToIsReplaced) {
  const fs::path path = write("a", "old");
  fs::create_symlink("a", folder_ / "link");
  const std::string text = "new";
  ASSERT_TRUE(write_file_atomically(folder_ / "link", std::as_bytes(std::span(text))));
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(*read_text_file(path), "new");
}

TEST_F(Files, APipeIsWrittenToAndNotReplaced) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  const std::string text = "text";
  EXPECT_TRUE(write_file_atomically(pipe, std::as_bytes(std::span(text))));
  char got[8] = {};
  EXPECT_EQ(::read(reader, got, sizeof got), 4);
  EXPECT_STREQ(got, "text");
  ::close(reader);
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(Files, WhereNothingCanBeWrittenTheReasonIsToldAndNothingIsLeft) {
  const std::string text = "text";
  const auto missing = write_file_atomically(folder_ / "no" / "a", std::as_bytes(std::span(text)));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_THAT(missing.error().message, testing::EndsWith("no/a)")) << "the file that was named, not one beside it";

  fs::create_directory(folder_ / "taken");
  EXPECT_FALSE(write_file_atomically(folder_ / "taken", std::as_bytes(std::span(text))));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace phial

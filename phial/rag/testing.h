// What this room's tests share: files in a folder that goes away, a library beside it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "phial/base/temp_folder_for_test.h"
#include "phial/rag/fake_embedder.h"
#include "phial/rag/ingest.h"
#include "phial/rag/sql.h"
#include "phial/rag/store.h"

namespace phial::rag {

inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// The error of a Result that should have none, for EXPECT_EQ(error_of(...), "").
template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "" : result.error().text();
}

// As a model that cuts pictures into tiles answers to one of 6000 x 1 pixels.
inline Status refuse_thin(const formats::Image& image) {
  if (image.width < 1000 * image.height) return ok();
  return Error{Code::kInvalid, "too long and thin to be seen", "cut it into pieces"};
}

inline IngestOptions test_options() {
  IngestOptions options;
  options.reader.program = PHIAL_FAKE_READER;
  options.reader.seconds = 20;
  options.readers = 2;
  return options;
}

// A library with `embedder`'s vectors beside a folder "docs".
class LibraryTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Store::open(folder / "library.db", embedder.identity());
    ASSERT_EQ(error_of(opened), "");
    store = *std::move(opened);
    std::filesystem::create_directories(docs());
  }
  std::filesystem::path docs() const { return folder / "docs"; }

  IngestReport add(const IngestOptions& options = test_options()) {
    const std::filesystem::path path = docs();
    auto report = ingest(*store, embedder, std::span(&path, 1), options, nullptr);
    EXPECT_EQ(error_of(report), "");
    return report ? *report : IngestReport{};
  }

  // As if the reader had told of a page without text in each document.
  void take_all_for_read_in_part() {
    const auto database = Database::open(folder / "library.db", 1000);
    ASSERT_EQ(error_of(database), "");
    EXPECT_EQ(error_of((*database)->exec("UPDATE contents SET warnings = 'no text on page 7'")), "");
  }

  TempFolder folder;
  FakeEmbedder embedder;
  std::unique_ptr<Store> store;
};

}  // namespace phial::rag

#include "phial/rag/ingest.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "phial/rag/retrieve.h"
#include "phial/rag/testing.h"
#include "phial/rag/watch.h"

namespace phial::rag {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Ingest : public LibraryTest {
 protected:
  std::vector<std::string> names() {
    std::vector<std::string> names;
    const auto files = store->files();
    for (const FileRecord& file : *files) names.push_back(file.path.substr(docs().string().size() + 1));
    return names;
  }
};

TEST_F(Ingest, SecondRunReadsNothingAgain) {
  write_file(docs() / "a.txt", "The kettle boils water.");
  write_file(docs() / "sub/b.txt", "The oven bakes bread.");
  EXPECT_EQ(add().added, 2);
  const int embedded = embedder.texts_embedded;
  const IngestReport again = add();
  EXPECT_EQ(again.unchanged, 2);
  EXPECT_EQ(again.added + again.changed + again.removed + again.linked, 0);
  EXPECT_EQ(embedder.texts_embedded, embedded);
}

TEST_F(Ingest, RenamedMovedCopiedAndTouchedFilesEmbedNothing) {
  write_file(docs() / "a.txt", "The kettle boils water.");
  write_file(docs() / "b.txt", "The oven bakes bread.");
  add();
  const int embedded = embedder.texts_embedded;
  std::filesystem::rename(docs() / "a.txt", docs() / "renamed.txt");
  std::filesystem::create_directories(docs() / "deep/er");
  std::filesystem::rename(docs() / "b.txt", docs() / "deep/er/b.txt");
  std::filesystem::copy(docs() / "renamed.txt", docs() / "copy.txt");
  const IngestReport report = add();
  EXPECT_EQ(report.linked, 3);
  EXPECT_EQ(report.removed, 2);
  EXPECT_EQ(embedder.texts_embedded, embedded);
  EXPECT_THAT(names(), ElementsAre("copy.txt", "deep/er/b.txt", "renamed.txt"));
  EXPECT_EQ(store->totals()->documents, 2);
  std::filesystem::last_write_time(docs() / "copy.txt", std::filesystem::file_time_type::clock::now());
  EXPECT_EQ(add().unchanged, 3);
  EXPECT_EQ(embedder.texts_embedded, embedded);
}

TEST_F(Ingest, FileThatTakesTheNameOfAMovedOneLeavesBothFindable) {
  write_file(docs() / "a.txt", "The kettle boils water.");
  add();
  std::filesystem::rename(docs() / "a.txt", docs() / "b.txt");
  write_file(docs() / "a.txt", "Something new altogether is here now.");
  const IngestReport report = add();
  EXPECT_EQ(report.changed, 1);
  EXPECT_EQ(report.linked, 1);
  EXPECT_EQ(store->totals()->documents, 2);
  EXPECT_EQ(store->totals()->failed_files, 0);
}

TEST_F(Ingest, ChangedAndDeletedFilesAreFollowed) {
  write_file(docs() / "a.txt", "The kettle boils water.");
  write_file(docs() / "b.txt", "The oven bakes bread.");
  add();
  write_file(docs() / "a.txt", "The kettle whistles.");
  std::filesystem::remove(docs() / "b.txt");
  const IngestReport report = add();
  EXPECT_EQ(report.changed, 1);
  EXPECT_EQ(report.removed, 1);
  Retriever retriever(*store, embedder);
  const auto found = retriever.search("oven bread", {});
  for (const Hit& hit : found->hits) EXPECT_THAT(hit.passage.text, testing::Not(HasSubstr("bread")));
  EXPECT_EQ(retriever.search("kettle", {})->hits.at(0).passage.text, "The kettle whistles.");
  EXPECT_EQ(store->totals()->documents, 1);
}

TEST_F(Ingest, FilesThatCannotBeReadAreToldOnceAndTheRestGoesOn) {
  write_file(docs() / "bad.txt", "REFUSE");
  write_file(docs() / "crash.txt", "CRASH");
  write_file(docs() / "lie.txt", "LIE");
  write_file(docs() / "babble.txt", "BABBLE");
  write_file(docs() / "empty.txt", "");
  write_file(docs() / "good.txt", "The oven bakes bread.");
  const IngestReport report = add();
  EXPECT_EQ(report.added, 1);
  ASSERT_EQ(report.problems.size(), 5U);
  for (const IngestProblem& problem : report.problems) {
    EXPECT_THAT(problem.message, HasSubstr(docs().string())) << problem.message;
    EXPECT_THAT(problem.message, testing::Not(HasSubstr("\n")));
  }
  const IngestReport again = add();
  EXPECT_TRUE(again.problems.empty());
  ASSERT_EQ(again.failed_before.size(), 5U);
  for (const IngestProblem& known : again.failed_before) EXPECT_THAT(known.message, HasSubstr(docs().string()));
  write_file(docs() / "bad.txt", "Now it is readable.");
  EXPECT_EQ(add().changed, 1);
}

TEST_F(Ingest, WhatWasReadInPartIsToldOnceAndReadAgainWhenAsked) {
  write_file(docs() / "scan.txt", "PARTIAL scan of the lease.\n\nThe deposit is 900 euros.");
  write_file(docs() / "other.txt", "PARTIAL scan of a receipt.\n\nThe lamp costs 30 euros.");
  const std::string scan = (docs() / "scan.txt").string();
  const IngestReport report = add();
  EXPECT_EQ(report.added, 2);
  ASSERT_EQ(report.problems.size(), 2U);
  std::vector<std::string> messages;
  for (const IngestProblem& problem : report.problems) {
    EXPECT_TRUE(problem.is_in_library);
    messages.push_back(problem.message);
  }
  EXPECT_THAT(messages, testing::Contains("read in part: no text on pages 3 to 9; page 12 is damaged (" + scan + ")"));
  EXPECT_EQ(report.machine_warning, "this kernel has no cage");
  const int64_t content = (*store->file(scan))->content_id;
  EXPECT_THAT(store->warnings()->at(content), ElementsAre("no text on pages 3 to 9", "page 12 is damaged"));

  EXPECT_TRUE(add().problems.empty());
  EXPECT_EQ(add().unchanged, 2);
  IngestOptions again = test_options();
  again.retry_failed = true;
  again.reader.languages = "deu";
  const IngestReport second = add(again);
  EXPECT_EQ(second.changed, 2);
  EXPECT_TRUE(second.problems.empty());
  EXPECT_TRUE(store->warnings()->empty());
  Retriever retriever(*store, embedder);
  EXPECT_THAT(retriever.search("deposit euros", {})->hits.at(0).passage.text, HasSubstr("900"));
  EXPECT_EQ(add(again).unchanged, 2);
}

TEST_F(Ingest, ASecondTryThatHasLessLeavesTheDocumentAsItWas) {
  write_file(docs() / "scan.txt", "PARTIAL scan of the lease.\n\nThe deposit is 900 euros.");
  IngestOptions german = test_options();
  german.reader.languages = "deu";
  add(german);
  take_all_for_read_in_part();
  IngestOptions again = test_options();
  again.retry_failed = true;
  const IngestReport report = add(again);
  EXPECT_EQ(report.unchanged, 1);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_THAT(report.problems[0].message, HasSubstr("stays as it was"));
  EXPECT_TRUE(report.problems[0].is_in_library);
  Retriever retriever(*store, embedder);
  EXPECT_THAT(retriever.search("deposit euros", {})->hits.at(0).passage.text, HasSubstr("900"));
}

TEST(ReadInPart, NamesTheFirstOfManyWarnings) {
  const std::vector<std::string> warnings = {"a", "b", "c", "d", "e", "f"};
  EXPECT_EQ(read_in_part(warnings), "read in part: a; b; c; d; and 2 more");
}

TEST_F(Ingest, ReaderThatHangsOrFloodsIsStopped) {
  write_file(docs() / "hang.txt", "HANG");
  write_file(docs() / "flood.txt", "FLOOD");
  IngestOptions options = test_options();
  options.reader.seconds = 0;
  options.reader.spare_seconds = 1;
  options.reader.max_output_bytes = 1 << 20;
  const IngestReport report = add(options);
  ASSERT_EQ(report.problems.size(), 2U);
}

TEST_F(Ingest, FileThatIsTooLargeIsNotReadAndTheLimitIsTold) {
  const std::string path = docs() / "large.txt";
  write_file(path, std::string(3 << 20, 'x'));
  IngestOptions options = test_options();
  options.reader.max_file_mb = 2;
  const IngestReport report = add(options);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_EQ(report.problems[0].message, "the file has 3 MiB, at most 2 are read (" + path + ")");
  EXPECT_EQ(report.problems[0].remedy, "split it");
}

TEST_F(Ingest, MissingReaderIsNamedWithTheRemedy) {
  write_file(docs() / "a.txt", "text");
  IngestOptions options = test_options();
  options.reader.program = folder / "nowhere";
  const IngestReport report = add(options);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_THAT(report.problems[0].message, HasSubstr("nowhere"));
  EXPECT_THAT(report.problems[0].remedy, HasSubstr("phial-reader"));
}

TEST_F(Ingest, MissingRootIsAnErrorAndForgetsNothing) {
  write_file(docs() / "a.txt", "text of a file");
  add();
  std::filesystem::rename(docs(), folder / "unplugged");
  const std::filesystem::path path = docs();
  const auto report = ingest(*store, embedder, std::span(&path, 1), test_options(), nullptr);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kNotFound);
  EXPECT_EQ(store->totals()->files, 1);
}

TEST_F(Ingest, StopsWhenAskedAndGoesOnWhereItStopped) {
  for (int i = 0; i < 300; ++i) write_file(docs() / (std::to_string(i) + ".txt"), "Text number " + std::to_string(i));
  std::stop_source stop;
  IngestOptions options = test_options();
  options.cancel = stop.get_token();
  const std::filesystem::path path = docs();
  const auto report = ingest(*store, embedder, std::span(&path, 1), options, [&](const IngestProgress& progress) {
    if (progress.files_done == 20) stop.request_stop();
  });
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kCancelled);
  const int64_t done = store->totals()->files;
  EXPECT_GE(done, 20);
  EXPECT_LT(done, 300);
  const IngestReport rest = add();
  EXPECT_EQ(rest.unchanged, done);
  EXPECT_EQ(rest.added, 300 - done);
}

TEST_F(Ingest, StopsInTheMiddleOfADocumentThatTakesLong) {
  write_file(docs() / "scan.pdf", "%PDF-1.7");
  const std::filesystem::path reader = folder / "slow-reader";
  const std::filesystem::path begun = folder / "begun";
  const std::filesystem::path ended = folder / "ended";
  write_file(reader, "#!/bin/sh\ntouch " + begun.string() + "\nsleep 30\ntouch " + ended.string() + "\n");
  std::filesystem::permissions(reader, std::filesystem::perms::owner_all);
  std::stop_source stop;
  IngestOptions options = test_options();
  options.reader.program = reader;
  options.cancel = stop.get_token();
  const std::jthread person([&] {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!std::filesystem::exists(begun) && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    stop.request_stop();
  });
  const std::filesystem::path path = docs();
  const auto report = ingest(*store, embedder, std::span(&path, 1), options, nullptr);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(ended));
  EXPECT_EQ(store->totals()->files, 0);
}

TEST_F(Ingest, ProgressCountsUpToTheTotal) {
  for (int i = 0; i < 30; ++i) write_file(docs() / (std::to_string(i) + ".txt"), "Text number " + std::to_string(i));
  IngestProgress last;
  const std::filesystem::path path = docs();
  ASSERT_TRUE(ingest(*store, embedder, std::span(&path, 1), test_options(), [&](const IngestProgress& progress) {
    EXPECT_GE(progress.files_done, last.files_done);
    EXPECT_LE(progress.files_done, progress.files_total);
    last = progress;
  }));
  EXPECT_EQ(last.files_done, 30U);
  EXPECT_EQ(last.bytes_done, last.bytes_total);
}

TEST_F(Ingest, HiddenIgnoredAndMachineMadeFilesAreLeftOut) {
  write_file(docs() / "keep.txt", "k1");
  write_file(docs() / ".hidden/x.txt", "h");
  write_file(docs() / "node_modules/m.txt", "m");
  write_file(docs() / ".gitignore", "*.log\nbuild/\n!important.log\n");
  write_file(docs() / "a.log", "l1");
  write_file(docs() / "important.log", "l2");
  write_file(docs() / "build/out.txt", "o");
  write_file(docs() / "sub/.phialignore", "secret*\n!secret-ok.txt\n");
  write_file(docs() / "sub/secret1.txt", "s1");
  write_file(docs() / "sub/secret-ok.txt", "s2");
  write_file(docs() / "secret2.txt", "s3");
  add();
  EXPECT_THAT(names(), ElementsAre("important.log", "keep.txt", "secret2.txt", "sub/secret-ok.txt"));
  IngestOptions options = test_options();
  options.scan.include = {"*.txt"};
  options.scan.exclude = {"sub"};
  const IngestReport report = add(options);
  EXPECT_EQ(report.removed, 2);
  EXPECT_THAT(names(), ElementsAre("keep.txt", "secret2.txt"));
}

TEST_F(Ingest, FileThatGoesWhileItIsReadIsNoProblem) {
  write_file(docs() / "a.txt", "The kettle boils water.");
  write_file(docs() / "vanish.txt", "VANISH");
  const IngestReport report = add();
  EXPECT_EQ(report.added, 1);
  EXPECT_TRUE(report.problems.empty());
  EXPECT_THAT(names(), ElementsAre("a.txt"));
}

TEST_F(Ingest, WhatIsNeitherFileNorFolderIsAnErrorAndIsNotWaitedFor) {
  const std::filesystem::path pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const std::filesystem::path& path : {pipe, std::filesystem::path("/dev/zero")}) {
    const auto report = ingest(*store, embedder, std::span(&path, 1), test_options(), nullptr);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().message, "it is neither a file nor a folder (" + path.string() + ")");
    EXPECT_EQ(report.error().remedy, "name a file or a folder");
  }
  // Beside one that is, it is a problem.
  write_file(docs() / "a.txt", "The kettle boils water.");
  const std::filesystem::path both[] = {pipe, docs()};
  const auto report = ingest(*store, embedder, both, test_options(), nullptr);
  ASSERT_EQ(error_of(report), "");
  EXPECT_EQ(report->added, 1);
  ASSERT_EQ(report->problems.size(), 1U);
  EXPECT_EQ(report->problems[0].path, pipe);
}

TEST_F(Ingest, LoopsOfLinksEnd) {
  write_file(docs() / "a/file.txt", "text");
  std::filesystem::create_directory_symlink(docs(), docs() / "a/loop");
  std::filesystem::create_directory_symlink(docs() / "a", docs() / "0-linked");
  std::filesystem::create_symlink("nowhere", docs() / "dangling");
  add();
  EXPECT_THAT(names(), ElementsAre("a/file.txt"));
}

TEST_F(Ingest, WatchFollowsWhatIsWrittenAnewMovedAndDeleted) {
  write_file(docs() / "a.txt", "The kettle boils water.");
  write_file(docs() / "b.txt", "The oven bakes bread.");
  std::stop_source stop;
  IngestOptions options = test_options();
  options.cancel = stop.get_token();
  const std::filesystem::path path = docs();
  IngestReport all;
  std::jthread writer;
  const Status status = watch(*store, embedder, std::span(&path, 1), options, nullptr, [&](const IngestReport& report) {
    all.changed += report.changed;
    all.linked += report.linked;
    all.removed += report.removed;
    if (report.added == 2) {
      writer = std::jthread([&] { write_file(docs() / "a.txt", "The kettle whistles now."); });
    } else if (report.changed == 1) {
      writer = std::jthread([&] { std::filesystem::rename(docs() / "a.txt", docs() / "moved.txt"); });
    } else if (report.linked == 1) {
      writer = std::jthread([&] { std::filesystem::remove(docs() / "b.txt"); });
    }
    if (names() == std::vector<std::string>{"moved.txt"}) stop.request_stop();
  });
  EXPECT_EQ(error_of(status), "");
  EXPECT_EQ(all.changed, 1);
  EXPECT_EQ(all.linked, 1);
  EXPECT_EQ(all.removed, 2);  // the old name of what moved, and what was deleted
  EXPECT_EQ(store->totals()->files, 1);
}

TEST_F(Ingest, WatchFollowsChangesInNewFolders) {
  write_file(docs() / "a.txt", "The kettle boils water.");
  std::stop_source stop;
  IngestOptions options = test_options();
  options.cancel = stop.get_token();
  int reports = 0;
  const std::filesystem::path path = docs();
  std::jthread writer;
  const Status status = watch(*store, embedder, std::span(&path, 1), options, nullptr, [&](const IngestReport& report) {
    ++reports;
    if (reports == 1) {
      EXPECT_EQ(report.added, 1);
      writer = std::jthread([&] { write_file(docs() / "new/deeper/b.txt", "The oven bakes bread."); });
    } else if (store->totals()->files == 2) {
      stop.request_stop();
    }
  });
  EXPECT_EQ(error_of(status), "");
  EXPECT_EQ(store->totals()->files, 2);
}

}  // namespace
}  // namespace phial::rag

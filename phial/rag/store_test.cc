#include "phial/rag/store.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <thread>

#include "phial/base/random.h"
#include "phial/rag/ingest.h"
#include "phial/rag/lexical.h"
#include "phial/rag/retrieve.h"
#include "phial/rag/sql.h"
#include "phial/rag/testing.h"

namespace phial::rag {
namespace {

using testing::HasSubstr;

formats::ExtractedDocument document_of(const std::string& text) {
  formats::ExtractedDocument document;
  document.format = "text";
  document.text = text;
  return document;
}

// One document of a few passages under `name`.
Status put(Store& store, Embedder& embedder, const std::string& name, const std::string& text) {
  const auto document = document_of(text);
  const auto passages = chunk(document, {.max_tokens = 60, .max_context_tokens = 10, .max_passage_bytes = 400},
                              [&](std::string_view part) { return embedder.count_tokens(part); });
  std::vector<std::string> texts;
  for (const Passage& passage : passages) texts.push_back(embedding_text(passage, document.text));
  PHIAL_TRY(const auto vectors, embedder.embed(texts));
  return store.put_document(
      {.path = name, .size = 1, .mtime_ns = 1, .hash = "hash of " + text, .content_id = 0, .error = {}, .remedy = {}},
      document, passages, vectors);
}

std::string long_text(int number) {
  std::string text;
  for (int i = 0; i < 30; ++i)
    text += "Document " + std::to_string(number) + " has a sentence " + std::to_string(i) + ". ";
  return text;
}

// Every document that is in the library is there with all its passages, words and vectors.
void expect_whole(Store& store, FakeEmbedder& embedder) {
  const auto files = store.files();
  ASSERT_EQ(error_of(files), "");
  for (const FileRecord& file : *files) {
    const auto passages = store.passages_of(file.content_id);
    ASSERT_EQ(error_of(passages), "");
    std::string joined;
    for (const StoredPassage& passage : *passages) joined += passage.text + passage.gap;
    EXPECT_EQ("hash of " + joined + " ", file.hash);
  }
  VectorIndex index;
  ASSERT_EQ(error_of(index.refresh(store)), "");
  EXPECT_EQ(static_cast<int64_t>(index.size()), store.totals()->passages);
  Retriever retriever(store, embedder);
  EXPECT_EQ(error_of(retriever.search("document sentence", {})), "");
}

TEST(Store, KillDuringWritesLosesNothingThatWasDoneAndBreaksNothing) {
  TempFolder folder;
  FakeEmbedder embedder;
  const auto path = folder / "library.db";
  Random random(7);
  int64_t before = 0;
  for (int round = 0; round < 12; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      FakeEmbedder own;
      auto store = Store::open(path, own.identity());
      for (int i = 0; store && i < 100000; ++i) {
        if (!put(**store, own, std::to_string(round) + "/" + std::to_string(i), long_text(round * 100000 + i))) break;
        // The parent knows that this one was promised.
        if (write(ends[1], "x", 1) != 1) break;
      }
      _exit(1);
    }
    close(ends[1]);
    usleep(static_cast<useconds_t>(20000 + random.below(60000)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    int64_t promised = 0;
    for (char byte = 0; read(ends[0], &byte, 1) == 1;) ++promised;
    close(ends[0]);
    auto store = Store::open(path, embedder.identity());
    ASSERT_EQ(error_of(store), "");
    const int64_t now = (*store)->totals()->files;
    EXPECT_GE(now, before + promised);
    expect_whole(**store, embedder);
    before = now;
  }
  EXPECT_GT(before, 0);
}

TEST(Store, TwoProcessesWriteAtOnceAndBothSucceed) {
  TempFolder folder;
  const auto path = folder / "library.db";
  constexpr int kDocuments = 25;
  std::vector<pid_t> children;
  for (int process = 0; process < 3; ++process) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      FakeEmbedder own;
      auto store = Store::open(path, own.identity());
      bool good = store.has_value();
      for (int i = 0; good && i < kDocuments; ++i) {
        // Names differ, texts are the same: the second to come finds the document there.
        good = put(**store, own, std::to_string(process) + "-" + std::to_string(i), long_text(i)).has_value();
      }
      _exit(good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  FakeEmbedder embedder;
  const auto store = Store::open(path, embedder.identity());
  ASSERT_EQ(error_of(store), "");
  EXPECT_EQ((*store)->totals()->files, 3 * kDocuments);
  EXPECT_EQ((*store)->totals()->documents, kDocuments);
  expect_whole(**store, embedder);
}

TEST(Store, FullDiskIsACleanErrorAndWhatWasThereStays) {
  TempFolder folder;
  const auto path = folder / "library.db";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit small{.rlim_cur = 300 << 10, .rlim_max = 300 << 10};
    setrlimit(RLIMIT_FSIZE, &small);
    FakeEmbedder own;
    auto store = Store::open(path, own.identity());
    int put_count = 0;
    Status status = ok();
    for (; store && status && put_count < 5000; ++put_count)
      status = put(**store, own, std::to_string(put_count), long_text(put_count));
    const bool clean =
        !status && status.error().code == Code::kIo && status.error().message.find("library.db") != std::string::npos;
    _exit(clean && put_count > 1 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  FakeEmbedder embedder;
  auto store = Store::open(path, embedder.identity());
  ASSERT_EQ(error_of(store), "");
  EXPECT_GT((*store)->totals()->files, 0);
  expect_whole(**store, embedder);
  EXPECT_EQ(error_of(put(**store, embedder, "after", long_text(9999))), "");
}

TEST(Store, OtherEmbedderOtherSchemaAndForeignFilesAreRefusedWithTheRemedy) {
  TempFolder folder;
  FakeEmbedder embedder(64, "first");
  ASSERT_TRUE(Store::open(folder / "library.db", embedder.identity()));
  EXPECT_THAT(error_of(Store::open(folder / "library.db", {"first/128", 64})), HasSubstr("also called 'first'"));
  const auto other = Store::open(folder / "library.db", {"second", 64});
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("first"));
  EXPECT_FALSE(other.error().remedy.empty());

  write_file(folder / "text.db", std::string(5000, 'x'));
  const auto text = Store::open(folder / "text.db", embedder.identity());
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Code::kCorrupt);
  EXPECT_THAT(text.error().message, HasSubstr("text.db"));

  std::filesystem::create_directory(folder / "libraries");
  write_file(folder / "libraries/my work.db", std::string(5000, 'x'));
  EXPECT_THAT(error_of(Store::open_existing(folder / "libraries/my work.db")),
              HasSubstr("): 'phial library remove --library \"my work\"', then add the documents again"));

  const auto none = Store::open_existing(folder / "none.db");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(folder / "none.db"));
}

TEST(Store, DamagedFileIsAnErrorThatNamesItNeverACrash) {
  TempFolder folder;
  FakeEmbedder embedder;
  {
    auto store = Store::open(folder / "library.db", embedder.identity());
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(put(**store, embedder, std::to_string(i), long_text(i)));
  }
  const auto size = std::filesystem::file_size(folder / "library.db");
  Random random(11);
  int refused = 0;
  for (int round = 0; round < 30; ++round) {
    std::filesystem::copy_file(folder / "library.db", folder / "broken.db",
                               std::filesystem::copy_options::overwrite_existing);
    {
      std::fstream file(folder / "broken.db", std::ios::in | std::ios::out | std::ios::binary);
      for (int i = 0; i < 40; ++i) {
        file.seekp(static_cast<std::streamoff>(random.below(size)));
        file.put(static_cast<char>(random.below(256)));
      }
    }
    auto store = Store::open(folder / "broken.db", embedder.identity());
    if (!store) {
      ++refused;
      continue;
    }
    Retriever retriever(**store, embedder);
    const auto found = retriever.search("document sentence 7", {});
    if (!found) {
      ++refused;
      EXPECT_THAT(found.error().message, HasSubstr("broken.db"));
    }
    static_cast<void>((*store)->files());
  }
  EXPECT_GT(refused, 0);
}

TEST(Store, QuestionsCannotReachSqlOrTheQueryLanguage) {
  TempFolder folder;
  FakeEmbedder embedder;
  auto store = Store::open(folder / "library.db", embedder.identity());
  ASSERT_TRUE(put(**store, embedder, "a", "The kettle boils water AND the oven bakes bread. "));
  Retriever retriever(**store, embedder);
  for (const std::string& question :
       {std::string("\"; DROP TABLE files; --"), std::string("kettle\" OR \"x"), std::string("NEAR(kettle oven, 2)"),
        std::string("context : kettle"), std::string("kettle*"), std::string("^kettle - {a b} : oven"),
        std::string("'''\"\"\""), std::string("ke\0ttle", 7), std::string("\xff\xfe kettle \xc3"),
        std::string(100000, 'a'), std::string(), std::string("()"), std::string("AND OR NOT"),
        std::string("%_?1 @x :y $z")}) {
    EXPECT_EQ(error_of(retriever.search(question, {})), "") << question.substr(0, 40);
  }
  EXPECT_EQ((*store)->totals()->files, 1);
}

TEST(Store, RelatedWordsAreTheSameWithAndWithoutTheKeptList) {
  TempFolder folder;
  FakeEmbedder embedder;
  auto store = Store::open(folder / "library.db", embedder.identity());
  ASSERT_TRUE(put(**store, embedder, "a", "Die Donaudampfschifffahrt und das Dampfschiff. Ein Schiff im Hafen."));
  ASSERT_TRUE(put(**store, embedder, "b", "Das Dampfschiff und die Kaffeemaschine."));
  const std::vector<std::string> parts = {"dampfschiff", "donaudampfschifffahrt", "kaffeemaschinenreparatur", "zzz",
                                          ""};
  const auto related = [&](size_t at_most) { return *(*store)->related_words(parts, at_most); };
  const auto read = related(3);
  EXPECT_THAT(read, testing::Contains("donaudampfschifffahrt"));
  EXPECT_THAT(read, testing::Contains("dampfschiff"));
  EXPECT_THAT(read, testing::Contains("kaffeemaschin"));
  ASSERT_TRUE((*store)->refresh_word_list());
  EXPECT_EQ(related(3), read);
  auto again = Store::open(folder / "library.db", embedder.identity());
  EXPECT_EQ(*(*again)->related_words(parts, 3), read);

  // What comes after the list was kept is found before it is kept anew, and what went is not.
  ASSERT_TRUE(put(**store, embedder, "c", "Der Dampfschiffkapitaen."));
  const auto later = related(9);
  EXPECT_THAT(later, testing::Contains("dampfschiffkapitaen"));
  ASSERT_TRUE((*store)->refresh_word_list());
  EXPECT_EQ(related(9), later);
  ASSERT_TRUE((*store)->remove_files(std::vector<std::string>{"c"}));
  ASSERT_TRUE((*store)->remove_orphans());
  EXPECT_THAT(related(9), testing::Not(testing::Contains("dampfschiffkapitaen")));
}

TEST(Store, WordBoxesOfASpanComeBack) {
  TempFolder folder;
  FakeEmbedder embedder;
  auto store = Store::open(folder / "library.db", embedder.identity());
  auto document = document_of("one two three");
  document.words = {{0, 3, 1, 10, 20, 30.5F, 40}, {4, 7, 1, 35, 20, 50, 40}, {8, 13, 2, 10, 20, 60, 40}};
  const std::vector<Passage> passages = {{0, 13, 1, "", ""}};
  const std::vector<float> vectors(64, 0.125F);
  ASSERT_TRUE((*store)->put_document(
      {.path = "p", .size = 1, .mtime_ns = 1, .hash = "h", .content_id = 0, .error = {}, .remedy = {}}, document,
      passages, vectors));
  const auto boxes = (*store)->boxes(1, 4, 9);
  ASSERT_EQ(boxes->size(), 2U);
  EXPECT_EQ((*boxes)[1].page, 2);
  EXPECT_EQ((*boxes)[1].start, 8U);
  EXPECT_FLOAT_EQ((*(*store)->boxes(1, 0, 1))[0].right, 30.5F);
}

TEST(Store, LibraryNamesAreWordsNotPaths) {
  EXPECT_TRUE(library_path("/home", "my notes-2"));
  for (const char* name : {"", "../x", "a/b", ".hidden", "-x", "a\nb"})
    EXPECT_FALSE(library_path("/home", name)) << name;
}

// What version 1 of the schema lacks.
void make_version_1(const std::filesystem::path& path) {
  const auto database = Database::open(path, 1000);
  ASSERT_EQ(error_of(database), "");
  // version 2's, and version 3's with them
  ASSERT_EQ(error_of((*database)->exec("DROP TABLE figures; DROP TABLE descriptions; "
                                       "ALTER TABLE contents DROP COLUMN described_by; PRAGMA user_version = 1")),
            "");
}

TEST_F(LibraryTest, ALibraryWithoutFiguresIsBroughtUpAndKeepsItsDocuments) {
  ASSERT_EQ(error_of(put(*store, embedder, "/old.txt", long_text(1))), "");
  store.reset();
  make_version_1(folder / "library.db");
  auto opened = Store::open(folder / "library.db", embedder.identity());
  ASSERT_EQ(error_of(opened), "");
  expect_whole(**opened, embedder);
  EXPECT_EQ(*(*opened)->to_read_again("fake"), std::vector<int64_t>{});
  auto document = document_of("A chart of sales.");
  document.figures = {{0, 7, 3, 10, 20, 30, 40}, {2, 17, 4, 1, 2, 3, 4}};
  const std::vector<Passage> passages = {{.start = 0, .end = 17, .page = 3, .heading = "", .context = ""}};
  const auto vectors = embedder.embed(std::vector<std::string>{document.text});
  ASSERT_EQ(error_of((*opened)->put_document(
                {.path = "/new", .size = 1, .mtime_ns = 1, .hash = "x", .content_id = 0, .error = {}, .remedy = {}},
                document, passages, *vectors)),
            "");
  const int64_t content = *(*opened)->find_content("x");
  EXPECT_EQ(*(*opened)->figures(content, 0, 17), document.figures);
  EXPECT_EQ(*(*opened)->figures(content, 7, 9), std::vector{document.figures[1]});
  EXPECT_EQ(*(*opened)->figures(content, 17, 20), std::vector<formats::Figure>{});
}

TEST_F(LibraryTest, ALibraryThatDoesNotKnowItsPicturesIsBroughtUp) {
  write_file(docs() / "a.txt", "PICTURE abcdef\n\nWhat hangs in the hall.");
  add();
  ASSERT_EQ(error_of(store->put_description("picture", "fake", "Zebras.")), "");
  store.reset();
  {
    const auto database = Database::open(folder / "library.db", 1000);
    ASSERT_EQ(error_of((*database)->exec("ALTER TABLE figures DROP COLUMN picture; PRAGMA user_version = 2")), "");
  }
  auto opened = Store::open(folder / "library.db", embedder.identity());
  ASSERT_EQ(error_of(opened), "");
  EXPECT_EQ(*(*opened)->description("picture", "fake"), "Zebras.");
  const int64_t content = (*(*opened)->files())[0].content_id;
  EXPECT_EQ((*opened)->figures(content, 0, 14)->size(), 1U);
}

TEST_F(LibraryTest, WhatAnEarlierVersionReadWithoutFiguresIsReadAgainOnce) {
  write_file(docs() / "a.txt", "PICTURE abcdef\n\nWhat hangs in the hall.");
  write_file(docs() / "plain.txt", "Nothing hangs in the kitchen.");
  write_file(docs() / "photo.png", "REFUSE");
  EXPECT_EQ(add().problems.size(), 1U);
  store.reset();
  make_version_1(folder / "library.db");
  {
    const auto database = Database::open(folder / "library.db", 1000);
    ASSERT_EQ(error_of((*database)->exec("UPDATE contents SET format = 'pdf' WHERE id = "
                                         "(SELECT content_id FROM files WHERE path LIKE '%/a.txt')")),
              "");
  }
  auto opened = Store::open(folder / "library.db", embedder.identity());
  ASSERT_EQ(error_of(opened), "");
  store = *std::move(opened);
  IngestOptions without_reader = test_options();
  without_reader.reader.program = folder / "nowhere";
  EXPECT_EQ(add(without_reader).problems.size(), 2U);
  EXPECT_EQ(store->totals()->documents, 2);
  const IngestReport report = add();
  EXPECT_EQ(report.changed, 1);
  EXPECT_EQ(report.unchanged, 1);
  const int64_t content = (*store->file((docs() / "a.txt").string()))->content_id;
  EXPECT_EQ(store->figures(content, 0, 99)->size(), 1U);
  EXPECT_EQ(add().unchanged, 2);
}

TEST_F(LibraryTest, ALaterSchemaAndAnotherProgramsDatabaseAreLeftAlone) {
  store.reset();
  {
    const auto database = Database::open(folder / "library.db", 1000);
    ASSERT_EQ(error_of((*database)->exec("PRAGMA user_version = 99")), "");
  }
  EXPECT_THAT(error_of(Store::open(folder / "library.db", embedder.identity())), HasSubstr("made by a newer Phial"));
  {
    const auto other = Database::open(folder / "other.db", 1000);
    ASSERT_EQ(error_of((*other)->exec("CREATE TABLE theirs (a); PRAGMA user_version = 1")), "");
  }
  EXPECT_THAT(error_of(Store::open(folder / "other.db", embedder.identity())), HasSubstr("this file is no library"));
  const auto other = Database::open(folder / "other.db", 1000);
  EXPECT_THAT(error_of((*other)->prepare("SELECT * FROM figures")), HasSubstr("no such table"));
}

// A library in a folder that cannot be written.
class ReadOnlyLibrary : public LibraryTest {
 protected:
  // Nothing is closed to root, so root goes on as nobody.
  void SetUp() override {
    LibraryTest::SetUp();
    ASSERT_EQ(error_of(put(*store, embedder, "badgers.txt", "Badgers dig. ")), "");
    store.reset();
    if (getuid() != 0) return;
    std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
    const bool can_be_other = seteuid(kNobody) == 0 && std::ifstream(path()).good();
    ASSERT_EQ(seteuid(0), 0);
    if (!can_be_other) {
      GTEST_SKIP() << "nothing is read-only to root, and root may not become another user here, or that one may not "
                      "enter the folder for temporary files: run the test as an ordinary user";
    }
  }
  void close_to_writers() {
    std::filesystem::permissions(path(), std::filesystem::perms(0444));
    std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
    if (getuid() == 0) {
      ASSERT_EQ(seteuid(kNobody), 0);
    }
  }
  void TearDown() override {
    EXPECT_EQ(seteuid(getuid()), 0);
    std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  }
  std::filesystem::path path() const { return folder / "library.db"; }

  static constexpr uid_t kNobody = 65534;
};

TEST_F(ReadOnlyLibrary, IsSearched) {
  close_to_writers();
  const auto opened = Store::open(path(), embedder.identity());
  ASSERT_EQ(error_of(opened), "");
  Retriever retriever(**opened, embedder);
  const auto found = retriever.search("badgers", {});
  ASSERT_EQ(error_of(found), "");
  ASSERT_EQ(found->hits.size(), 1U);
  EXPECT_EQ(found->hits[0].path, "badgers.txt");
  EXPECT_FALSE(std::filesystem::exists(folder / "library.db-shm"));
}

TEST_F(ReadOnlyLibrary, WithoutFiguresIsSearchedAsItIs) {
  make_version_1(path());
  close_to_writers();
  const auto opened = Store::open(path(), embedder.identity());
  ASSERT_EQ(error_of(opened), "");
  const auto found = Retriever(**opened, embedder).search("badgers", {});
  ASSERT_EQ(error_of(found), "");
  EXPECT_EQ(found->hits.size(), 1U);
}

TEST_F(ReadOnlyLibrary, IsInStepWithDocumentsThatHaveNotChanged) {
  write_file(docs() / "a.txt", "The kettle boils water.");
  store = *Store::open(path(), embedder.identity());
  EXPECT_EQ(add().added, 1);
  store.reset();
  close_to_writers();
  store = *Store::open(path(), embedder.identity());
  const std::filesystem::path documents = docs();
  const auto again = ingest(*store, embedder, std::span(&documents, 1), test_options(), nullptr);
  ASSERT_EQ(error_of(again), "");
  EXPECT_EQ(again->unchanged, 1);
  EXPECT_EQ(error_of(store->put_root({"/elsewhere", "{}"})),
            "the library cannot be written (" + path().string() +
                "): make the file and its folder writable, or name another library");
}

TEST_F(ReadOnlyLibrary, TakesNothingMoreAndSaysWhy) {
  close_to_writers();
  const auto opened = Store::open(path(), embedder.identity());
  ASSERT_EQ(error_of(opened), "");
  EXPECT_EQ(error_of(put(**opened, embedder, "otters.txt", "Otters swim. ")),
            "the library cannot be written (" + path().string() +
                "): make the file and its folder writable, or name another library");
}

TEST_F(ReadOnlyLibrary, ThatSomebodyElseChangesMeanwhileIsNotCalledDamaged) {
  close_to_writers();
  const auto opened = Store::open(path(), embedder.identity());
  ASSERT_EQ(error_of(opened), "");
  ASSERT_EQ(seteuid(getuid()), 0);
  std::filesystem::permissions(path(), std::filesystem::perms(0644));
  std::filesystem::resize_file(path(), 4096);
  EXPECT_THAT(error_of((*opened)->roots()), HasSubstr("is damaged, or was changed while it was read"));
}

TEST_F(ReadOnlyLibrary, WithChangesThatNobodyTookInIsRefused) {
  write_file(path().string() + "-wal", "what a process left that was killed");
  close_to_writers();
  EXPECT_THAT(error_of(Store::open_existing(path())), HasSubstr("the last change is unfinished"));
}

TEST_F(ReadOnlyLibrary, MayHaveAnyName) {
  const auto odd = folder / "50% of #1?.db";
  std::filesystem::rename(path(), odd);
  std::filesystem::copy_file(odd, path());
  close_to_writers();
  EXPECT_EQ(error_of(Store::open_existing(odd)), "");
}

}  // namespace
}  // namespace phial::rag

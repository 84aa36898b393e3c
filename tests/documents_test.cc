// add, library and ask: from files on disk to citations.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>
#include <thread>

#include "phial/base/default_models_for_test.h"
#include "phial/base/json.h"
#include "tests/process.h"

namespace phial::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Documents : public DefaultModels {
 protected:
  void SetUp() override {
    DefaultModels::SetUp();
    home.write("lease.md",
               "# Lease\n\nThe lease of the workshop ends on 31 March 2031.\n\n## Notice\n\nThe notice period is six "
               "months, in writing.\n");
    home.write("garden.txt", "Tomatoes are watered every second evening. The compost lies behind the shed.\n");
    home.write("travel.html",
               "<html><body><h1>Travel</h1><p>Journeys above 500 euros are approved by Mrs Okafor.</p></body></html>");
  }
  std::string folder() const { return (home.path() / "files").string(); }
  std::vector<Json> lines(const std::string& text) {
    std::vector<Json> objects;
    size_t at = 0;
    while (at < text.size()) {
      const size_t end = std::min(text.find('\n', at), text.size());
      auto object = parse_json(text.substr(at, end - at));
      EXPECT_TRUE(object) << text;
      if (object) objects.push_back(*std::move(object));
      at = end + 1;
    }
    return objects;
  }

  Home home;
};

TEST_F(Documents, AreAddedOnceAndThenOnlyWhatChanged) {
  const Finished first = home.run({"add", folder(), "--json"});
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(lines(first.out)[0]["added"], 3);
  home.write("garden.txt", "Tomatoes are watered every morning.\n");
  std::filesystem::rename(home.path() / "files/travel.html", home.path() / "files/trips.html");
  const Finished again = home.run({"add", folder(), "--json"});
  const Json report = lines(again.out)[0];
  EXPECT_EQ(report["unchanged"], 1);
  EXPECT_EQ(report["changed"], 1);
  EXPECT_EQ(report["linked"], 1);
  EXPECT_THAT(home.run({"library", "list", "--names"}).out, "default\n");
  EXPECT_THAT(home.run({"library", "show"}).out, AllOf(HasSubstr("trips.html"), Not(HasSubstr("travel.html"))));
}

TEST_F(Documents, SearchPrintsCitationsBestFirst) {
  ASSERT_EQ(home.run({"add", folder()}).status, 0);
  const Finished found = home.run({"library", "search", "-k", "2", "--json", "how long is the notice period?"});
  ASSERT_EQ(found.status, 0) << found.err;
  const auto hits = lines(found.out);
  ASSERT_FALSE(hits.empty());
  EXPECT_LE(hits.size(), 2U);
  EXPECT_THAT(hits[0]["text"].get<std::string>(), HasSubstr("six months"));
  for (const char* field : {"n", "path", "title", "page", "heading", "start", "end", "text", "score"}) {
    EXPECT_TRUE(hits[0].contains(field)) << field;
  }
  EXPECT_TRUE(hits[0]["page"].is_null());
}

TEST_F(Documents, AreAskedWithCitations) {
  const Finished finished =
      home.run({"ask", "--docs", folder(), "--json", "--quote", "Who approves expensive journeys?"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto objects = lines(finished.out);
  ASSERT_EQ(objects.size(), 1U);
  const Json& answer = objects[0];
  EXPECT_TRUE(answer["answerable"].get<bool>());
  EXPECT_EQ(answer["mode"], "quoted");
  EXPECT_THAT(answer["answer"].get<std::string>(), HasSubstr("Okafor"));
  ASSERT_FALSE(answer["citations"].empty());
  EXPECT_THAT(answer["citations"][0]["path"].get<std::string>(), HasSubstr("travel.html"));
  for (const char* field : {"question", "model", "timings", "tokens"}) EXPECT_TRUE(answer.contains(field)) << field;
}

TEST_F(Documents, AreFilteredByPathAndDate) {
  ASSERT_EQ(home.run({"add", folder()}).status, 0);
  const auto paths = [&](std::vector<std::string> filter) {
    std::vector<std::string> words = {"library", "search", "--json",
                                      "approved journeys, and the notice period of the lease"};
    words.insert(words.end(), filter.begin(), filter.end());
    std::vector<std::string> found;
    for (const Json& hit : lines(home.run(words).out)) {
      found.push_back(std::filesystem::path(hit["path"].get<std::string>()).filename());
    }
    return found;
  };
  EXPECT_THAT(paths({}), testing::Contains("lease.md"));
  EXPECT_THAT(paths({"--path", "*.html"}), testing::ElementsAre("travel.html"));
  EXPECT_THAT(paths({"--until", "2001-12-31"}), IsEmpty());
  EXPECT_THAT(paths({"--since", "2001-12-31", "--path", "*.md"}), testing::Each("lease.md"));
}

TEST_F(Documents, AreFilteredByWholeDaysWhereClocksChange) {
  const auto changed_at = [&](const char* name, time_t seconds) {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (home.path() / "files" / name).c_str(), times, 0), 0);
  };
  changed_at("lease.md", 1730068200);     // 27 October 2024, 23:30, of a day of 25 hours
  changed_at("travel.html", 1711924200);  // 1 April 2024, 00:30, behind a day of 23
  ASSERT_EQ(home.run({"add", folder()}).status, 0);
  const auto found_until = [&](const char* day) {
    std::set<std::string> names;
    const Finished found = home.run({"library", "search", "--json", "--until", day, "journeys and the notice period"},
                                    {.environment = {"TZ=CET-1CEST,M3.5.0,M10.5.0/3"}});
    for (const Json& hit : lines(found.out)) {
      names.insert(std::filesystem::path(hit["path"].get<std::string>()).filename());
    }
    return names;
  };
  EXPECT_THAT(found_until("2024-03-31"), IsEmpty());
  EXPECT_THAT(found_until("2024-04-01"), testing::ElementsAre("travel.html"));
  EXPECT_THAT(found_until("2024-10-26"), testing::ElementsAre("travel.html"));
  EXPECT_THAT(found_until("2024-10-27"), testing::ElementsAre("lease.md", "travel.html"));
}

TEST_F(Documents, AreSearchedWithTheEmbedderThatIsNamed) {
  const std::string embedder = std::filesystem::canonical(home.path() / "models/all-MiniLM-L6-v2");
  std::filesystem::remove(home.path() / "models/all-MiniLM-L6-v2");
  EXPECT_EQ(home.run({"add", folder()}).status, 1);
  ASSERT_EQ(home.run({"add", folder(), "--embedder", embedder}).status, 0);
  const Finished found = home.run({"library", "search", "--embedder", embedder, "who approves journeys?"});
  EXPECT_THAT(found.out, HasSubstr("Okafor")) << found.err;
  // Another one's vectors would mean nothing.
  const std::filesystem::path other = home.path() / "other";
  std::filesystem::copy(embedder, other, std::filesystem::copy_options::recursive);
  const Finished refused = home.run({"library", "search", "--embedder", other.string(), "who approves journeys?"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("was made with another search model, 'all-MiniLM-L6-v2'"));
}

TEST_F(Documents, AreFollowedUntilCtrlC) {
  const Finished finished = home.run({"add", folder(), "--watch", "--json"}, {.signal_when = "following changes"});
  EXPECT_EQ(finished.status, 130) << finished.err;
  EXPECT_EQ(lines(finished.out).at(0)["added"], 3);
}

TEST_F(Documents, AreTalkedAboutAndAFollowUpIsUnderstood) {
  const Finished finished =
      home.run({"chat", "--docs", folder(), "--json", "--greedy", "-n", "24", "--quiet"},
               {.input = "When does the lease of the workshop end?\nAnd what is its notice period?\n"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto answers = lines(finished.out);
  ASSERT_EQ(answers.size(), 2U) << finished.out;
  EXPECT_THAT(answers[0]["answer"].get<std::string>(), AllOf(HasSubstr("2031"), HasSubstr("[1]")));
  EXPECT_THAT(answers[1]["answer"].get<std::string>(), AllOf(HasSubstr("six months"), HasSubstr("[1]")));
  EXPECT_THAT(answers[1]["searched"].get<std::string>(), HasSubstr("lease"));
}

TEST_F(Documents, AnAnswerForPeopleEndsInItsSources) {
  const Finished finished = home.run({"ask", "--docs", folder(), "--", "When does the lease of the workshop end?"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, AllOf(HasSubstr("2031"), HasSubstr("[1]"), HasSubstr("lease.md")));
  EXPECT_THAT(finished.err, HasSubstr("using the default model"));
}

TEST_F(Documents, RowsOfATableAreToldApart) {
  home.write("prices.csv", "Item,Price EUR,Delivery\nOak table,740,3 weeks\nPine shelf,129,5 days\n");
  const Finished one = home.run({"ask", "--docs", folder(), "--quote", "--", "What does the pine shelf cost?"});
  EXPECT_THAT(one.out,
              AllOf(HasSubstr("\"Item: Pine shelf; Price EUR: 129; Delivery: 5 days\""), Not(HasSubstr("740"))));
  const Finished none =
      home.run({"ask", "--docs", folder() + "/prices.csv", "--quote", "--", "Who founded the furniture shop?"});
  EXPECT_THAT(none.out, HasSubstr("Delivery: 3 weeks / Item: Pine shelf"));
}

TEST_F(Documents, AnAnswerOnATerminalBreaksBetweenWords) {
  const std::vector<std::string> words{"ask", "--docs", folder(), "--quote", "--", "What is the notice period?"};
  const std::string plain = home.run(words).out, narrow = home.run(words, {.output_columns = 40}).out;
  EXPECT_NE(plain, narrow);
  const auto words_of = [](const std::string& text) {
    std::istringstream in(text);
    return std::vector<std::string>(std::istream_iterator<std::string>(in), {});
  };
  EXPECT_EQ(words_of(plain), words_of(narrow));
  std::istringstream lines_of_it(narrow);
  for (std::string line; std::getline(lines_of_it, line);) {
    EXPECT_TRUE(line.size() <= 40 || line.find(' ', line.find_first_not_of(' ')) == std::string::npos) << line;
  }
}

TEST_F(Documents, WithoutAnyTheRemedyIsTold) {
  const Finished finished = home.run({"ask", "anything?"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("--docs"));
  EXPECT_THAT(home.run({"ask", "--library", "nothing", "anything?"}).err, HasSubstr("there is no library 'nothing'"));
  EXPECT_EQ(home.run({"ask", "--docs", "/nonexistent-folder", "anything?"}).status, 1);
  EXPECT_EQ(home.run({"ask", " "}).status, 2);
}

TEST_F(Documents, ThatCannotBeReadAreNamedAndTheRestGoesOn) {
  home.write("broken.pdf", "%PDF-1.4 this is no document");
  const Finished finished = home.run({"add", folder(), "--json"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const Json report = lines(finished.out)[0];
  EXPECT_EQ(report["added"], 3);
  ASSERT_EQ(report["problems"].size(), 1U);
  EXPECT_THAT(finished.err, HasSubstr("broken.pdf"));
}

TEST_F(Documents, ThatAreReadInPartAreAddedAndToldOnce) {
  const std::string scan = folder() + "/scan-askew.png", letter = folder() + "/letter.docx";
  std::filesystem::copy_file(testdata("docs/made/scan-askew.png"), scan);
  std::filesystem::copy_file(testdata("docs/docx/test_with_comment.docx"), letter);  // left out on purpose: not told
  // Of languages that are not there, so that nothing is recognised on any machine.
  const std::vector<std::string> words = {"add", scan, letter, "--ocr-languages", "none-such", "--json"};
  const Finished first = home.run(words);
  EXPECT_EQ(first.status, 0) << first.err;
  const Json report = lines(first.out).at(0);
  EXPECT_EQ(report["added"], 2);
  ASSERT_EQ(report["problems"].size(), 1U);
  EXPECT_EQ(report["problems"][0]["in_library"], true);
  EXPECT_THAT(first.err, AllOf(HasSubstr("phial: warning: read in part: text in the picture was not recognised"),
                               HasSubstr("(" + scan + ")"), Not(HasSubstr("letter.docx"))));
  EXPECT_THAT(home.run(words).err, Not(HasSubstr("read in part")));
  EXPECT_THAT(home.run({"library", "show"}).out, HasSubstr(scan + "  (read in part: text in the picture"));
  for (const Json& file : lines(home.run({"library", "show", "--json"}).out).at(0)["files"]) {
    EXPECT_EQ(file["warnings"].empty(), file["path"] == letter) << file;
    EXPECT_TRUE(file["error"].is_null()) << file;
  }
  const Finished again = home.run({"add", scan, letter, "--retry", "--json"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(lines(again.out).at(0)["changed"], 1) << again.out;
  const Finished asked =
      home.run({"ask", "--docs", scan, "--ocr-languages", "none-such", "--quote", "What is the letter about?"});
  EXPECT_THAT(asked.err, HasSubstr("read in part: text in the picture was not recognised"));
}

TEST_F(Documents, ThatAPersonNamesThemselvesAreAddedOrTheStatusIsOne) {
  const std::string broken = home.write("broken.pdf", "%PDF-1.4 this is no document");
  const std::string good = folder() + "/garden.txt";
  const Finished first = home.run({"add", good, broken, "--json"});
  EXPECT_EQ(first.status, 1);
  EXPECT_EQ(lines(first.out).at(0)["added"], 1);
  EXPECT_THAT(first.err, HasSubstr("phial: error: '" + broken + "' was not added"));
  // It is not tried again, and told again.
  const Finished second = home.run({"add", good, broken, "--json"});
  EXPECT_EQ(second.status, 1);
  const Json again = lines(second.out).at(0);
  EXPECT_EQ(again["failed_before"], 1);
  ASSERT_EQ(again["problems"].size(), 1U);
  EXPECT_EQ(again["problems"][0]["path"], broken);
  EXPECT_THAT(second.err, AllOf(HasSubstr("skipped: "), HasSubstr("(" + broken + ")")));
  const Finished missing = home.run({"add", good, folder() + "/nofile"});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, HasSubstr("nofile' was not added"));
  EXPECT_EQ(home.run({"add", good}).status, 0);
}

TEST_F(Documents, ThatFailedBeforeAreNamedWhenAskedAgain) {
  const std::string broken = home.write("broken.pdf", "%PDF-1.4 this is no document");
  for (int run = 0; run < 2; ++run) {
    const Finished some = home.run({"ask", "--docs", folder(), "--quote", "Who approves expensive journeys?"});
    EXPECT_EQ(some.status, 0);
    // Inside a folder it is named once, and then counted.
    EXPECT_THAT(some.err, HasSubstr(run == 0 ? "(" + broken + ")" : "skipped 1 file that could not be read before"));
    const Finished none = home.run({"ask", "--docs", broken, "--quote", "Who approves expensive journeys?"});
    EXPECT_EQ(none.status, 1);
    EXPECT_EQ(none.out, "");
    EXPECT_THAT(none.err, AllOf(HasSubstr("skipped: "), HasSubstr("none of the files could be read (" + broken + ")")));
  }
}

TEST_F(Documents, ThatAreNoFilesAreRefusedAndMakeNoLibrary) {
  const std::string pipe = folder() + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& path : {pipe, std::string("/dev/zero"), folder() + "/typo"}) {
    const Finished added = home.run({"add", path, "--library", "work"});
    EXPECT_EQ(added.status, 1);
    EXPECT_THAT(added.err, AllOf(HasSubstr(path), HasSubstr("name a file or")));
    EXPECT_EQ(home.run({"ask", "--docs", path, "--quote", "anything?"}).status, 1);
  }
  EXPECT_EQ(home.run({"add", pipe, folder() + "/typo"}).status, 1);
  EXPECT_EQ(home.run({"library", "list", "--names"}).out, "");
}

TEST_F(Documents, OfALibraryWithoutAnyNothingIsAsked) {
  std::filesystem::create_directory(home.path() / "empty");
  const std::string empty = (home.path() / "empty").string();
  ASSERT_EQ(home.run({"add", empty}).status, 0);
  const Finished asked = home.run({"ask", "--quote", "anything?"});
  EXPECT_EQ(asked.status, 1);
  EXPECT_EQ(asked.out, "");
  EXPECT_THAT(asked.err, AllOf(HasSubstr("the library 'default' holds no passages"), HasSubstr("phial add PATH")));
  EXPECT_THAT(home.run({"ask", "--docs", empty, "--quote", "anything?"}).err, HasSubstr("holds no documents"));
}

TEST_F(Documents, WithoutATitleAreCalledByTheirFileInASearchToo) {
  const std::string question = "When are tomatoes watered?";
  const Finished asked = home.run({"ask", "--docs", folder(), "--library", "work", "--quote", "--json", question});
  const Finished found = home.run({"library", "search", "--library", "work", "--json", question});
  ASSERT_EQ(found.status, 0) << found.err;
  const Json title = lines(found.out).at(0)["title"];
  EXPECT_NE(title, "");
  EXPECT_EQ(lines(asked.out).at(0)["citations"].at(0)["title"], title);
}

TEST_F(Documents, ThatAreClosedToThisUserAreNamed) {
  if (::geteuid() == 0) GTEST_SKIP() << "no file is closed to root: run the test as an ordinary user";
  std::filesystem::permissions(home.path() / "files/lease.md", std::filesystem::perms::none);
  EXPECT_THAT(home.run({"add", folder()}).err, HasSubstr("lease.md"));
}

TEST_F(Documents, AreAddedByTwoProcessesAtOnceAndAskedMeanwhile) {
  for (int i = 0; i < 40; ++i) {
    for (const char* part : {"one", "two"}) {
      home.write(std::string(part) + "/" + std::to_string(i) + ".txt",
                 "Shelf " + std::to_string(i) + " of room " + part + " holds ladders.\n");
    }
  }
  const Json lease = lines(home.run({"add", folder() + "/lease.md", "--json"}).out).at(0);
  Finished one, two, both, asked;
  {
    const std::jthread first([&] { one = home.run({"add", folder() + "/one"}); });
    const std::jthread second([&] { two = home.run({"add", folder() + "/two"}); });
    const std::jthread third([&] { both = home.run({"add", folder() + "/one", folder() + "/two"}); });
    asked = home.run({"ask", "--quote", "When does the lease of the workshop end?"});
  }
  for (const Finished& finished : {one, two, both, asked}) EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(asked.out, HasSubstr("2031"));
  const Json held = lines(home.run({"library", "show", "--json"}).out).at(0);
  EXPECT_EQ(held["files"].size(), 81U);
  EXPECT_EQ(held["documents"], 81);
  EXPECT_EQ(held["passages"].get<int>(), 80 + lease["passages"].get<int>());
}

TEST_F(Documents, KillingTheIndexerLosesNothing) {
  for (int i = 0; i < 300; ++i) {
    home.write("note" + std::to_string(i) + ".txt",
               "Note number " + std::to_string(i) + " is about badgers and ladders.\n");
  }
  const Finished killed =
      home.run({"add", folder()}, {.error_is_terminal = true, .signal_when = "100/303 files,", .signal = SIGKILL});
  ASSERT_EQ(killed.status, 128 + SIGKILL);
  // What was told as done before the kill is in the library, and what is in the library is not added again.
  const Json held = lines(home.run({"library", "show", "--json"}).out).at(0);
  const int kept = static_cast<int>(held["files"].size());
  EXPECT_GE(kept, 100);
  EXPECT_GE(held["passages"].get<int>(), kept);
  const Finished resumed = home.run({"add", folder(), "--json"});
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  const Json report = lines(resumed.out).at(0);
  EXPECT_EQ(report["unchanged"], kept);
  EXPECT_EQ(report["added"], 303 - kept);
  EXPECT_THAT(home.run({"library", "search", "-k", "1", "note 299 badgers"}).out, HasSubstr("badgers"));
}

TEST_F(Documents, ProgressIsForTerminalsOnly) {
  const auto seen = [&](bool terminal, std::vector<std::string> environment, const char* library) {
    return home
        .run({"add", folder(), "--library", library},
             {.environment = std::move(environment), .error_is_terminal = terminal})
        .err;
  };
  EXPECT_THAT(seen(true, {}, "a"), HasSubstr("files,"));
  EXPECT_THAT(seen(true, {"NO_COLOR=1"}, "b"), IsEmpty());
  EXPECT_THAT(seen(false, {}, "c"), IsEmpty());
}

TEST_F(Documents, ALibraryIsRemovedAndTheFilesStay) {
  ASSERT_EQ(home.run({"add", folder(), "--library", "work"}).status, 0);
  const std::string garden = folder() + "/garden.txt";
  EXPECT_EQ(lines(home.run({"library", "remove", "--library", "work", "--json", garden}).out),
            std::vector{Json({{"library", "work"}, {"files", {garden}}})});
  EXPECT_THAT(home.run({"library", "show", "--library", "work"}).out, Not(HasSubstr("garden.txt")));
  EXPECT_EQ(lines(home.run({"library", "remove", "--library", "work", "--json"}).out),
            std::vector{Json({{"library", "work"}, {"files", nullptr}})});
  EXPECT_THAT(home.run({"library", "list", "--names"}).out, "");
  EXPECT_TRUE(std::filesystem::exists(garden));
  EXPECT_EQ(home.run({"library", "remove", "--library", "work"}).status, 1);
}

}  // namespace
}  // namespace phial::tests

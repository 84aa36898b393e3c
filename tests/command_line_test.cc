// The command line itself: help, versions, mistakes, closed and full outputs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "tests/process.h"

namespace phial::tests {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

// One line, in the contract's form.
void expect_one_line_error(const Finished& finished, int status) {
  EXPECT_EQ(finished.status, status) << finished.err;
  EXPECT_THAT(finished.err, StartsWith("phial: error: "));
  EXPECT_EQ(std::ranges::count(finished.err, '\n'), 1) << finished.err;
  EXPECT_EQ(finished.out, "");
}

TEST(CommandLine, HelpListsEveryVerbAndEachVerbHasHelpWithAnExample) {
  const Home home;
  const Finished help = home.run({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* verb : {"tokenize", "logits", "models", "completions", "man"}) {
    EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + verb));
    const Finished own = home.run({verb, "--help"});
    EXPECT_EQ(own.status, 0) << verb;
    EXPECT_THAT(own.out, HasSubstr("Example:\n  phial "));
    EXPECT_EQ(own.err, "");
  }
}

TEST(CommandLine, TrainingWithoutItsProgramSaysWhereToGetIt) {
  if (std::filesystem::exists(std::filesystem::path(PHIAL_PROGRAM).parent_path() / "phial-train")) {
    GTEST_SKIP() << "phial-train stands beside this phial, which finds it: a build without PHIAL_TRAIN has none";
  }
  const Home home;
  for (const std::vector<std::string>& words : {std::vector<std::string>{"train"}, {"train", "pretrain", "--help"}}) {
    const Finished finished = home.run(words);
    expect_one_line_error(finished, 1);
    EXPECT_THAT(finished.err, HasSubstr("make train"));
  }
}

TEST(CommandLine, VersionNamesTheInstructionSets) {
  const Home home;
  const Finished version = home.run({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_THAT(version.out, HasSubstr("compiled in: scalar"));
  EXPECT_THAT(home.run({"--version"}, {.environment = {"PHIAL_ISA=scalar"}}).out, HasSubstr("chosen: scalar"));
}

TEST(CommandLine, AnInstructionSetThatDoesNotRunHereIsRefusedWithThoseThatDo) {
  const Home home;
  const auto with = [&](const std::string& set, const std::vector<std::string>& words) {
    return home.run(words, {.environment = {"PHIAL_ISA=" + set}});
  };
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--version"}, {"models", "list"}}) {
    const Finished unknown = with("avx9", words);
    expect_one_line_error(unknown, 2);
    EXPECT_THAT(unknown.err, HasSubstr("there is no instruction set 'avx9' (PHIAL_ISA): choose one of scalar"));
  }
  EXPECT_EQ(with("avx9", {"--help"}).status, 0);
  EXPECT_EQ(with("", {"--version"}).out, home.run({"--version"}).out);

  // The sets that are compiled in and cannot run here, if there are any.
  const std::string version = home.run({"--version"}).out;
  const size_t compiled = version.find("compiled in:"), runs = version.find("runs here:");
  std::istringstream names(version.substr(compiled + 12, runs - compiled - 12));
  const std::string runnable = version.substr(runs, version.find("chosen:") - runs - 1) + " ";
  for (std::string name; names >> name;) {
    if (runnable.find(" " + name + " ") != std::string::npos) continue;
    const Finished refused = with(name, {"--version"});
    expect_one_line_error(refused, 2);
    EXPECT_THAT(refused.err, HasSubstr("this machine cannot run the instruction set '" + name + "' (PHIAL_ISA)"));
  }
}

TEST(CommandLine, MistakesAreStatusTwoInOneLine) {
  const Home home;
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {},
           {"akk"},
           {"serve"},
           {"data"},
           {"models", "lst"},
           {"--nonsense"},
           {"tokenize", "--nonsense"},
           {"tokenize", "-p", "a", "-f", "b"},
           {"logits", "--ids", "1"},
           {"logits", "--out", "x.npy"},
           {"logits", "--ids", "1", "-p", "a", "--out", "x.npy"},
           {"logits", "--ids", "1", "--out", "x.npy", "--threads", "0"},
           {"logits", "--ids", "1", "--out", "x.npy", "--precision", "rough"},
           {"generate", "--ids", "1,x"},
           {"generate", "--ids", ""},
           {"generate", "-p"},
           {"logits", "--ids", "-1", "--out", "x.npy"},
           {"library", "search", " "},
           {"add", ""},
           {"add", "x", "--library", "../x"},
           {"add", "x", "--library", ""},
           {"ask", "--library", "../x", "why?"},
           {"chat", "--library", "../x"},
           {"library", "show", "--library", "../x"},
           {"library", "search", "--library", "../x", "words"},
           {"library", "remove", "--library", "../x"},
           {"models", "list", "--json=false"},
           {"generate", "-p", "a", "--top-p", "0"},
           {"embed", "hello"},
           {"models", "add"},
           {"completions", "tcsh"},
       }) {
    expect_one_line_error(home.run(words), 2);
  }
}

TEST(CommandLine, HelpForAVerbIsThatVerbsHelp) {
  const Home home;
  EXPECT_EQ(home.run({"help", "models", "add"}).out, home.run({"models", "add", "--help"}).out);
  expect_one_line_error(home.run({"help", "nothing"}), 2);
}

TEST(CommandLine, ABadValueIsToldWithWhatIsWanted) {
  const Home home;
  EXPECT_EQ(home.run({"generate", "-p"}).err, "phial: error: no value was given for --prompt: write --prompt TEXT\n");
  EXPECT_EQ(home.run({"generate", "-p", "a", "-n", "many"}).err,
            "phial: error: 'many' is no value for --max-tokens: give a whole number from 1 to 1048576\n");
}

TEST(CommandLine, ARemedyIsOneThatTheCommandHas) {
  const Home home;
  EXPECT_EQ(home.run({"embed", "hello"}).err,
            "phial: error: 'hello' is one word too many: give one of -f FILE and - (standard input)\n");
  EXPECT_EQ(home.run({"embed", "-f", "a", "-"}).err, "phial: error: two texts were given: give one of -f FILE and -\n");
  EXPECT_THAT(home.run({"tokenize", "-p", "a", "-f", "b"}).err, HasSubstr("give one of -p TEXT, -f FILE and -"));
  EXPECT_THAT(home.run({"add", "x", "--library", "../x"}).err, HasSubstr("'../x' cannot name a library"));
}

TEST(CommandLine, AGroupAloneLists) {
  const Home home;
  ASSERT_EQ(home.run({"models", "add", kModel, "--name", "tiny"}).status, 0);
  const Finished alone = home.run({"models"});
  EXPECT_EQ(alone.status, 0) << alone.err;
  EXPECT_EQ(alone.out, home.run({"models", "list"}).out);
  EXPECT_EQ(home.run({"library"}).status, 0);
}

TEST(CommandLine, AMisspeltVerbIsAnsweredWithTheNearest) {
  const Home home;
  EXPECT_THAT(home.run({"tokenise"}).err, HasSubstr("did you mean 'tokenize'?"));
  EXPECT_THAT(home.run({"serve"}).err, HasSubstr("this version has no 'serve'"));
}

TEST(CommandLine, AMissingModelIsNamedWithTheRemedy) {
  const Home home;
  const Finished finished = home.run({"tokenize", "--model", "nowhere.gguf", "-p", "a"});
  expect_one_line_error(finished, 1);
  EXPECT_THAT(finished.err, HasSubstr("(nowhere.gguf)"));
}

TEST(CommandLine, AClosedOrFullOutputIsAnErrorAndNoCrash) {
  const Home home;
  const Finished full = home.run({"--help"}, {.output_file = "/dev/full"});
  expect_one_line_error(full, 1);
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  expect_one_line_error(home.run({"--help"}, {.close_output = true}), 1);
}

TEST(CommandLine, AClosedOutputIsNeverTheNextOpenedFile) {
  const Home home;
  const auto out = home.write("logits.npy", "");
  const Finished finished =
      home.run({"logits", "--model", kModel, "--ids", "1", "--out", out.string()}, {.close_output = true});
  EXPECT_EQ(finished.status, 0) << finished.err;
}

TEST(CommandLine, CompletionsAreScriptsThatTheirShellReads) {
  const Home home;
  const Finished script = home.run({"completions", "bash"});
  ASSERT_EQ(script.status, 0);
  const auto file = home.write("phial.bash", script.out);
  EXPECT_EQ(std::system(("bash -n '" + file.string() + "'").c_str()), 0);
  EXPECT_THAT(home.run({"completions", "zsh"}).out, StartsWith("#compdef phial\n"));
  EXPECT_THAT(home.run({"completions", "fish"}).out, HasSubstr("complete -c phial"));
}

TEST(CommandLine, CompletionsOfferNamesAsTheyAreAndRunNoneOfThem) {
  const Home home;
  const auto script = home.write("phial.bash", home.run({"completions", "bash"}).out);
  const auto hacked = home.path() / "hacked";
  const std::string evil = "$(touch hacked).gguf";
  std::filesystem::create_directories(home.path() / "models");
  std::filesystem::create_symlink(kModel, home.path() / "models" / evil);
  const auto offered = [&](const std::string& words) {
    const auto out = home.path() / "offered";
    const std::string program = std::filesystem::path(PHIAL_PROGRAM).parent_path().string();
    const auto run = home.write("run.bash", "cd '" + home.path().string() + "'\nPATH='" + program +
                                                "':$PATH\nexport PHIAL_HOME=$PWD\n. '" + script.string() +
                                                "'\nCOMP_WORDS=(" + words +
                                                ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_phial\n"
                                                "printf '%s\\n' \"${COMPREPLY[@]}\" > offered\n");
    EXPECT_EQ(std::system(("bash '" + run.string() + "'").c_str()), 0);
    return *read_text_file(out);
  };
  EXPECT_EQ(offered("phial li"), "library\n");
  EXPECT_EQ(offered("phial library s"), "show\nsearch\n");
  EXPECT_EQ(offered("phial ask --max-t"), "--max-tokens\n");
  EXPECT_THAT(offered("phial generate --model ''"), HasSubstr(evil + "\n"));
  EXPECT_THAT(offered("phial perplexity files/ph"), HasSubstr("files/phial.bash\n"));
  EXPECT_THAT(offered("phial quantize ''"), HasSubstr(evil + "\n"));
  home.write("my file", "");
  // As the line editor hands words over: not yet unquoted.
  EXPECT_THAT(offered(R"(phial add 'files/my\ f')"), HasSubstr("my file\n"));
  EXPECT_THAT(offered(R"(phial generate --model '\$\(touch')"), HasSubstr(evil + "\n"));
  EXPECT_FALSE(std::filesystem::exists(hacked));
}

TEST(CommandLine, EveryVerbHasAManPage) {
  const Home home;
  EXPECT_THAT(home.run({"man"}).out, StartsWith(".TH PHIAL 1"));
  EXPECT_THAT(home.run({"man", "models", "add"}).out, StartsWith(".TH PHIAL\\-MODELS\\-ADD 1"));
  expect_one_line_error(home.run({"man", "nothing"}), 1);
}

TEST(CommandLine, EveryVerbTakesJson) {
  const Home home;
  const auto verbs = parse_json(home.run({"man", "--list", "--json"}).out);
  ASSERT_TRUE(verbs);
  ASSERT_GT((*verbs)["commands"].size(), 10U);
  for (const auto& verb : (*verbs)["commands"]) {
    const std::string path = verb.get<std::string>();
    std::vector<std::string> words{"help"};
    std::istringstream in(path);
    for (std::string word; in >> word;) words.push_back(word);
    EXPECT_THAT(home.run(words).out, HasSubstr("--json ")) << path;
  }
}

TEST(CommandLine, PagesAndScriptsComeInJsonToo) {
  const Home home;
  const auto page = parse_json(home.run({"man", "models", "add", "--json"}).out);
  const auto script = parse_json(home.run({"completions", "bash", "--json"}).out);
  ASSERT_TRUE(page && script);
  EXPECT_EQ((*page)["page"], home.run({"man", "models", "add"}).out);
  EXPECT_EQ((*script)["script"], home.run({"completions", "bash"}).out);
}

TEST(Models, AreAddedListedShownAndRemoved) {
  const Home home;
  EXPECT_EQ(home.run({"models", "add", kModel, "--name", "tiny"}).status, 0);
  EXPECT_THAT(home.run({"models", "list", "--names"}).out, HasSubstr("tiny.gguf\n"));
  const Finished shown = home.run({"models", "show", "tiny", "--json"});
  ASSERT_EQ(shown.status, 0) << shown.err;
  const auto told = parse_json(shown.out);
  ASSERT_TRUE(told);
  EXPECT_EQ((*told)["architecture"], "phi3");
  EXPECT_EQ((*told)["memory"].back()["context"], (*told)["context"]);
  EXPECT_GT((*told)["memory"].back()["bytes_f16"], (*told)["memory"].back()["bytes_q4"]);
  const std::string page = home.run({"models", "show", "tiny"}).out;
  for (const char* wanted :
       {"family        phi3, writes answers", "bits a weight", "\ntemplate", "\nlicence", "--kv f16"}) {
    EXPECT_THAT(page, HasSubstr(wanted));
  }
  // By name, whatever the case.
  EXPECT_EQ(home.run({"tokenize", "--model", "TINY", "-p", "a"}).status, 0);
  expect_one_line_error(home.run({"models", "add", kModel, "--name", "tiny"}), 1);
  EXPECT_EQ(home.run({"models", "remove", "tiny"}).status, 0);
  EXPECT_THAT(home.run({"tokenize", "--model", "tiny", "-p", "a"}).err, HasSubstr("no model is called 'tiny'"));
}

TEST(Models, TellInJsonWhatWasAddedConvertedAndRemoved) {
  const Home home;
  const auto object = [&](const std::vector<std::string>& words) {
    const Finished finished = home.run(words);
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_EQ(std::ranges::count(finished.out, '\n'), 1) << finished.out;
    return parse_json(finished.out).has_value() ? *parse_json(finished.out) : Json();
  };
  const std::string path = (home.path() / "models/tiny.gguf").string();
  const Json added = object({"models", "add", kModel, "--name", "tiny", "--json"});
  ASSERT_EQ(added["added"].size(), 1U);
  EXPECT_EQ(added["added"][0]["name"], "tiny.gguf");
  EXPECT_EQ(added["added"][0]["path"], path);
  EXPECT_EQ(added["added"][0]["bytes"], std::filesystem::file_size(kModel));
  const std::string folder = (home.path() / "tiny").string();
  EXPECT_EQ(object({"models", "convert", "tiny", folder, "--json"}),
            Json({{"in", path}, {"out", folder}, {"sees", false}, {"projector", nullptr}}));
  EXPECT_EQ(object({"models", "remove", "tiny", "--json"}), Json({{"name", "tiny.gguf"}, {"path", path}}));
}

TEST(Models, AFolderThatIsGoneIsStillListedAndCanBeRemoved) {
  const Home home;
  const auto folder = home.path() / "files/gone";
  std::filesystem::create_directories(folder);
  std::filesystem::create_directories(home.path() / "models");
  std::filesystem::create_directory_symlink(folder, home.path() / "models/gone");
  std::filesystem::remove(folder);
  EXPECT_THAT(home.run({"models", "list"}).out, HasSubstr("its file is gone"));
  EXPECT_THAT(home.run({"generate", "--model", "gone", "-p", "a"}).err, HasSubstr("models remove gone"));
  EXPECT_EQ(home.run({"models", "remove", "gone"}).status, 0);
  EXPECT_FALSE(std::filesystem::is_symlink(home.path() / "models/gone"));
}

TEST(Models, OnlyTheOneThatIsNamedIsRemoved) {
  const Home home;
  const std::string folder = testdata("golden/phi3-mini-like");
  for (const char* name : {"Phi-3.5", "Phi-3.gguf"}) {
    ASSERT_EQ(home.run({"models", "add", std::string(name).ends_with("gguf") ? kModel : folder, "--name", name}).status,
              0);
  }
  EXPECT_EQ(home.run({"models", "remove", "Phi-3"}).status, 0);
  EXPECT_EQ(home.run({"models", "remove", "Phi-3"}).status, 1);
  EXPECT_THAT(home.run({"models", "list", "--names"}).out, HasSubstr("Phi-3.5\n"));
}

TEST(Models, OneSafetensorsFileIsNoWholeModel) {
  const Home home;
  const Finished finished = home.run({"models", "add", testdata("golden/phi3-mini-like/model.safetensors")});
  expect_one_line_error(finished, 1);
  EXPECT_THAT(finished.err, HasSubstr("name its folder"));
}

TEST(Models, WeightsThatAreNoNumbersAreRefused) {
  const Home home;
  std::string bytes = *read_text_file(kModel);
  const uint32_t nan = 0x7FC00000;
  std::memcpy(bytes.data() + bytes.size() - 400, &nan, sizeof nan);  // in the last tensor, a layer's matrix
  const auto file = home.write("nan.gguf", bytes);
  for (const char* precision : {"fast", "exact"}) {
    const Finished finished =
        home.run({"generate", "--model", file.string(), "--ids", "1,2,3", "-n", "2", "--precision", precision});
    expect_one_line_error(finished, 1);
    EXPECT_THAT(finished.err, HasSubstr("not finite numbers"));
  }
}

TEST(Models, ATruncatedFileIsRefusedByName) {
  const Home home;
  const auto whole = std::filesystem::file_size(kModel);
  for (const auto bytes : {uintmax_t{0}, uintmax_t{3}, uintmax_t{100}, whole / 2, whole - 1}) {
    const auto file = home.write("cut.gguf", "");
    std::filesystem::copy_file(kModel, file, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(file, bytes);
    const Finished finished = home.run({"models", "add", file.string()});
    expect_one_line_error(finished, 1);
    EXPECT_THAT(finished.err, HasSubstr("cut.gguf"));
  }
}

}  // namespace
}  // namespace phial::tests

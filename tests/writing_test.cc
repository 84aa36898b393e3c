// generate, chat, perplexity, bench and embed, as scripts and people drive them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "phial/base/default_models_for_test.h"
#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "tests/process.h"

namespace phial::tests {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string comma_list(const Json& ids) {
  std::string list;
  for (const auto& id : ids) list += (list.empty() ? "" : ",") + std::to_string(id.get<int>());
  return list;
}

TEST(Generate, GreedyIdsEqualTheReferenceFromFolderAndGguf) {
  const Home home;
  const auto told = parse_json(*read_text_file(kFolder + "/expected.json"));
  ASSERT_TRUE(told);
  for (const auto& one : (*told)["cases"]) {
    for (const std::string& model : {kFolder, kModel}) {
      const Finished finished =
          home.run({"generate", "--model", model, "--ids", comma_list(one["prompt_ids"]), "--greedy", "--json",
                    "--precision", "exact", "--ignore-end", "-n", std::to_string(one["greedy_ids"].size())});
      ASSERT_EQ(finished.status, 0) << finished.err;
      const auto object = parse_json(finished.out);
      ASSERT_TRUE(object);
      EXPECT_EQ((*object)["ids"], one["greedy_ids"]);
      EXPECT_EQ((*object)["prompt_tokens"], one["prompt_ids"].size());
      EXPECT_EQ((*object)["stop"], "length");
      EXPECT_TRUE((*object)["timings"].is_object());
      EXPECT_TRUE((*object)["text"].is_string());
    }
  }
}

TEST(Generate, TheSameSeedGivesTheSameTokensWhateverTheThreads) {
  const Home home;
  const auto ids = [&](const char* threads, const char* seed) {
    const Finished finished = home.run({"generate", "--model", kModel, "--ids", "1,5,9", "-n", "8", "--temperature",
                                        "1.5", "--ignore-end", "--json", "--threads", threads, "--seed", seed});
    EXPECT_EQ(finished.status, 0) << finished.err;
    return (*parse_json(finished.out))["ids"];
  };
  EXPECT_EQ(ids("1", "7"), ids("3", "7"));
  EXPECT_NE(ids("1", "7"), ids("1", "8"));
}

TEST(Generate, NeedsOnePromptAndOnlyOne) {
  const Home home;
  EXPECT_EQ(home.run({"generate", "--model", kModel}).status, 2);
  EXPECT_EQ(home.run({"generate", "--model", kModel, "-p", "a", "--ids", "1"}).status, 2);
  EXPECT_EQ(home.run({"generate", "--model", kModel, "--ids", "1,x"}).status, 2);
}

TEST(Generate, APromptLongerThanTheContextIsAnErrorWithTheNumbers) {
  const Home home;
  const Finished finished =
      home.run({"generate", "--model", kModel, "--context", "16", "--ids", "1,2,3,4,5,6,7,8,9,10,11,12", "-n", "8"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("16"));
  EXPECT_THAT(finished.err, HasSubstr("12"));
  EXPECT_EQ(finished.out, "");
}

TEST(Generate, WithoutANumberItWritesWhatTheContextHolds) {
  const Home home;
  const Finished finished = home.run({"generate", "--model", kModel, "--ids", "1,2,3", "--ignore-end", "--json"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ((*parse_json(finished.out))["ids"].size(), 125U);  // 128 less the prompt
  EXPECT_EQ(home.run({"generate", "--model", kModel, "--ids", "1,2,3", "-n", "126"}).status, 1);
}

TEST(Generate, ReadsItsPromptFromAPipeThatIsNamed) {
  const Home home;
  const RunOptions options{.input = "1 2 3\n"};
  const auto ids = [&](const char* list) {
    const Finished finished =
        home.run({"generate", "--model", kModel, "--ids", list, "-n", "4", "--greedy", "--json"}, options);
    EXPECT_EQ(finished.status, 0) << finished.err;
    return (*parse_json(finished.out))["ids"];
  };
  EXPECT_EQ(ids("@/dev/stdin"), ids("1,2,3"));
  EXPECT_EQ(home.run({"perplexity", "--model", kModel, "/dev/stdin"}, {.input = "some text of many words"}).status, 0);
}

TEST(Generate, TakesInvalidUtf8AndAnswersInValidUtf8) {
  const Home home;
  const Finished finished = home.run({"generate", "--model", kModel, "-n", "4", "--json", "-"}, {.input = "a\xff\xc3"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_TRUE(parse_json(finished.out));
}

TEST_F(DefaultModels, CtrlCEndsGenerationWith130) {
  const Home home;
  const Finished finished = home.run({"generate", "-p", "Count from one to a thousand: one two", "-n", "3000",
                                      "--ignore-end", "--greedy", "--stop", "\x01"},
                                     {.signal_when = " "});
  EXPECT_EQ(finished.status, 130) << finished.err;
  EXPECT_THAT(finished.out, Not(IsEmpty()));
  EXPECT_THAT(finished.err, Not(HasSubstr("error")));
}

TEST(Generate, APromptCacheSavesALaterRunWhatItHasInCommon) {
  const Home home;
  const std::string cache = (home.path() / "prompts").string();
  std::string prompt = "1";
  for (int i = 0; i < 80; ++i) prompt += "," + std::to_string(5 + i % 50);
  const auto object = [&](const std::string& ids, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"generate", "--model", kModel,     "--ids",        ids,
                                      "-n",       "8",       "--greedy", "--ignore-end", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished finished = home.run(words);
    EXPECT_EQ(finished.status, 0) << finished.err;
    return *parse_json(finished.out);
  };
  EXPECT_EQ(object(prompt, {"--prompt-cache", cache})["reused_tokens"], 0);
  const Json later = object(prompt + ",9,9", {"--prompt-cache", cache}), plain = object(prompt + ",9,9", {});
  EXPECT_EQ(later["reused_tokens"], 81);
  EXPECT_EQ(later["ids"], plain["ids"]);
}

TEST(Generate, AFileThatIsNoPromptCacheStaysAsItIs) {
  const Home home;
  const std::string diary = home.write("diary.txt", "Dear diary").string();
  for (const std::string& file : {diary, home.path().string(), std::string("/dev/full")}) {
    const Finished finished =
        home.run({"generate", "--model", kModel, "--ids", "1,5,9", "-n", "2", "--prompt-cache", file});
    EXPECT_EQ(finished.status, 1);
    EXPECT_EQ(std::ranges::count(finished.err, '\n'), 1) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(file));
    EXPECT_THAT(finished.out, IsEmpty());
  }
  EXPECT_EQ(*read_text_file(diary), "Dear diary");
}

TEST(Generate, AFullDiskIsToldInOneLine) {
  const Home home;
  const Finished finished =
      home.run({"generate", "--model", kModel, "--ids", "1", "-n", "4"}, {.output_file = "/dev/full"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("No space left on device"));
}

TEST(Perplexity, IsOneNumberOrOneObject) {
  const Home home;
  const auto text = home.write("text.txt", "the quick brown fox jumps over the lazy dog, again and again and again");
  const Finished number = home.run({"perplexity", "--model", kModel, "--context", "16", text.string()});
  ASSERT_EQ(number.status, 0) << number.err;
  const auto object =
      parse_json(home.run({"perplexity", "--model", kModel, "--context", "16", "--json", text.string()}).out);
  ASSERT_TRUE(object);
  const double value = (*object)["perplexity"].get<double>();
  EXPECT_NEAR(std::stod(number.out), value, 1e-3 * value);
  EXPECT_NEAR(value, std::exp((*object)["nll_sum"].get<double>() / (*object)["scored"].get<double>()), 1e-6 * value);
  EXPECT_EQ(home.run({"perplexity", "--model", kModel, "/nonexistent"}).status, 1);
  const std::string empty = home.write("empty.txt", "");
  EXPECT_THAT(home.run({"perplexity", "--model", kModel, empty}).err,
              HasSubstr("the text has 0 tokens (" + empty + "): perplexity needs two or more"));
}

TEST(Bench, JsonHasEveryFigureOfTheContract) {
  const Home home;
  const Finished finished =
      home.run({"bench", "--model", kModel, "--prompt", "16", "--gen", "4", "--depth", "8", "--json"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto object = parse_json(finished.out);
  ASSERT_TRUE(object);
  for (const char* field : {"prefill_tps", "decode_tps", "first_token_ms", "peak_rss_bytes", "read_gbps", "decode_gbps",
                            "decode_fraction", "int8_gops", "prefill_fraction", "threads", "model_bytes", "kv_bytes"}) {
    ASSERT_TRUE(object->contains(field)) << field;
    EXPECT_GT((*object)[field].get<double>(), 0) << field;
  }
  EXPECT_TRUE((*object)["isa"].is_string());
}

TEST(Bench, AListOfDepthsIsMeasuredInTheOrderGiven) {
  const Home home;
  const Finished finished = home.run({"bench", "--model", kModel, "--prompt", "4", "--gen", "2", "--depth", "8,0,32",
                                      "--repeat", "2", "--no-probe", "--json"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto object = parse_json(finished.out);
  ASSERT_TRUE(object);
  EXPECT_EQ((*object)["depth"], 8);
  ASSERT_EQ((*object)["runs"].size(), 3U);
  EXPECT_EQ((*object)["runs"][1]["depth"], 0);
  EXPECT_LT((*object)["runs"][1]["token_bytes"], (*object)["runs"][0]["token_bytes"]);
  EXPECT_LE((*object)["runs"][0]["token_bytes"], (*object)["runs"][2]["token_bytes"]);  // the window is short
  for (const Json& run : (*object)["runs"]) {
    EXPECT_GT(run["decode_tps"].get<double>(), 0);
    EXPECT_GT(run["prefill_tps"].get<double>(), 0);
  }
  EXPECT_EQ(home.run({"bench", "--model", kModel, "--depth", "8,x"}).status, 2);
}

TEST(Bench, WritesAPageAndTellsPeopleInUnits) {
  const Home home;
  const auto page = home.path() / "page.html";
  const Finished finished =
      home.run({"bench", "--model", kModel, "--prompt", "4", "--gen", "2", "--html", page.string()});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("GB/s"));
  EXPECT_THAT(finished.out, HasSubstr("peak memory"));
  const auto text = read_text_file(page);
  ASSERT_TRUE(text) << text.error().text();
  EXPECT_TRUE(text->starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(text->ends_with("</html>\n"));
  EXPECT_THAT(*text, HasSubstr("<svg"));
  const Finished refused =
      home.run({"bench", "--model", kModel, "--prompt", "4", "--gen", "2", "--no-probe", "--html", "/nonexistent/p"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(refused.out, "");
}

TEST(Bench, ASlowPathIsAWarningAndWithStrictAFailure) {
  const Home home;
  const std::vector<std::string> words = {"bench", "--model", kModel,   "--prompt",  "4",
                                          "--gen", "2",       "--json", "--no-probe"};
  const RunOptions scalar = {.environment = {"PHIAL_ISA=scalar"}};
  const Finished warned = home.run(words, scalar);
  EXPECT_EQ(warned.status, 0);
  EXPECT_THAT(warned.err, HasSubstr("phial: warning: "));
  EXPECT_THAT(warned.err, HasSubstr("scalar kernels"));
  EXPECT_EQ((*parse_json(warned.out))["slow_paths"].size(), 1U);
  std::vector<std::string> strict = words;
  strict.push_back("--strict");
  EXPECT_EQ(home.run(strict, scalar).status, 1);
  const Finished generated = home.run({"generate", "--model", kModel, "--ids", "1,2", "-n", "1"}, scalar);
  EXPECT_THAT(generated.err, HasSubstr("scalar kernels"));
}

TEST_F(DefaultModels, TheDefaultModelHasAFastKernelForEverything) {
  const Home home;
  const Finished finished = home.run({"bench", "--prompt", "4", "--gen", "2", "--no-probe", "--strict"});
  EXPECT_EQ(finished.status, 0) << finished.err;
}

// Heads of 16 here, padded to one block of 32: 32 bytes in f16, 34 in q8, 20 in q4.
TEST(Bench, TellsTheTypeAndTheBytesOfTheCache) {
  const Home home;
  const auto bytes = [&](const std::string& kv) -> uint64_t {
    const Finished finished = home.run({"bench", "--model", kModel, "--prompt", "4", "--gen", "2", "--depth", "40",
                                        "--no-probe", "--kv", kv, "--json"});
    EXPECT_EQ(finished.status, 0) << finished.err;
    const auto object = parse_json(finished.out);
    if (!object) return 0;
    EXPECT_EQ((*object)["kv"], kv);
    return (*object)["kv_bytes"].get<uint64_t>();
  };
  const uint64_t f16 = bytes("f16");
  EXPECT_GT(f16, 0U);
  EXPECT_EQ(bytes("q8"), f16 / 32 * 34);
  EXPECT_EQ(bytes("q4"), f16 / 32 * 20);
}

TEST(Kv, IsTakenWhereverAModelRuns) {
  const Home home;
  const auto text = home.write("text.txt", "the quick brown fox jumps over the lazy dog, again and again and again");
  for (const char* kv : {"f16", "q8", "q4"}) {
    const Finished written =
        home.run({"generate", "--model", kModel, "--kv", kv, "--ids", "1,2,3", "-n", "4", "--verbose"});
    EXPECT_EQ(written.status, 0) << written.err;
    EXPECT_THAT(written.err, HasSubstr(std::string("keys and values in ") + kv));
    EXPECT_EQ(
        home.run({"perplexity", "--model", kModel, "--precision", "fast", "--kv", kv, "--context", "16", text.string()})
            .status,
        0);
    EXPECT_EQ(home.run({"logits", "--model", kModel, "--precision", "fast", "--kv", kv, "--ids", "1,2,3", "--out",
                        home.write("logits.npy", "").string()})
                  .status,
              0);
  }
}

TEST(Kv, ThatIsSmallWithExactPrecisionIsAMistakeWithTheRemedy) {
  const Home home;
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"generate", "--precision", "exact", "--ids", "1"},
           {"chat", "--precision", "exact"},
           {"ask", "--precision", "exact", "a question"},
           {"bench", "--precision", "exact"},
           {"perplexity", "text.txt"},  // exact by default, as logits
           {"logits", "--ids", "1", "--out", "x.npy"},
       }) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--kv", "q8"});
    const Finished exact = home.run(all);
    EXPECT_EQ(exact.status, 2) << words[0];
    EXPECT_EQ(exact.err,
              "phial: error: --kv q8 with exact precision, which keeps keys and values in f32: add --precision fast, "
              "or leave --kv out\n");
  }
  EXPECT_EQ(home.run({"generate", "--model", kModel, "--kv", "q5", "--ids", "1"}).status, 2);
}

TEST_F(DefaultModels, EmbedWritesOneRowALine) {
  const Home home;
  const std::string out = (home.path() / "rows.npy").string();
  const Finished finished = home.run({"embed", "-", "--out", out}, {.input = "a cat\n\na dog\n"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(*read_text_file(out), HasSubstr("'shape': (3, 384)"));
  const Finished lines = home.run({"embed"}, {.input = "a cat\n"});
  const auto row = parse_json(lines.out);
  ASSERT_TRUE(row);
  double length = 0;
  for (const auto& value : *row) length += value.get<double>() * value.get<double>();
  EXPECT_NEAR(length, 1, 1e-5);
}

TEST_F(DefaultModels, ChatAnswersLinesFromStandardInputAndKeepsTheConversation) {
  const Home home;
  const Finished finished =
      home.run({"chat", "--json", "--greedy", "--precision", "exact", "-n", "12", "--quiet"},
               {.input = "What is the capital of France?\nAnd of \\\nItaly?\n/quit\nnot asked\n"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(std::ranges::count(finished.out, '\n'), 2);
  const size_t end = finished.out.find('\n');
  const auto first = parse_json(finished.out.substr(0, end)), second = parse_json(finished.out.substr(end + 1));
  ASSERT_TRUE(first && second);
  EXPECT_THAT((*first)["text"].get<std::string>(), HasSubstr("Paris"));
  EXPECT_GT((*second)["reused_tokens"].get<int>(), 0);
}

TEST_F(DefaultModels, EmbeddingsInJsonAreOneObjectALine) {
  const Home home;
  const auto row = parse_json(home.run({"embed", "--json"}, {.input = "a cat\n"}).out);
  ASSERT_TRUE(row);
  EXPECT_EQ((*row)["text"], "a cat");
  EXPECT_EQ((*row)["embedding"].size(), 384U);
}

TEST_F(DefaultModels, CtrlCEndsAChatThatIsNotTyped) {
  const Home home;
  const std::string questions = "Write a long story about a lighthouse.\nAnd another one.\n";
  for (const char* when : {"using the default model", "lighthouse"}) {  // while it is opened, while it writes
    const Finished finished = home.run({"chat", "-n", "3000", "--greedy"}, {.input = questions, .signal_when = when});
    EXPECT_EQ(finished.status, 130) << when << finished.err;
    EXPECT_THAT(finished.err, Not(HasSubstr("error")));
  }
}

TEST(Chat, IsEndedAtItsPromptByTheSignalThatEndsPrograms) {
  const Home home;
  const Finished finished =
      home.run({"chat", "--model", kModel, "--context", "128"},
               {.output_columns = 80, .typed_when = "nothing is typed", .signal_when = "> ", .signal = SIGTERM});
  EXPECT_EQ(finished.status, 130) << finished.err;
}

TEST(Chat, HelpIsNoneOfTheObjectsOnStandardOutput) {
  const Home home;
  const Finished finished =
      home.run({"chat", "--model", kModel, "--context", "128", "--json"}, {.input = "/help\n/quit\n"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(finished.out, "");
  EXPECT_THAT(finished.err, HasSubstr("/undo"));
}

TEST(Chat, AModelWithoutATokenizerIsRefusedAtOnce) {
  const Home home;
  for (const char* name : {"config.json", "model.safetensors"}) {
    home.write(std::string("bare/") + name, *read_text_file(kFolder + "/" + name));
  }
  const Finished finished = home.run({"chat", "--model", (home.path() / "files/bare").string()});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("has no tokenizer: get it with its tokenizer"));
}

TEST(Chat, LinesAreEditedAndComeBackFromTheHistory) {
  const Home home;
  const std::string left = "\x1b[D", up = "\x1b[A", backspace = "\x7f";
  const std::vector<std::string> words = {"chat", "--model", kModel, "-n", "2", "--context", "128"};
  const auto helps = [](const Finished& finished) {
    size_t count = 0;
    for (size_t at = 0; (at = finished.out.find("/undo", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  const Finished first = home.run(words, {.input = "/hxelp" + left + left + left + backspace + "\r" + up + "\r/quit\r",
                                          .output_columns = 80,
                                          .typed_when = "> "});
  EXPECT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(helps(first), 2U) << first.out << first.err;
  // Another day: behind "/quit" stands what was typed before.
  const Finished second = home.run(words, {.input = up + up + "\r/quit\r", .output_columns = 80, .typed_when = "> "});
  EXPECT_EQ(helps(second), 1U) << second.out << second.err;
}

TEST(Chat, CommandsAreAnsweredAndUnknownOnesNamed) {
  const Home home;
  const auto file = (home.path() / "talk.txt").string();
  const Finished finished = home.run({"chat", "--model", kModel, "-n", "2", "--context", "128"},
                                     {.input = "/help\n/sistem x\n/undo\n/save " + file + "\n"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("/new"));
  EXPECT_THAT(finished.err, HasSubstr("did you mean /system?"));
  EXPECT_THAT(finished.err, HasSubstr("nothing to undo"));
  EXPECT_TRUE(std::filesystem::exists(file));
}

}  // namespace
}  // namespace phial::tests

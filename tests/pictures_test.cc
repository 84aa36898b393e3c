// see, chat --image and logits --image, as scripts and people drive them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "phial/base/default_models_for_test.h"
#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/checkpoint.h"
#include "tests/process.h"

namespace phial::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kVision = testdata("golden/phi3-vision-like");
const std::string kImage0 = kVision + "/image0.png", kImage1 = kVision + "/image1.png";

// The vision model with a tokenizer, which the fixture does not have.
std::string model_with_tokenizer(const Home& home) {
  for (const char* name : {"config.json", "preprocessor_config.json", "model.safetensors"}) {
    home.write(std::string("seeing/") + name, *read_text_file(kVision + "/" + name));
  }
  for (const char* name : {"tokenizer.model", "tokenizer_config.json", "added_tokens.json"}) {
    home.write(std::string("seeing/") + name, *read_text_file(testdata("golden/phi3-mini-like/") + name));
  }
  return (home.path() / "files/seeing").string();
}

std::string id_list(const Json& one) {
  std::string list;
  for (const Json& run : one["prompt_ids_rle"]) {
    for (int i = 0; i < run[1].get<int>(); ++i) list += std::to_string(run[0].get<int>()) + "\n";
  }
  return list;
}

Json cases() { return (*parse_json(*read_text_file(kVision + "/expected.json")))["cases"]; }

TEST(Logits, OfPromptsWithPicturesAreThoseOfTheReference) {
  const Home home;
  const auto expected = formats::Checkpoint::open(kVision + "/expected.safetensors");
  for (const Json& one : cases()) {
    const auto ids = home.write("ids.txt", id_list(one)), out = home.write("logits.npy", "");
    const Finished finished = home.run({"logits", "--model", kVision, "--ids", "@" + ids.string(), "--image", kImage0,
                                        "--image", kImage1, "--out", out.string()});
    ASSERT_EQ(finished.status, 0) << finished.err;
    const std::string file = *read_text_file(out);
    const auto wanted = expected->find(one["name"].get<std::string>() + ".logits_text_tail")->bytes;
    ASSERT_GT(file.size(), wanted.size());
    std::vector<float> found(wanted.size() / sizeof(float)), reference(found.size());
    std::memcpy(found.data(), file.data() + file.size() - wanted.size(), wanted.size());
    std::memcpy(reference.data(), wanted.data(), wanted.size());
    for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], reference[i], 1e-3) << one["name"];
  }
}

TEST(Logits, PicturesWithoutTheirIdsAreRefused) {
  const Home home;
  const std::string out = (home.path() / "x.npy").string();
  EXPECT_EQ(home.run({"logits", "--model", kVision, "--ids", "1,-1", "--out", out}).status, 2);
  EXPECT_EQ(home.run({"logits", "--model", kVision, "-p", "a", "--image", kImage0, "--out", out}).status, 2);
  const Finished few = home.run({"logits", "--model", kVision, "--ids", "1,-1", "--image", kImage0, "--out", out});
  EXPECT_EQ(few.status, 1);
  EXPECT_THAT(few.err, HasSubstr("picture 1 has 757 tokens, 1 ids stand for it: give 757 times -1"));
  const Finished blind = home.run(
      {"logits", "--model", testdata("golden/phi3-mini-like"), "--ids", "1,-1", "--image", kImage0, "--out", out});
  EXPECT_EQ(blind.status, 1);
  EXPECT_THAT(blind.err, HasSubstr("does not see pictures"));
}

TEST(See, AnswersAboutAPicture) {
  const Home home;
  const std::string model = model_with_tokenizer(home);
  const auto ask = [&](const std::string& image) {
    const Finished finished = home.run({"see", image, "What is it?", "--model", model, "-n", "8", "--json"});
    EXPECT_EQ(finished.status, 0) << finished.err;
    return *parse_json(finished.out);
  };
  const Json first = ask(kImage0);
  EXPECT_GT(first["prompt_tokens"].get<int>(), 757);
  EXPECT_EQ(first["text"], ask(kImage0)["text"]);
  EXPECT_NE(first["text"], ask(kImage1)["text"]);
  const Finished plain = home.run({"see", kImage0, "What is it?", "--model", model, "-n", "8"});
  EXPECT_EQ(plain.out, first["text"].get<std::string>() + "\n");
}

TEST(See, WhatIsNoPictureIsAnErrorOfOneLineThatNamesIt) {
  const Home home;
  const std::string whole = *read_text_file(kImage0);
  const auto text = home.write("note.png", "no picture"), half = home.write("half.png", whole.substr(0, 900));
  for (const std::string& file : {text.string(), half.string(), (home.path() / "none.png").string()}) {
    const Finished finished = home.run({"see", file, "What is it?", "--model", kVision});
    EXPECT_EQ(finished.status, 1);
    EXPECT_THAT(finished.err, HasSubstr(file));
    EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
  }
  EXPECT_EQ(home.run({"see", kImage0}).status, 2);
}

TEST(See, AModelThatDoesNotSeeSaysSo) {
  const Home home;
  const Finished finished =
      home.run({"see", kImage0, "What is it?", "--model", testdata("golden/phi3-mini-like/model.gguf")});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("does not see pictures"));
}

// In GGUF the eye is a file of its own, which goes where its model goes.
TEST(Models, AnEyeIsCopiedConvertedAndRemovedWithItsModel) {
  const Home home;
  const auto file = [&](const std::string& name) { return (home.path() / name).string(); };
  const auto is_there = [&](const std::string& name) { return std::filesystem::exists(home.path() / name); };
  const Finished there = home.run({"models", "convert", kVision, file("vision.gguf"), "--json"});
  ASSERT_EQ(there.status, 0) << there.err;
  EXPECT_EQ((*parse_json(there.out))["projector"], file("mmproj-vision.gguf"));
  ASSERT_EQ(home.run({"models", "add", file("vision.gguf"), "--copy", "--name", "seeing"}).status, 0);
  EXPECT_TRUE(is_there("models/mmproj-seeing.gguf"));
  EXPECT_THAT(home.run({"models", "list", "--names"}).out, AllOf(HasSubstr("seeing.gguf\n"), Not(HasSubstr("mmproj"))));
  EXPECT_THAT(home.run({"models", "show", "seeing"}).out, HasSubstr("sees pictures"));
  EXPECT_EQ(home.run({"models", "add", file("mmproj-vision.gguf")}).status, 1);

  // Beside a file of another name, as a quantized one's is.
  std::filesystem::rename(file("vision.gguf"), file("vision-q4.gguf"));
  const Finished blind = home.run({"models", "convert", file("vision-q4.gguf"), file("blind")});
  EXPECT_THAT(blind.err, HasSubstr("does not see pictures"));
  const Finished back = home.run(
      {"models", "convert", file("vision-q4.gguf"), file("back"), "--projector", file("mmproj-vision.gguf"), "--json"});
  ASSERT_EQ(back.status, 0) << back.err;
  EXPECT_EQ((*parse_json(back.out))["sees"], true);

  // A foreign one is a warning where it was found, and an error where it was named.
  const std::string tiny = testdata("golden/llama-like/model.gguf");
  std::filesystem::copy_file(tiny, file("text.gguf"));
  std::filesystem::copy_file(tiny, file("mmproj-text.gguf"));
  const Finished shown = home.run({"models", "show", file("text.gguf"), "--json"});
  EXPECT_EQ(shown.status, 0);
  EXPECT_EQ((*parse_json(shown.out))["sees"], false);
  EXPECT_THAT(shown.err, HasSubstr("does not see pictures"));
  EXPECT_EQ(home.run({"generate", "--model", file("text.gguf"), "--ids", "1,2", "-n", "1"}).status, 0);
  EXPECT_EQ(home.run({"models", "show", file("text.gguf"), "--projector", file("mmproj-text.gguf")}).status, 1);

  ASSERT_EQ(home.run({"models", "remove", "seeing"}).status, 0);
  EXPECT_FALSE(is_there("models/seeing.gguf") || is_there("models/mmproj-seeing.gguf"));
}

TEST(Chat, PicturesGoWithTheFirstQuestionAndMoreWithLaterOnes) {
  const Home home;
  const Finished finished = home.run(
      {"chat", "--model", model_with_tokenizer(home), "--image", kImage0, "--json", "--greedy", "-n", "2", "--quiet"},
      {.input = "one\ntwo\n/image " + kImage1 + "\nthree\n/image nowhere.png\n"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  std::vector<Json> answers;
  for (size_t at = 0; at < finished.out.size();) {
    const size_t end = finished.out.find('\n', at);
    answers.push_back(*parse_json(finished.out.substr(at, end - at)));
    at = end + 1;
  }
  ASSERT_EQ(answers.size(), 3U);
  const auto tokens = [&](size_t i) { return answers[i]["prompt_tokens"].get<int>(); };
  EXPECT_GT(tokens(0), 757);
  EXPECT_LT(tokens(1), 2 * 757);
  EXPECT_GT(tokens(2), 2 * 757);
  EXPECT_GT(answers[1]["reused_tokens"].get<int>(), 757);
  EXPECT_THAT(finished.err, HasSubstr("nowhere.png"));
}

TEST(Chat, PicturesAndDocumentsExcludeEachOther) {
  const Home home;
  const Finished finished = home.run({"chat", "--image", kImage0, "--docs", testdata("docs")});
  EXPECT_EQ(finished.status, 2);
}

// Documents need a model to search them with.
class PicturesInDocuments : public DefaultModels {
 protected:
  void SetUp() override {
    DefaultModels::SetUp();
    home.write("docs/harbour-chart.png", *read_text_file(kImage0));
    home.write("docs/lease.md", "# Lease\n\nThe lease of the workshop ends on 31 March 2031.\n");
    model = model_with_tokenizer(home);
    folder = (home.path() / "files/docs").string();
  }
  Json run(std::vector<std::string> words) {
    const Finished finished = home.run(words);
    EXPECT_EQ(finished.status, 0) << finished.err;
    auto json = parse_json(finished.out.substr(0, finished.out.find('\n')));
    EXPECT_TRUE(json) << finished.out;
    return json ? *std::move(json) : Json();
  }
  Json ask(const std::string& with, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"ask",
                                      "--docs",
                                      folder,
                                      "--no-ocr",
                                      "--model",
                                      with,
                                      "--json",
                                      "--explain",
                                      "-n",
                                      "12",
                                      "What does the harbour chart show?"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }

  Home home;
  std::string model, folder;
};

TEST_F(PicturesInDocuments, AreShownToAModelThatSees) {
  const Json answer = ask(model);
  const Json& figures = answer["explain"]["figures"];
  ASSERT_EQ(figures.size(), 1U) << dump_json(answer);
  EXPECT_EQ(figures[0]["why_not"], "");
  EXPECT_GE(figures[0]["tokens"].get<int>(), 757);
  EXPECT_THAT(figures[0]["path"].get<std::string>(), HasSubstr("harbour-chart.png"));
  EXPECT_GT(answer["tokens"]["prompt"].get<int>(), 757);
  ASSERT_FALSE(answer["citations"].empty());
  const auto cited = std::ranges::find_if(answer["citations"], [](const Json& one) { return !one["figures"].empty(); });
  ASSERT_NE(cited, answer["citations"].end());
  EXPECT_TRUE((*cited)["page"].is_null());
  EXPECT_GT((*cited)["figures"][0]["width"].get<double>(), 0);
  // What is written depends on the picture, and on nothing else.
  const std::string draft = answer["explain"]["draft"];
  EXPECT_EQ(ask(model)["explain"]["draft"], draft);
  home.write("docs/harbour-chart.png", *read_text_file(kImage1));
  const Json other = ask(model);
  EXPECT_NE(other["explain"]["draft"], draft);
  const int few = ask(model, {"--figures", "0"})["tokens"]["prompt"].get<int>();
  EXPECT_LE(few, other["tokens"]["prompt"].get<int>() - other["explain"]["figures"][0]["tokens"].get<int>());
}

TEST_F(PicturesInDocuments, AreNamedWhereNothingSees) {
  const Json answer =
      run({"ask", "--docs", folder, "--no-ocr", "--quote", "--json", "What does the harbour chart show?"});
  EXPECT_EQ(answer["answer"], "harbour chart [1]");
  EXPECT_EQ(answer["citations"][0]["figures"].size(), 1U);
  ASSERT_EQ(home.run({"add", folder, "--no-ocr"}).status, 0);
  const Finished found = home.run({"library", "search", "harbour chart"});
  EXPECT_THAT(found.out, HasSubstr("harbour-chart.png, with a figure, harbour chart"));
}

TEST_F(PicturesInDocuments, AreDescribedOnce) {
  const std::vector<std::string> add = {"add", folder, "--no-ocr", "--describe-with", model, "--json"};
  EXPECT_EQ(run(add)["described"], 1);
  const Json again = run(add);
  EXPECT_EQ(again["described"], 0);
  EXPECT_EQ(again["unchanged"], 2);
  const Json found = run({"library", "search", "--json", "-k", "1", "picture described by seeing"});
  EXPECT_THAT(found["text"].get<std::string>(), HasSubstr("Picture, as seeing describes it: "));
  EXPECT_EQ(found["figures"].size(), 1U);
  const Finished blind = home.run({"add", folder, "--describe-with", kModel});
  EXPECT_EQ(blind.status, 1);
  EXPECT_THAT(blind.err, HasSubstr("does not see pictures"));
}

TEST_F(PicturesInDocuments, ThatAreDamagedAreOneWarning) {
  home.write("docs/half.png", read_text_file(kImage0)->substr(0, 900));
  const Finished finished = home.run({"add", folder, "--no-ocr"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_THAT(finished.err, HasSubstr("half.png"));
  EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
}

TEST(Convert, AModelThatSeesSeesTheSameFromGguf) {
  const Home home;
  const std::string folder = model_with_tokenizer(home), gguf = (home.path() / "files/eye.gguf").string();
  const Finished converted = home.run({"models", "convert", folder, gguf});
  ASSERT_EQ(converted.status, 0) << converted.err;
  const auto answer = [&](const std::vector<std::string>& model) {
    std::vector<std::string> words = {"see", kImage0, "What is it?", "-n", "8", "--json", "--precision", "exact"};
    words.insert(words.end(), model.begin(), model.end());
    const Finished finished = home.run(words);
    EXPECT_EQ(finished.status, 0) << finished.err;
    return finished.status == 0 ? (*parse_json(finished.out))["text"].get<std::string>() : "";
  };
  const std::string wanted = answer({"--model", folder});
  EXPECT_EQ(answer({"--model", gguf}), wanted);

  const auto ids = home.write("ids.txt", id_list(cases()[0]));
  const auto logits = [&](const std::vector<std::string>& model) {
    const std::string out = home.write("logits.npy", "").string();
    std::vector<std::string> words = {"logits", "--ids", "@" + ids.string(), "--image", kImage0, "--image", kImage1,
                                      "--out",  out};
    words.insert(words.end(), model.begin(), model.end());
    const Finished finished = home.run(words);
    EXPECT_EQ(finished.status, 0) << finished.err;
    return *read_text_file(out);
  };
  const std::string numbers = logits({"--model", folder});
  EXPECT_EQ(logits({"--model", gguf}), numbers);

  // Under a name that tells nothing.
  const std::string elsewhere = (home.path() / "files/other.gguf").string();
  std::filesystem::rename(home.path() / "files/mmproj-eye.gguf", elsewhere);
  EXPECT_EQ(logits({"--model", gguf, "--projector", elsewhere}), numbers);
  EXPECT_EQ(answer({"--model", gguf, "--projector", elsewhere}), wanted);
  const Finished blind = home.run({"see", kImage0, "What is it?", "--model", gguf});
  EXPECT_EQ(blind.status, 1);
  EXPECT_THAT(blind.err, HasSubstr("projector"));
  const Finished shown = home.run({"models", "show", gguf, "--projector", elsewhere, "--json"});
  EXPECT_EQ((*parse_json(shown.out))["projector"], elsewhere) << shown.err;
  const Finished alone = home.run({"generate", "--model", elsewhere, "-p", "x"});
  EXPECT_EQ(alone.status, 1);
  EXPECT_THAT(alone.err, HasSubstr("--projector"));
}

}  // namespace
}  // namespace phial::tests

// quantize, as scripts and people drive it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "phial/base/default_models_for_test.h"
#include "phial/base/descriptor.h"
#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/checkpoint.h"
#include "tests/process.h"

namespace phial::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Quantize : public testing::Test {
 protected:
  // "out.gguf" in the home; `words` after IN and OUT.
  Finished quantize(const std::string& in, std::vector<std::string> words, const RunOptions& options = {}) const {
    words.insert(words.begin(), {"quantize", in, out()});
    return home_.run(words, options);
  }
  std::string out() const { return (home_.path() / "out.gguf").string(); }
  // What stands beside it: nothing that was begun.
  size_t n_models() const {
    size_t count = 0;
    for (const auto& entry : fs::directory_iterator(home_.path())) {
      count += entry.path().string().find(".gguf") != std::string::npos;
    }
    return count;
  }
  std::string text() const {
    std::string text;
    for (int i = 0; i < 300; ++i) text += "The small model reads sentence number " + std::to_string(i * 37) + ".\n";
    return home_.write("text.txt", text).string();
  }

  Home home_;
};

TEST_F(Quantize, FolderAndGgufGiveModelsThatRun) {
  for (const std::string& in : {kFolder, kFolder + "/model.gguf", testdata("golden/llama-like")}) {
    for (const bool calibrate : {false, true}) {
      fs::remove(out());
      std::vector<std::string> words = {"--to", "Q4_K", "--json"};
      if (calibrate) words.insert(words.end(), {"--calibrate", text()});
      const Finished finished = quantize(in, words);
      ASSERT_EQ(finished.status, 0) << finished.err;
      EXPECT_THAT(finished.err, IsEmpty());
      const auto told = parse_json(finished.out);
      ASSERT_TRUE(told);
      EXPECT_EQ((*told)["bytes"], fs::file_size(out()));
      EXPECT_GT((*told)["relative_error"], 0);
      EXPECT_LT((*told)["relative_error"], 0.1);
      EXPECT_EQ((*told)["relative_output_error"].is_number(), calibrate);
      EXPECT_EQ((*told)["calibration"].is_object(), calibrate);

      const auto file = formats::Checkpoint::open(out());
      ASSERT_TRUE(file);
      for (const Json& one : (*told)["tensors"]) {
        const formats::Tensor* found = file->find(one["name"].get<std::string>());
        ASSERT_NE(found, nullptr) << one["name"];
        EXPECT_EQ(one["type"], tensor::info(found->dtype).name);
        // 64 columns: no K type applies, and each that took its place says why.
        if (found->shape.size() == 2) {
          EXPECT_THAT(one["reason"].get<std::string>(), HasSubstr("needs rows")) << one;
        }
      }
      const Finished ran = home_.run({"generate", "--model", out(), "-p", "Hello", "-n", "4", "--greedy", "--json"});
      EXPECT_EQ(ran.status, 0) << ran.err;
      EXPECT_FALSE((*parse_json(ran.out))["ids"].empty());
    }
  }
}

TEST_F(Quantize, ATableTellsEveryTensorAndTheWhole) {
  const Finished finished = quantize(kFolder, {"--to", "Q4_0"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("blk.2.ffn_down.weight"));
  EXPECT_THAT(finished.out, HasSubstr("output.weight"));
  EXPECT_THAT(finished.out, HasSubstr("Q8_0      8.50   0.00"));
  EXPECT_THAT(finished.out, HasSubstr("bits a weight, relative error of the weights 0.0"));
  EXPECT_THAT(finished.err, HasSubstr("wrote '"));
}

TEST_F(Quantize, TheFileDoesNotDependOnTheThreads) {
  std::string first;
  for (const char* threads : {"1", "3"}) {
    fs::remove(out());
    const Finished finished = quantize(kFolder, {"--to", "Q5_1", "--calibrate", text(), "--threads", threads});
    ASSERT_EQ(finished.status, 0) << finished.err;
    const std::string bytes = *read_text_file(out());
    if (first.empty()) first = bytes;
    EXPECT_EQ(bytes == first, true);
  }
}

TEST_F(Quantize, WhatIsQuantizedAlreadyComesWithAWarning) {
  const Finished finished = quantize(kFolder + "/model-q8_0.gguf", {"--to", "Q4_0"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("is quantized already"));
}

TEST_F(Quantize, TypesOfPhialsOwnRunInEitherPrecision) {
  for (const char* type : {"phial_q4", "phial_q3"}) {
    fs::remove(out());
    const Finished finished = quantize(kFolder, {"--to", type, "--calibrate", text(), "--json"});
    ASSERT_EQ(finished.status, 0) << finished.err;
    const auto told = parse_json(finished.out);
    ASSERT_TRUE(told);
    for (const Json& one : (*told)["tensors"]) {
      if (one["name"].get<std::string>().starts_with("blk.0.ffn")) {
        EXPECT_EQ(one["type"], one["shape"].size() == 2 ? type : "F32") << one;
      }
    }
    for (const char* precision : {"fast", "exact"}) {
      const Finished ran =
          home_.run({"generate", "--model", out(), "-p", "Hello", "-n", "4", "--greedy", "--precision", precision});
      EXPECT_EQ(ran.status, 0) << ran.err;
    }
  }
}

TEST_F(Quantize, ABudgetOfBitsIsSpentAndNeverExceeded) {
  for (const bool calibrate : {false, true}) {
    double less = 1;
    for (const double bits : {3.6, 4.0, 4.5, 6.0}) {
      fs::remove(out());
      std::vector<std::string> words = {"--bits", std::to_string(bits), "--json"};
      if (calibrate) words.insert(words.end(), {"--calibrate", text()});
      const Finished finished = quantize(kFolder, words);
      ASSERT_EQ(finished.status, 0) << finished.err;
      const auto told = parse_json(finished.out);
      EXPECT_TRUE((*told)["to"].is_null());
      EXPECT_LE((*told)["bits_per_weight"], bits);
      EXPECT_GT((*told)["bits_per_weight"], bits - 0.3);
      const double error = (*told)["relative_error"];
      EXPECT_LT(error, less);
      less = error;
    }
  }
  fs::remove(out());
  const Finished finished = quantize(kFolder, {"--bits", "2"});
  EXPECT_EQ(finished.status, 1);
  const size_t at = finished.err.find("the least possible is ");
  ASSERT_NE(at, std::string::npos) << finished.err;
  EXPECT_EQ(n_models(), 0U);
  const std::string least = finished.err.substr(at + 22, 5);
  EXPECT_EQ(quantize(kFolder, {"--bits", least}).status, 0) << least;
}

TEST_F(Quantize, MistakesOfTheCommandLineAreStatusTwo) {
  EXPECT_EQ(quantize(kFolder, {}).status, 2);
  EXPECT_EQ(quantize(kFolder, {"--to", "Q4_0", "--bits", "4.5"}).status, 2);
  EXPECT_EQ(quantize(kFolder, {"--bits", "nan"}).status, 2);
  const Finished unknown = quantize(kFolder, {"--to", "Q9_Z"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("Q4_K"));
  EXPECT_EQ(home_.run({"quantize", kFolder, "--to", "Q4_0"}).status, 2);
}

TEST_F(Quantize, WhatIsMissingEmptyOrInTheWayIsOneLineAndLeavesNothing) {
  const auto expect_error = [&](const Finished& finished, const std::string& what) {
    EXPECT_EQ(finished.status, 1);
    EXPECT_THAT(finished.out, IsEmpty());
    EXPECT_THAT(finished.err, HasSubstr("phial: error: "));
    EXPECT_THAT(finished.err, HasSubstr(what));
    EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
  };
  expect_error(quantize("/nonexistent", {"--to", "Q4_0"}), "nonexistent");
  expect_error(quantize(kFolder, {"--to", "Q4_0", "--calibrate", "/nonexistent.txt"}), "/nonexistent.txt");
  const auto empty = home_.write("empty.txt", "").string();
  expect_error(quantize(kFolder, {"--to", "Q4_0", "--calibrate", empty}), "empty.txt");
  expect_error(home_.run({"quantize", kFolder, "/nonexistent/out.gguf", "--to", "Q4_0"}), "/nonexistent");
  EXPECT_EQ(n_models(), 0U);

  // One whose vocabulary is not there to calibrate with.
  const std::string biased = testdata("golden/llama-biased");
  expect_error(quantize(biased, {"--to", "Q8_0", "--calibrate", text()}), "llama-biased");
  EXPECT_EQ(n_models(), 0U);

  std::string path = out();
  ASSERT_EQ(quantize(kFolder, {"--to", "Q4_0"}).status, 0);
  const auto before = fs::last_write_time(path);
  expect_error(quantize(kFolder, {"--to", "Q4_0"}), "is there already");
  EXPECT_EQ(fs::last_write_time(path), before);
}

// Its eye comes along in a file of its own, and stays what it is.
TEST_F(Quantize, AFolderThatSeesGivesAFileThatSees) {
  const std::string folder = testdata("golden/phi3-vision-like"), picture = folder + "/image0.png";
  const auto file = [&](const std::string& name) { return (home_.path() / name).string(); };
  std::string ids = "1";
  for (int i = 0; i < 757; ++i) ids += ",-1";
  const auto answer_of = [&](const std::string& name) {
    return home_
        .run({"generate", "--model", file(name), "--image", picture, "-n", "8", "--greedy", "--ids=" + ids + ",5,9"})
        .out;
  };
  const Finished finished = quantize(folder, {"--to", "Q8_0", "--json"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ((*parse_json(finished.out))["projector"], file("mmproj-out.gguf"));

  ASSERT_EQ(home_.run({"models", "convert", folder, file("whole.gguf")}).status, 0);
  ASSERT_EQ(home_.run({"quantize", file("whole.gguf"), file("other.gguf"), "--to", "Q8_0"}).status, 0);
  EXPECT_EQ(*read_text_file(file("mmproj-out.gguf")), *read_text_file(file("mmproj-whole.gguf")));
  const std::string answer = answer_of("out.gguf");
  EXPECT_THAT(answer, Not(IsEmpty()));
  fs::rename(file("mmproj-whole.gguf"), file("mmproj-other.gguf"));
  EXPECT_EQ(answer, answer_of("other.gguf"));

  // A model that does not see would see by it, too.
  fs::remove(out());
  for (const std::string& in : {folder, kFolder}) {
    EXPECT_THAT(quantize(in, {"--to", "Q4_0"}).err, HasSubstr("mmproj-out.gguf"));
    EXPECT_FALSE(fs::exists(out()));
  }
}

// What a run writes beside the file is its own until it ends: a second one leaves it alone.
TEST_F(Quantize, TheEyeOfAnotherRunIsLeftAlone) {
  const std::string folder = testdata("golden/phi3-vision-like");
  const fs::path eye = home_.path() / ".mmproj-out.gguf.part", log = home_.path() / ".out.gguf.part.log";
  std::ofstream(eye) << "half an eye";
  {
    const Descriptor other(::open(log.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
    const Finished second = quantize(folder, {"--to", "Q8_0"});
    EXPECT_EQ(second.status, 1);
    EXPECT_THAT(second.err, HasSubstr("is being written by another process"));
    EXPECT_EQ(*read_text_file(eye), "half an eye");
  }
  std::ofstream(out()) << "a model";  // put in its place by the other, whose eye follows
  EXPECT_THAT(quantize(folder, {"--to", "Q8_0"}).err, HasSubstr("out.gguf' is there already"));
  EXPECT_EQ(*read_text_file(eye), "half an eye");

  fs::remove(out());  // that run was killed
  const Finished finished = quantize(folder, {"--to", "Q8_0"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_TRUE(fs::exists(out()) && fs::exists(home_.path() / "mmproj-out.gguf") && !fs::exists(eye));
}

TEST_F(Quantize, ABlockSparseModelRunsFromWhatWasWritten) {
  const std::string path = out();
  ASSERT_EQ(quantize(testdata("golden/phi3-small-like"), {"--to", "Q8_0"}).status, 0);
  const auto told = parse_json(home_.run({"models", "show", path, "--json"}).out);
  ASSERT_TRUE(told);
  EXPECT_EQ((*told)["architecture"], "phi3small");
  const auto answer = [&](const std::string& model) {
    return home_.run({"generate", "--model", model, "--ids", "5,6,7,8,9", "-n", "1", "--json"});
  };
  const auto wanted = parse_json(answer(testdata("golden/phi3-small-like")).out);
  const auto found = parse_json(answer(path).out);
  ASSERT_TRUE(wanted && found);
  EXPECT_EQ((*found)["ids"], (*wanted)["ids"]);
}

TEST_F(Quantize, AFileInTheFoldersPlaceIsNamed) {
  const fs::path file = home_.write("a-file", "no folder");
  const Finished finished = home_.run({"quantize", kFolder, (file / "out.gguf").string(), "--to", "Q4_0"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("a-file"));
}

TEST_F(Quantize, AFolderThatCannotBeWrittenIsNamed) {
  if (::geteuid() == 0) GTEST_SKIP() << "no folder is closed to root: run the test as an ordinary user";
  const fs::path folder = home_.path() / "locked";
  fs::create_directory(folder);
  fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec);
  const Finished finished = home_.run({"quantize", kFolder, (folder / "out.gguf").string(), "--to", "Q4_0"});
  fs::permissions(folder, fs::perms::owner_all);
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("locked"));
}

class QuantizeSmol : public DefaultModels {};

TEST_F(QuantizeSmol, AfterCtrlCAndAKillTheSameCommandGoesOn) {
  const Home home;
  const auto out = home.path() / "out.gguf";
  const std::vector<std::string> words = {"quantize", smollm2().string(), out.string(), "--to", "Q8_0"};
  const Finished stopped = home.run(words, {.error_is_terminal = true, .signal_when = "quantizing: 3"});
  EXPECT_EQ(stopped.status, 130) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("the same command goes on from here"));
  EXPECT_THAT(stopped.err, Not(HasSubstr("phial: error")));
  EXPECT_FALSE(fs::exists(out));

  const Finished killed =
      home.run(words, {.error_is_terminal = true, .signal_when = "quantizing: 6", .signal = SIGKILL});
  EXPECT_EQ(killed.status, 128 + SIGKILL);
  EXPECT_THAT(killed.err, Not(HasSubstr("quantizing: 1 %")));
  EXPECT_FALSE(fs::exists(out));

  const Finished last = home.run(words, {.error_is_terminal = true});
  EXPECT_EQ(last.status, 0) << last.err;
  EXPECT_THAT(last.err, Not(HasSubstr("quantizing: 3")));
  EXPECT_EQ(home.run({"generate", "--model", out.string(), "--ids", "1,2,3", "-n", "1"}).status, 0);
  for (const auto& entry : fs::directory_iterator(home.path())) {
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("part")));
  }
}

}  // namespace
}  // namespace phial::tests

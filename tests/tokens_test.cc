// tokenize and logits, as scripts drive them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/checkpoint.h"
#include "tests/process.h"

namespace phial::tests {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

std::string joined(const std::vector<int>& ids, const char* separator) {
  std::string out;
  for (const int id : ids) out += (out.empty() ? "" : separator) + std::to_string(id);
  return out;
}

TEST(Tokenize, PrintsIdsOnOneLineAndTurnsThemBack) {
  const Home home;
  const std::string text = "Hello  world\n\xc3\xa9 \xe6\xbc\xa2 <|user|>";
  const Finished ids = home.run({"tokenize", "--model", kModel, "-p", text, "--ids"});
  ASSERT_EQ(ids.status, 0) << ids.err;
  EXPECT_EQ(std::ranges::count(ids.out, '\n'), 1);
  const Finished back = home.run({"tokenize", "--model", kModel, "--decode", "-"}, {.input = ids.out});
  EXPECT_EQ(back.out, text);
  std::string word = ids.out;
  std::ranges::replace(word, ' ', ',');
  EXPECT_EQ(home.run({"tokenize", "--model", kModel, "--decode", word}).out, text);
}

TEST(Tokenize, SpecialTextIsOrdinaryUnlessAskedFor) {
  const Home home;
  const auto tokens = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"tokenize", "--model", kModel, "-p", "<s>", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return (*parse_json(home.run(words).out))["ids"].size();
  };
  EXPECT_GT(tokens({}), 1U);
  EXPECT_EQ(tokens({"--special"}), 1U);
  EXPECT_EQ(tokens({"--bos"}), tokens({}) + 1);
}

TEST(Tokenize, TakesAnyBytes) {
  const Home home;
  const Finished finished =
      home.run({"tokenize", "--model", kModel, "--json", "-"}, {.input = "a\xff\xfe\xed\xa0\x80z"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_TRUE(parse_json(finished.out));
  EXPECT_EQ(home.run({"tokenize", "--model", kModel, "--ids", "-p", ""}).out, "\n");
}

TEST(Tokenize, AnIdOutsideTheVocabularyIsRefused) {
  const Home home;
  const Finished finished = home.run({"tokenize", "--model", kModel, "--decode", "-p", "1,999999"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("token id 999999 is outside the vocabulary of"));
}

// The values of an .npy file of float32, and its header.
std::vector<float> read_npy(const std::filesystem::path& path, std::string& header) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const size_t start = 10 + static_cast<size_t>(static_cast<unsigned char>(bytes.at(8))) +
                       256 * static_cast<size_t>(static_cast<unsigned char>(bytes.at(9)));
  header = bytes.substr(10, start - 10);
  std::vector<float> values((bytes.size() - start) / sizeof(float));
  std::memcpy(values.data(), bytes.data() + start, values.size() * sizeof(float));
  return values;
}

TEST(Logits, EqualTheReferenceOnEveryFixture) {
  const Home home;
  for (const char* fixture : {"phi3-mini-like", "phi3-medium-like", "phi3-128k-like", "phi3-small-like", "phi3-partial",
                              "llama-like", "llama-biased"}) {
    const std::string folder = testdata(std::string("golden/") + fixture);
    const auto told = parse_json(*read_text_file(folder + "/expected.json"));
    const auto expected = formats::Checkpoint::open(folder + "/expected.safetensors");
    ASSERT_TRUE(told && expected);
    std::vector<std::string> models = {folder};
    if (std::filesystem::exists(folder + "/model.gguf")) models.push_back(folder + "/model.gguf");
    for (const auto& one : (*told)["cases"]) {
      const auto list = home.write("ids.txt", joined(one["prompt_ids"].get<std::vector<int>>(), ","));
      const auto* wanted = expected->find(one["name"].get<std::string>() + ".logits");
      ASSERT_NE(wanted, nullptr);
      for (const std::string& model : models) {
        const auto out = home.write("logits.npy", "");
        const Finished finished =
            home.run({"logits", "--model", model, "--ids", "@" + list.string(), "--out", out.string()});
        ASSERT_EQ(finished.status, 0) << model << ": " << finished.err;
        EXPECT_EQ(finished.out, "");
        std::string header;
        const auto values = read_npy(out, header);
        ASSERT_EQ(values.size(), wanted->elements()) << header;
        float worst = 0;
        for (size_t at = 0; at < values.size(); ++at) {
          float reference = 0;
          std::memcpy(&reference, wanted->bytes.data() + at * sizeof(float), sizeof(float));
          ASSERT_TRUE(std::isfinite(values[at])) << model << " " << one["name"];
          worst = std::max(worst, std::abs(values[at] - reference));
        }
        EXPECT_LE(worst, 1e-3F) << model << " " << one["name"];
      }
    }
  }
}

TEST(Logits, TellInJsonWhatWasWritten) {
  const Home home;
  const std::string out = (home.path() / "x.npy").string();
  const auto told = parse_json(home.run({"logits", "--model", kModel, "--ids", "1,2", "--out", out, "--json"}).out);
  ASSERT_TRUE(told);
  std::string header;
  const auto values = read_npy(out, header);
  EXPECT_EQ(*told, Json({{"out", out}, {"shape", {2, values.size() / 2}}}));
}

TEST(Logits, AFolderWithoutTokenizerServesIds) {
  const Home home;
  const auto folder = home.path() / "bare";
  std::filesystem::create_directories(folder);
  for (const char* name : {"config.json", "model.safetensors"}) {
    std::filesystem::copy_file(kFolder + "/" + name, folder / name);
  }
  const std::string out = (home.path() / "x.npy").string();
  EXPECT_EQ(home.run({"logits", "--model", folder.string(), "--ids", "1,2", "--out", out}).status, 0);
  const Finished text = home.run({"logits", "--model", folder.string(), "-p", "hello", "--out", out});
  EXPECT_EQ(text.status, 1);
  EXPECT_THAT(text.err, HasSubstr("tokenizer"));
}

TEST(Logits, TooManyTokensAndForeignIdsAreRefusedWithTheNumbers) {
  const Home home;
  const std::string out = (home.path() / "x.npy").string();
  const Finished foreign = home.run({"logits", "--model", kModel, "--ids", "1,1000000", "--out", out});
  EXPECT_EQ(foreign.status, 1);
  EXPECT_THAT(foreign.err, HasSubstr("1000000"));
  const auto list = home.write("ids.txt", joined(std::vector<int>(200000, 1), " "));
  const Finished many = home.run({"logits", "--model", kModel, "--ids", "@" + list.string(), "--out", out});
  EXPECT_EQ(many.status, 1);
  EXPECT_THAT(many.err, HasSubstr("200000"));
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(Logits, TellTheMemoryPlanAsGenerateDoes) {
  const Home home;
  const std::string out = (home.path() / "x.npy").string();
  const Finished logits = home.run({"logits", "--model", kModel, "--ids", "1,2", "--out", out, "--verbose"});
  EXPECT_THAT(logits.err, HasSubstr("memory plan: "));
  EXPECT_THAT(logits.err, HasSubstr(" of keys and values in f32 for 2 tokens, "));
  const Finished generate = home.run({"generate", "--model", kModel, "--ids", "1,2", "-n", "1", "--verbose"});
  EXPECT_THAT(generate.err, HasSubstr("memory plan: "));
  EXPECT_THAT(generate.err, HasSubstr(" of keys and values in f16 for 128 tokens, "));
}

TEST(Logits, AnUnwritableFileIsAnError) {
  const Home home;
  const Finished finished = home.run({"logits", "--model", kModel, "--ids", "1", "--out", "/nonexistent/x.npy"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("/nonexistent"));
}

}  // namespace
}  // namespace phial::tests

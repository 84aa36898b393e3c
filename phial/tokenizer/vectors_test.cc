// The stored vectors of the reference implementations, exactly. The test reads GGUF files through formats, which the
// tokenizer library itself does not know.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "phial/base/default_models_for_test.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/checkpoint.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/random_text_for_test.h"

namespace phial::tokenizer {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<TokenId>;

const fs::path kData = fs::path(PHIAL_TESTDATA) / "tokenizers";
const fs::path kGolden = fs::path(PHIAL_TESTDATA) / "golden";

std::unique_ptr<Tokenizer> checked(Result<std::unique_ptr<Tokenizer>> tokenizer) {
  EXPECT_TRUE(tokenizer) << tokenizer.error().text();
  return tokenizer ? *std::move(tokenizer) : nullptr;
}

std::unique_ptr<Tokenizer> open_gguf(const fs::path& path) {
  const auto checkpoint = formats::Checkpoint::open(path);
  EXPECT_TRUE(checkpoint) << checkpoint.error().text();
  return checkpoint ? checked(from_gguf(checkpoint->metadata())) : nullptr;
}

std::string read(const fs::path& path) {
  auto text = read_text_file(path);
  EXPECT_TRUE(text) << text.error().text();
  return text ? *std::move(text) : std::string();
}

Json read_json(const fs::path& path) {
  auto json = parse_json(read(path));
  EXPECT_TRUE(json) << json.error().text();
  return json ? *std::move(json) : Json();
}

std::vector<std::string> cut(const std::string& text, const std::string& at) {
  std::vector<std::string> parts;
  size_t start = 0;
  for (size_t end = 0; (end = text.find(at, start)) != std::string::npos; start = end + at.size()) {
    parts.push_back(text.substr(start, end - start));
  }
  parts.push_back(text.substr(start));
  return parts;
}

Ids ids_of_line(const std::string& line) {
  Ids ids;
  for (const std::string& word : cut(line, " ")) {
    if (!word.empty()) ids.push_back(static_cast<TokenId>(std::strtol(word.c_str(), nullptr, 10)));
  }
  return ids;
}

class LlamaCppVectors : public testing::TestWithParam<const char*> {};

TEST_P(LlamaCppVectors, AreMetExactly) {
  const std::string name = std::string("ggml-vocab-") + GetParam() + ".gguf";
  const auto tokenizer = open_gguf(kData / "ggml-vocabs" / name);
  ASSERT_NE(tokenizer, nullptr);
  const auto texts = cut(read(kData / "ggml-vocabs" / (name + ".inp")), "\n__ggml_vocab_test__\n");
  const auto lines = cut(read(kData / "ggml-vocabs" / (name + ".out")), "\n");
  ASSERT_GE(lines.size(), texts.size());
  EXPECT_EQ(texts.size(), 47U);
  for (size_t i = 0; i < texts.size(); ++i) {
    const Ids ids = tokenizer->encode(texts[i]);
    EXPECT_EQ(ids, ids_of_line(lines[i])) << texts[i];
    EXPECT_TRUE(name.find("bert") != std::string::npos || tokenizer->decode(ids) == texts[i]) << texts[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, LlamaCppVectors, testing::Values("bert-bge", "gpt-2", "llama-spm", "phi-3"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

void expect_vectors(const Tokenizer& tokenizer, const Json& file) {
  for (const Json& vector : file["vectors"]) {
    const auto text = vector["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text), vector["ids_plain"].get<Ids>()) << text;
    EXPECT_EQ(tokenizer.encode(text, {.parse_special = true}), vector["ids_special"].get<Ids>()) << text;
    if (vector.contains("decoded_plain")) {
      EXPECT_EQ(tokenizer.decode(vector["ids_plain"].get<Ids>()), vector["decoded_plain"].get<std::string>());
    }
  }
  EXPECT_EQ(file["vectors"].size(), 86U);
  for (const Json& chat : file["chat"]) {
    const auto prompt = chat["prompt"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(prompt, {.parse_special = true}), chat["ids"].get<Ids>()) << prompt;
    if (!chat.contains("ids_with_bos")) continue;
    const Ids with_bos = chat["ids_with_bos"].get<Ids>();
    EXPECT_EQ(tokenizer.encode(prompt, {.parse_special = true, .add_bos = true}), with_bos);
    EXPECT_EQ(tokenizer.encode("<s>" + prompt, {.parse_special = true, .add_bos = true}), with_bos);
  }
}

TEST(Phi3, VectorsAreMetFromAGgufFile) {
  const auto tokenizer = open_gguf(kData / "ggml-vocabs" / "ggml-vocab-phi-3.gguf");
  ASSERT_NE(tokenizer, nullptr);
  expect_vectors(*tokenizer, read_json(kData / "phi3" / "vectors.json"));
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->vocab_size(), 32064);
  EXPECT_EQ(tokenizer->end_of_text(), Ids{32000});
  EXPECT_EQ(tokenizer->id_of("<|user|>"), 32010);
  EXPECT_EQ(tokenizer->id_of("<0x0A>"), 13);
}

TEST(Phi3, VectorsAreMetFromAFolderWithTokenizerModel) {
  const auto tokenizer = checked(from_folder(kData / "phi3"));
  ASSERT_NE(tokenizer, nullptr);
  expect_vectors(*tokenizer, read_json(kData / "phi3" / "vectors.json"));
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_TRUE(tokenizer->adds_bos());
}

TEST(Phi3, AttributesOfTheAddedTokensAreThoseOfTheReference) {
  const Json file = read_json(kData / "phi3" / "vectors.json");
  for (const auto& tokenizer :
       {open_gguf(kData / "ggml-vocabs" / "ggml-vocab-phi-3.gguf"), checked(from_folder(kData / "phi3"))}) {
    ASSERT_NE(tokenizer, nullptr);
    for (const Json& wanted : file["added_tokens"]) {
      const auto& specials = tokenizer->special_tokens();
      const auto it = std::find_if(specials.begin(), specials.end(),
                                   [&](const SpecialToken& token) { return token.text == wanted["text"]; });
      ASSERT_NE(it, specials.end()) << wanted;
      EXPECT_EQ(it->id, wanted["id"]);
      EXPECT_EQ(it->rstrip, wanted["rstrip"]) << wanted;
      EXPECT_EQ(it->lstrip, wanted["lstrip"]);
      EXPECT_TRUE(it->is_control);
    }
    EXPECT_EQ(tokenizer->special_tokens().size(), 14U);
  }
}

TEST(Phi3Small, VectorsAreMet) {
  const auto tokenizer = checked(from_folder(kData / "phi3-small"));
  ASSERT_NE(tokenizer, nullptr);
  const Json file = read_json(kData / "phi3-small" / "vectors.json");
  expect_vectors(*tokenizer, file);
  EXPECT_EQ(phi3_small_pattern(), file["pat_str"].get<std::string>());
  EXPECT_EQ(tokenizer->vocab_size(), 100352);
  ASSERT_EQ(tokenizer->special_tokens().size(), file["special_tokens"].size());
  for (const SpecialToken& token : tokenizer->special_tokens()) {
    EXPECT_EQ(file["special_tokens"][token.text], token.id) << token.text;
  }
}

TEST_F(DefaultModels, SmolLmPromptsAreTheReferences) {
  const auto tokenizer = open_gguf(smollm2());
  ASSERT_NE(tokenizer, nullptr);
  const Json file = read_json(kGolden / "real" / "smollm2-135m-instruct-q4_1" / "expected.json");
  size_t prompts = 0;
  for (const Json& prompt : file["cases"]) {
    if (!prompt.contains("prompt")) continue;
    ++prompts;
    EXPECT_EQ(tokenizer->encode(prompt["prompt"].get<std::string>(), {.parse_special = true}),
              prompt["prompt_ids"].get<Ids>());
  }
  EXPECT_EQ(prompts, 5U);
  EXPECT_FALSE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->end_of_text(), Ids{2});
}

TEST_F(DefaultModels, MiniLmSentencesAreTheReferences) {
  const auto by_json = checked(from_folder(minilm()));
  const auto by_vocab_txt = checked(from_vocab_txt(read(minilm() / "vocab.txt"), true));
  ASSERT_NE(by_json, nullptr);
  ASSERT_NE(by_vocab_txt, nullptr);
  const Json file = read_json(kGolden / "real" / "all-minilm-l6-v2" / "expected.json");
  EXPECT_EQ(file["sentences"].size(), 30U);
  for (const Json& sentence : file["sentences"]) {
    const auto wanted = sentence["ids"].get<Ids>();
    for (const auto* tokenizer : {by_json.get(), by_vocab_txt.get()}) {
      Ids ids = tokenizer->encode(sentence["text"].get<std::string>(), {.add_bos = true});
      ids.resize(std::min<size_t>(ids.size(), 255));
      ids.push_back(tokenizer->end_of_text().at(0));
      EXPECT_EQ(ids, wanted) << sentence["text"];
    }
  }
}

// The fixtures have the same vocabulary as tokenizer.model with added_tokens.json, and inside their GGUF files.
TEST(Fixtures, FolderAndGgufFileEncodeAlike) {
  for (const char* name : {"llama-like", "phi3-mini-like", "phi3-medium-like", "phi3-128k-like"}) {
    SCOPED_TRACE(name);
    const auto by_folder = checked(from_folder(kGolden / name));
    ASSERT_NE(by_folder, nullptr);
    for (const fs::directory_entry& entry : fs::directory_iterator(kGolden / name)) {
      if (entry.path().extension() != ".gguf") continue;
      const auto by_gguf = open_gguf(entry.path());
      ASSERT_NE(by_gguf, nullptr);
      Random random(11);
      for (int i = 0; i < 200; ++i) {
        std::string text = random_text(random, random.below(30));
        if (i % 2 == 0) text += "<|user|>\n" + random_text(random, 5) + "<|end|>\n<|assistant|>\n</s>";
        EXPECT_EQ(by_folder->encode(text, {.parse_special = true}), by_gguf->encode(text, {.parse_special = true}));
        EXPECT_EQ(by_folder->decode(by_folder->encode(text)), text);
      }
    }
  }
}

}  // namespace
}  // namespace phial::tokenizer

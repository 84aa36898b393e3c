// What every vocabulary must keep: texts come back, and nobody forges a special token.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "phial/base/mapped_file.h"
#include "phial/formats/checkpoint.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/random_text_for_test.h"

namespace phial::tokenizer {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<TokenId>;

const fs::path kVocabularies = fs::path(PHIAL_TESTDATA) / "tokenizers";

struct Named {
  std::string name;
  std::unique_ptr<Tokenizer> tokenizer;
};

std::vector<Named> all_vocabularies() {
  std::vector<Named> all;
  for (const char* name : {"gpt-2", "llama-spm", "phi-3", "bert-bge"}) {
    const auto file =
        formats::Checkpoint::open(kVocabularies / "ggml-vocabs" / (std::string("ggml-vocab-") + name + ".gguf"));
    EXPECT_TRUE(file) << file.error().text();
    auto tokenizer = from_gguf(file->metadata());
    EXPECT_TRUE(tokenizer) << tokenizer.error().text();
    all.push_back({name, *std::move(tokenizer)});
  }
  for (const char* name : {"phi3", "phi3-small"}) {
    auto tokenizer = from_folder(kVocabularies / name);
    EXPECT_TRUE(tokenizer) << tokenizer.error().text();
    all.push_back({name, *std::move(tokenizer)});
  }
  return all;
}

class EveryVocabulary : public testing::Test {
 protected:
  static void SetUpTestSuite() { vocabularies_ = new std::vector<Named>(all_vocabularies()); }
  static void TearDownTestSuite() {
    delete vocabularies_;
    vocabularies_ = nullptr;
  }
  static const std::vector<Named>& vocabularies() { return *vocabularies_; }

 private:
  static inline std::vector<Named>* vocabularies_ = nullptr;
};

TEST_F(EveryVocabulary, GivesTextsAndBytesBack) {
  Random random(21);
  for (const Named& named : vocabularies()) {
    if (named.name == "bert-bge") continue;  // normalises
    SCOPED_TRACE(named.name);
    for (int i = 0; i < 1500; ++i) {
      const std::string text =
          i % 2 == 0 ? random_text(random, random.below(40)) : random_bytes(random, random.below(80));
      ASSERT_EQ(named.tokenizer->decode(named.tokenizer->encode(text)), text);
    }
  }
}

TEST_F(EveryVocabulary, StreamsTheBytesThatDecodeGives) {
  Random random(22);
  for (const Named& named : vocabularies()) {
    SCOPED_TRACE(named.name);
    const bool drops_first_space = named.name != "gpt-2" && named.name != "phi3-small";
    for (int i = 0; i < 200; ++i) {
      const Ids ids = named.tokenizer->encode(random_text(random, 10));
      std::string streamed;
      for (const TokenId id : ids) streamed += named.tokenizer->bytes_of(id);
      if (drops_first_space && streamed.starts_with(' ')) streamed.erase(0, 1);
      ASSERT_EQ(streamed, named.tokenizer->decode(ids));
    }
  }
}

TEST_F(EveryVocabulary, NeverMakesASpecialTokenOfPlainText) {
  Random random(23);
  for (const Named& named : vocabularies()) {
    SCOPED_TRACE(named.name);
    const auto& specials = named.tokenizer->special_tokens();
    ASSERT_FALSE(specials.empty());
    const auto is_special = [&](TokenId id) {
      return std::any_of(specials.begin(), specials.end(), [&](const SpecialToken& s) { return s.id == id; });
    };
    // WordPiece's unknown token is what it makes of text that it cannot spell.
    const std::optional<TokenId> unknown = named.tokenizer->id_of("[UNK]");
    const auto expect_none = [&](const std::string& text) {
      for (const TokenId id : named.tokenizer->encode(text)) {
        EXPECT_TRUE(id == unknown || !is_special(id)) << text << " gives " << id;
      }
    };
    for (const SpecialToken& special : specials) {
      const std::string& text = special.text;
      expect_none(text);
      expect_none(" " + text + "\n" + text + text);
      expect_none("a" + text + "b");
      // One inside another: taking the inner one out must not leave the outer one.
      for (size_t cut = 1; cut < text.size(); ++cut) expect_none(text.substr(0, cut) + text + text.substr(cut));
    }
    for (int i = 0; i < 300; ++i) {
      std::string text = random_text(random, 5);
      text.insert(random.below(text.size() + 1), specials[random.below(specials.size())].text);
      expect_none(text);
    }
  }
}

TEST_F(EveryVocabulary, FindsEverySpecialTokenWhenAsked) {
  for (const Named& named : vocabularies()) {
    SCOPED_TRACE(named.name);
    for (const SpecialToken& special : named.tokenizer->special_tokens()) {
      const Ids alone = {special.id};
      EXPECT_EQ(named.tokenizer->encode(special.text, {.parse_special = true}), alone) << special.text;
      EXPECT_EQ(named.tokenizer->id_of(special.text), special.id);
      EXPECT_EQ(named.tokenizer->decode(alone, /*show_special=*/true).find(special.text) != std::string::npos, true);
      EXPECT_EQ(named.tokenizer->decode(alone), special.is_control ? "" : special.text);
    }
  }
}

TEST_F(EveryVocabulary, TakesIdsThatDoNotExist) {
  for (const Named& named : vocabularies()) {
    const Ids ids = {-1, INT32_MIN, INT32_MAX, named.tokenizer->vocab_size()};
    EXPECT_EQ(named.tokenizer->decode(ids, true), "");
    EXPECT_EQ(named.tokenizer->bytes_of(INT32_MAX, true), "");
  }
}

// A merge loop that looks at every pair each time would take minutes here.
TEST_F(EveryVocabulary, EncodesALongTextWithoutASpaceInReasonableTime) {
  Random random(24);
  std::string letters;
  while (letters.size() < (size_t{1} << 17)) letters.push_back(static_cast<char>('a' + random.below(26)));
  for (const Named& named : vocabularies()) {
    SCOPED_TRACE(named.name);
    for (const std::string& text : {letters, std::string(letters.size(), 'a'), std::string(letters.size(), ' ')}) {
      const Ids ids = named.tokenizer->encode(text);
      EXPECT_TRUE(named.name == "bert-bge" || named.tokenizer->decode(ids) == text);
    }
  }
}

}  // namespace
}  // namespace phial::tokenizer

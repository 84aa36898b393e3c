#include "phial/tokenizer/splitter.h"

#include <gtest/gtest.h>

#include "phial/base/random.h"
#include "phial/base/utf8.h"
#include "phial/tokenizer/random_text_for_test.h"

namespace phial::tokenizer {
namespace {

using Words = std::vector<std::string_view>;

Words words_of(const Splitter& splitter, std::string_view text) {
  Words words;
  splitter.split(text, words);
  return words;
}

std::unique_ptr<Splitter> pcre(std::string_view regex) {
  auto splitter = make_pcre_splitter(regex, SplitBehaviour::kIsolated);
  EXPECT_TRUE(splitter) << splitter.error().text();
  return *std::move(splitter);
}

struct Known {
  const char* name;
  const char* regex;
};
constexpr Known kKnown[] = {
    {"gpt2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    {"llama3",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"qwen2",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"phi3_small",
     R"(('s|'S|'t|'T|'re|'rE|'Re|'RE|'ve|'vE|'Ve|'VE|'m|'M|'ll|'lL|'Ll|'LL|'d|'D)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
};

TEST(Splitter, HandWrittenPatternsCutAsTheirRegularExpressionsDo) {
  for (const Known& known : kKnown) {
    SCOPED_TRACE(known.name);
    const auto by_hand = known_regex_splitter(known.regex);
    ASSERT_NE(by_hand, nullptr);
    const auto by_regex = pcre(known.regex);
    Random random(7);
    for (int i = 0; i < 4000; ++i) {
      const std::string text = random_text(random, 1 + random.below(40));
      ASSERT_EQ(words_of(*by_hand, text), words_of(*by_regex, text)) << text;
    }
  }
}

TEST(Splitter, SmolLmCutsEveryDigitOutFirst) {
  const auto by_hand = make_word_splitter(kSmolLmWords);
  std::vector<std::unique_ptr<Splitter>> parts;
  parts.push_back(make_digit_splitter(/*individual=*/true));
  parts.push_back(pcre(kKnown[0].regex));
  const auto in_sequence = make_sequence(std::move(parts));
  EXPECT_EQ(words_of(*by_hand, "in  1984, 12"), (Words{"in", "  ", "1", "9", "8", "4", ",", " ", "1", "2"}));
  Random random(8);
  for (int i = 0; i < 4000; ++i) {
    const std::string text = random_text(random, 1 + random.below(40));
    ASSERT_EQ(words_of(*by_hand, text), words_of(*in_sequence, text)) << text;
  }
}

TEST(Splitter, WordsJoinedAreTheTextForAnyBytes) {
  Random random(9);
  for (const Known& known : kKnown) {
    const auto by_hand = known_regex_splitter(known.regex);
    const auto by_regex = pcre(known.regex);
    for (int i = 0; i < 500; ++i) {
      const std::string text = random_bytes(random, random.below(60));
      for (const Splitter* splitter : {by_hand.get(), by_regex.get()}) {
        std::string joined;
        for (const std::string_view word : words_of(*splitter, text)) joined.append(word);
        ASSERT_EQ(joined, text);
      }
    }
  }
}

TEST(Splitter, MatchesMayBelongToTheWordBeforeOrBehind) {
  const auto previous = make_pcre_splitter("-", SplitBehaviour::kMergedWithPrevious);
  const auto next = make_pcre_splitter("-", SplitBehaviour::kMergedWithNext);
  ASSERT_TRUE(previous);
  ASSERT_TRUE(next);
  EXPECT_EQ(words_of(**previous, "the-final--countdown"), (Words{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(words_of(**next, "the-final--countdown"), (Words{"the", "-final", "-", "-countdown"}));
}

TEST(Splitter, AMalformedPatternIsAnErrorThatQuotesIt) {
  const auto splitter = make_pcre_splitter("(unclosed", SplitBehaviour::kIsolated);
  ASSERT_FALSE(splitter);
  EXPECT_EQ(splitter.error().code, Code::kUnsupported);
  EXPECT_NE(splitter.error().message.find("(unclosed"), std::string::npos);
}

TEST(Splitter, APatternThatBacktracksWithoutEndIsGivenUp) {
  const auto splitter = make_pcre_splitter("(a+)+b", SplitBehaviour::kIsolated);
  ASSERT_TRUE(splitter);
  const std::string text(5000, 'a');
  std::string joined;
  for (const std::string_view word : words_of(**splitter, text)) joined.append(word);
  EXPECT_EQ(joined, text);
}

}  // namespace
}  // namespace phial::tokenizer

#include "phial/train/retrieval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "phial/tokenizer/load.h"
#include "phial/train/golden_networks_for_test.h"

namespace phial::train {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using tokenizer::TokenId;

// Phi-3's SentencePiece vocabulary, Phi-3-small's of tiktoken.
class RetrievalOf : public testing::TestWithParam<const char*> {
 protected:
  RetrievalOf() {
    auto opened = tokenizer::from_folder(std::filesystem::path(PHIAL_TESTDATA) / "tokenizers" / GetParam());
    EXPECT_TRUE(opened) << opened.error().text();
    tokenizer_ = *std::move(opened);
  }
  RetrievalPrompts prompts() const {
    const std::string real = "Once there was a fisherman who lived by the sea. He had a wife! Every day he went out? ";
    return {*tokenizer_, {tokenizer_->encode(real + real)}, 5, 7};
  }
  std::string text_of(const RetrievalPrompt& prompt) const {
    const std::string text = tokenizer_->decode(prompt.ids);
    return text.starts_with(' ') ? text.substr(1) : text;
  }
  std::string answer_of(const RetrievalPrompt& prompt) const {
    return tokenizer_->decode(std::span(prompt.ids).subspan(prompt.answer));
  }

  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
};

TEST_P(RetrievalOf, APromptIsTheTextWithANumberInItAndAQuestion) {
  const auto passkey = prompts().prompt(RetrievalTask::kPasskey, 200, 0.5, 0);
  ASSERT_TRUE(passkey);
  EXPECT_THAT(
      text_of(*passkey),
      testing::MatchesRegex("The grass is green. The sky .* The pass key is ([0-9]+). Remember it. [0-9]+ is the "
                            "pass key. .*[.] What is the pass key[?] The pass key is [0-9]+"));
  const auto needle = prompts().prompt(RetrievalTask::kNeedle, 200, 0.5, 0);
  ASSERT_TRUE(needle);
  EXPECT_THAT(text_of(*needle), HasSubstr("fisherman who lived by the sea."));
  EXPECT_THAT(text_of(*needle), testing::ContainsRegex("[.!?] The secret number of [a-z]+ is [0-9]+. .*[.!?] What is "
                                                       "the secret number of [a-z]+[?] The secret number of [a-z]+ is "
                                                       "[0-9]+$"));
}

TEST_P(RetrievalOf, TheAnswerIsTheNumberThatWasTold) {
  for (const RetrievalTask task : {RetrievalTask::kPasskey, RetrievalTask::kNeedle}) {
    std::set<std::string> answers;
    for (uint64_t sample = 0; sample < 6; ++sample) {
      const auto prompt = prompts().prompt(task, 150, 0.3, sample);
      ASSERT_TRUE(prompt);
      std::string number = answer_of(*prompt);
      number.erase(0, number.find_first_not_of(' '));
      EXPECT_EQ(number.size(), 5);
      EXPECT_THAT(text_of(*prompt), HasSubstr("is " + number + ". "));
      answers.insert(number);
    }
    EXPECT_EQ(answers.size(), 6) << "another one each time";
  }
  EXPECT_EQ(prompts().prompt(RetrievalTask::kNeedle, 150, 0.3, 2)->ids,
            prompts().prompt(RetrievalTask::kNeedle, 150, 0.3, 2)->ids);
}

TEST_P(RetrievalOf, LengthAndDepthAreThoseThatWereAskedFor) {
  for (const int64_t tokens : {100, 300, 1000}) {
    double last = -1;
    for (const double depth : {0.0, 0.25, 0.5, 0.75, 1.0}) {
      const auto prompt = prompts().prompt(RetrievalTask::kPasskey, tokens, depth, 1);
      ASSERT_TRUE(prompt);
      EXPECT_LE(std::ssize(prompt->ids), tokens);
      EXPECT_GE(std::ssize(prompt->ids), tokens - 32);
      const std::string text = text_of(*prompt);
      const auto at = static_cast<double>(text.find("The pass key is"));
      const auto whole = static_cast<double>(text.find("What is the pass key?"));
      EXPECT_GE(at, last);
      EXPECT_NEAR(at / whole, depth, 40.0 / static_cast<double>(tokens));
      last = at;
    }
  }
}

TEST_P(RetrievalOf, APromptThatDoesNotFitIsNone) {
  EXPECT_FALSE(prompts().prompt(RetrievalTask::kPasskey, 20, 0.5, 0));
  EXPECT_FALSE(RetrievalPrompts(*tokenizer_, {}, 5, 7).prompt(RetrievalTask::kNeedle, 200, 0.5, 0));
}

TEST_P(RetrievalOf, ATextWithoutTheEndOfASentenceIsCutWhereItMust) {
  const RetrievalPrompts prompts(*tokenizer_, {tokenizer_->encode("the sea and the sky and")}, 5, 7);
  const auto prompt = prompts.prompt(RetrievalTask::kNeedle, 100, 0.5, 0);
  ASSERT_TRUE(prompt);
  EXPECT_EQ(prompt->ids.size(), 100);
  const auto at = static_cast<double>(text_of(*prompt).find("The secret number")),
             whole = static_cast<double>(text_of(*prompt).find("What is"));
  EXPECT_NEAR(at / whole, 0.4, 0.2);
}

TEST_P(RetrievalOf, WhoeverFindsEveryNumberHasAllRightAndWhoeverFindsNoneHasNone) {
  const RetrievalGrid grid = {.lengths = {15, 120, 400}, .depths = {0, 0.5, 1}, .samples = 3};
  const auto finds = [&](const RetrievalPrompt& prompt) {  // the number behind the first "is"
    const std::string text = text_of(prompt);
    std::smatch found;
    return std::regex_search(text, found, std::regex("is ([0-9]+)[.]")) && answer_of(prompt).ends_with(found[1].str());
  };
  for (const RetrievalTask task : {RetrievalTask::kPasskey, RetrievalTask::kNeedle}) {
    int told = 0;
    const auto measure = [&](const RetrievalAnswers& answers) {
      const auto shares = measure_retrieval(answers, prompts(), task, grid, {}, [&] { ++told; });
      EXPECT_TRUE(shares);
      return *shares;
    };
    EXPECT_THAT(measure(finds), ElementsAre(Each(-1), Each(1), Each(1))) << "15 tokens are too few";
    EXPECT_THAT(measure([](const RetrievalPrompt&) { return false; }), ElementsAre(Each(-1), Each(0), Each(0)));
    EXPECT_EQ(told, 2 * 27);
    // Who sees the last 60 tokens alone finds what stands at the end.
    const auto near = measure([&](const RetrievalPrompt& prompt) {
      const std::string seen = tokenizer_->decode(std::span(prompt.ids).subspan(prompt.ids.size() - 60));
      return std::regex_search(seen, std::regex("is [0-9]+[.]"));
    });
    EXPECT_THAT(near[2], ElementsAre(0, 0, 1));
  }
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(measure_retrieval(finds, prompts(), RetrievalTask::kPasskey, grid, stop.get_token(), [] {}).error().code,
            Code::kCancelled);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, RetrievalOf, testing::Values("phi3", "phi3-small"), [](const auto& tokenizer) {
  return std::string(tokenizer.param) == "phi3" ? "Phi3" : "Phi3Small";
});

// What the network itself goes on with is right, and anything else is not. The last token is decided by those before
// it: of 41 tokens the second model takes its long factors, of 33 its short ones, which are for 32.
TEST(Retrieval, AnAnswerIsRightIfGreedyDecodingGivesIt) {
  for (const char* name : {"phi3-mini-like", "phi3-128k-like"}) {
    const Network network = load_network(model::golden(name));
    for (const size_t tokens : {41, 33}) {
      RetrievalPrompt prompt = {model::long_text(tokens - 4, network.spec().vocab_size), tokens - 4};
      const auto table = choose_rope_table(network.spec(), spec::RopePolicy::kDynamic, static_cast<int>(tokens) - 1);
      for (int i = 0; i < 4; ++i) {
        const at::NoGradGuard no_grad;
        const at::Tensor logits = network.logits(one_row(prompt.ids, table));
        prompt.ids.push_back(static_cast<TokenId>(logits[0][-1].argmax().item<int64_t>()));
      }
      EXPECT_TRUE(answers_rightly(network, prompt)) << name << tokens;
      for (size_t i = prompt.answer; i < prompt.ids.size(); ++i) {
        RetrievalPrompt other = prompt;
        other.ids[i] = (other.ids[i] + 1) % network.spec().vocab_size;
        EXPECT_FALSE(answers_rightly(network, other)) << name << tokens << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace phial::train

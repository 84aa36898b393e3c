// testdata/train/trl.json: what TRL's trainers compute (tools/make_trl_oracles.py).
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "phial/base/json_file.h"
#include "phial/train/golden_networks_for_test.h"
#include "phial/train/packed_conversations.h"
#include "phial/train/preference_stage.h"
#include "phial/train/ranks_for_test.h"
#include "phial/train/token_stage.h"

namespace phial::train {
namespace {

using model::golden;

TokenizedAnswer answer_of(const Json& json) {
  TokenizedAnswer answer = {json["ids"].get<std::vector<int32_t>>(), {}};
  for (const Json& flag : json["is_answer"]) answer.is_answer.push_back(flag.get<int>() != 0);
  return answer;
}

std::vector<TokenizedPair> pairs_of(const Json& json) {
  std::vector<TokenizedPair> pairs;
  for (const Json& pair : json) pairs.push_back({answer_of(pair["chosen"]), answer_of(pair["rejected"])});
  return pairs;
}

void expect_gradients(const Network& network, const Json& wanted, const std::string& what) {
  double largest = 0;
  for (const auto& [name, kept] : wanted.items()) largest = std::max(largest, kept[0].get<double>());
  size_t compared = 0;
  for (const Parameter& parameter : network.parameters()) {
    ASSERT_TRUE(parameter.value.grad().defined()) << what << parameter.name;
    const auto kept = wanted[parameter.name].get<std::vector<double>>();
    const at::Tensor flat = parameter.value.grad().to(at::kDouble).flatten();
    const at::Tensor signs = at::arange(flat.numel(), at::kDouble).cos();
    // A key's bias turns nothing in attention: its gradient is rounding.
    const double tolerance = 1e-4 * kept[0] + 1e-6 * largest;
    EXPECT_NEAR(flat.norm().item<double>(), kept[0], tolerance) << what << parameter.name;
    EXPECT_NEAR((flat * signs).sum().item<double>(), kept[1], tolerance) << what << parameter.name;
    ++compared;
  }
  EXPECT_EQ(compared, wanted.size());
}

// Every weight i of a tensor times 1 + 0.1 cos(i).
Network moved(Network network) {
  const at::NoGradGuard no_grad;
  for (Parameter& parameter : network.parameters()) {
    const at::Tensor factors = (at::arange(parameter.value.numel(), at::kDouble).cos() * 0.1 + 1).to(at::kFloat);
    parameter.value.mul_(factors.view_as(parameter.value));
  }
  return network;
}

PreferenceOptions options_of(const std::string& name, const Json& wanted) {
  PreferenceOptions options = {.beta = wanted["beta"], .label_smoothing = wanted["label_smoothing"]};
  if (name == "sigmoid_norm") options.loss = PreferenceLoss::kSigmoidNormalised;
  if (name == "ipo") options.loss = PreferenceLoss::kIpo;
  return options;
}

class TuningOracles : public testing::Test {
 protected:
  TuningOracles() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    auto read = read_json_if_there(std::filesystem::path(PHIAL_TESTDATA) / "train" / "trl.json");
    EXPECT_TRUE(read && read->is_object());
    if (read && read->is_object()) models_ = (*read)["models"];
  }
  ~TuningOracles() override { std::filesystem::remove_all(folder_); }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      ("phial-oracles-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
  Json models_;
  ProcessGroup alone_;
  GradientBuckets gradients_{{}, alone_, Sharding::kNone};
};

TEST_F(TuningOracles, PreferenceLossesRewardsAndGradientsAreThoseOfTrl) {
  ASSERT_EQ(models_.size(), 2U);
  for (const auto& [model, wanted] : models_.items()) {
    const auto n = static_cast<int64_t>(wanted["pairs"].size());
    for (const auto& [name, loss] : wanted["preferences"].items()) {
      const std::string what = model + " " + name + " ";
      std::filesystem::remove_all(folder_);
      std::filesystem::create_directories(folder_);
      PreferenceStage stage(pairs_of(wanted["pairs"]), {},
                            {.preference = options_of(name, loss), .rows = n, .folder = folder_});
      ASSERT_TRUE(stage.prepare(moved(load_network(golden(model))), {}, alone_));
      const Network network = load_network(golden(model));
      const auto sums = stage.step(network, 0, gradients_);
      ASSERT_TRUE(sums) << sums.error().text();
      EXPECT_NEAR(sums->loss, loss["loss"].get<double>(), 1e-5) << what;
      size_t compared = 0;
      for (const auto& [metric, value] : sums->metrics) {
        const std::map<std::string, std::string> names = {{"reward_chosen", "chosen"},
                                                          {"reward_rejected", "rejected"},
                                                          {"reward_margin", "margins"},
                                                          {"reward_accuracy", "accuracies"}};
        if (names.contains(metric)) {
          ++compared;
          EXPECT_NEAR(value, loss["rewards"][names.at(metric)].get<double>(), 2e-5) << what << metric;
        }
      }
      EXPECT_EQ(compared, 4U) << what;
      expect_gradients(network, loss["gradients"], what);
    }
  }
}

TEST_F(TuningOracles, TheLossOfPackedAnswersIsThatOfTrlUnpacked) {
  for (const auto& [model, wanted] : models_.items()) {
    std::vector<TokenizedAnswer> conversations;
    for (const Json& one : wanted["conversations"]) conversations.push_back(answer_of(one));
    for (const int64_t sequence_tokens : {24, 40, 200}) {
      auto source = std::make_unique<PackedConversations>(std::vector<std::vector<TokenizedAnswer>>{conversations},
                                                          PackingOptions{.sequence_tokens = sequence_tokens});
      const auto rows = static_cast<int64_t>(source->rows());
      EXPECT_EQ(rows == 1, sequence_tokens == 200);
      const Network network = load_network(golden(model));
      TokenStage stage(std::move(source), nullptr, {.rows = rows});
      const auto sums = stage.step(network, 0, gradients_);
      ASSERT_TRUE(sums) << sums.error().text();
      EXPECT_NEAR(sums->loss, wanted["sft"]["loss"].get<double>(), 1e-5) << model << sequence_tokens;
      expect_gradients(network, wanted["sft"]["gradients"], model + " sft ");
    }
  }
}

TEST_F(TuningOracles, TheSameLossesAndGradientsComeOfPairsThatRanksDivide) {
  const Json& wanted = models_["phi3-mini-like"];
  const auto pairs = static_cast<int64_t>(wanted["pairs"].size());
  const Json& loss = wanted["preferences"]["ipo"];
  at_ranks(3, [&](ProcessGroup& group) {
    PreferenceStage stage(
        pairs_of(wanted["pairs"]), pairs_of(wanted["pairs"]),
        {.preference = options_of("ipo", loss), .rows = 1, .accumulate = pairs, .samples = 100, .folder = folder_});
    ASSERT_TRUE(stage.prepare(moved(load_network(golden("phi3-mini-like"))), {}, group));
    Network network = load_network(golden("phi3-mini-like"));
    GradientBuckets gradients(network.trained(), group, Sharding::kNone);
    gradients.begin_step();
    const auto sums = stage.step(network, 0, gradients);
    ASSERT_TRUE(sums) << sums.error().text();
    EXPECT_NEAR(sums->loss, loss["loss"].get<double>(), 1e-5);
    expect_gradients(network, loss["gradients"], "rank " + std::to_string(group.rank()) + " ");
    const auto held_out = stage.evaluate(network, {}, group);
    ASSERT_TRUE(held_out);
    EXPECT_NEAR(held_out->front().second, loss["loss"].get<double>(), 1e-5);
  });
}

TEST_F(TuningOracles, WhereTheModelIsItsReferenceTheLossIsThatOfGuessing) {
  const Json& wanted = models_["phi3-mini-like"];
  PreferenceStage stage(pairs_of(wanted["pairs"]), {}, {.rows = 2, .accumulate = 2, .folder = folder_});
  const Network network = load_network(golden("phi3-mini-like"));
  ASSERT_TRUE(stage.prepare(network, {}, alone_));
  const auto sums = stage.step(network, 0, gradients_);
  ASSERT_TRUE(sums);
  EXPECT_NEAR(sums->loss, std::log(2.0), 1e-6);
}

TEST_F(TuningOracles, TheReferenceIsComputedOnceAndAgainIfItsFileIsDamaged) {
  const Json& wanted = models_["phi3-mini-like"];
  const Network network = load_network(golden("phi3-mini-like"));
  const auto prepared = [&] {
    PreferenceStage stage(pairs_of(wanted["pairs"]), {}, {.rows = 2, .folder = folder_});
    int computed = 0;
    EXPECT_TRUE(stage.prepare(network, {.prepares = [&](auto, auto, auto) { ++computed; }}, alone_));
    return computed;
  };
  EXPECT_EQ(prepared(), 2);
  EXPECT_EQ(prepared(), 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) - 4);
  }
  EXPECT_EQ(prepared(), 2);
  EXPECT_EQ(prepared(), 0);
}

}  // namespace
}  // namespace phial::train

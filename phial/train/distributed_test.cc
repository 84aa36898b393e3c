// The program itself in several processes, as torchrun and Slurm start it: they learn what one process learns, and
// outlive the end of any of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "phial/base/json.h"
#include "phial/base/random.h"
#include "phial/train/ranks_for_test.h"
#include "phial/train/training_program_for_test.h"

namespace phial::train {
namespace {

using Fields = std::vector<std::string>;

// Sums of another order differ in their last bits, and a step of AdamW hands that on: of the 12 steps' losses, which
// fall from 4.2 to 2 or so, five digits are the same.
constexpr double kSameLoss = 1e-5;

class Distributed : public TrainingProgram {
 protected:
  ~Distributed() override {
    for (const pid_t pid : running_) kill(pid, SIGKILL);
  }

  // 12 steps of 2 * 3 rows, which 4 ranks do not divide; a snapshot every fourth.
  pid_t start_one(const std::string& out, const Fields& more, const std::vector<std::string>& variables) const {
    Fields fields = {"data.sequence_tokens=32", "batch.rows=2",
                     "batch.accumulate=3",      "optimizer.lr=0.01",
                     "train.steps=12",          "train.threads=1",
                     "schedule.kind=constant",  "schedule.warmup_steps=3",
                     "run.snapshot_every=4",    "run.peak_tflops=1",
                     "train.peer_timeout=60",   "data.held_out=['" + path("data.tokens").string() + "']"};
    fields.insert(fields.end(), more.begin(), more.end());
    return start(out, fields, variables);
  }

  // As torchrun does it: it keeps the store, and counts how often it starts all of them anew.
  std::vector<pid_t> launch(int ranks, const std::string& out, const Fields& fields, int restarts = 0) {
    if (restarts == 0) store_ = new_launcher_store();
    std::vector<pid_t> pids;
    for (int rank = 0; rank < ranks; ++rank) {
      pids.push_back(start_one(out, fields,
                               {"RANK=" + std::to_string(rank), "WORLD_SIZE=" + std::to_string(ranks),
                                "LOCAL_WORLD_SIZE=" + std::to_string(ranks), "MASTER_ADDR=127.0.0.1",
                                "MASTER_PORT=" + std::to_string(store_->getPort()), "TORCHELASTIC_USE_AGENT_STORE=True",
                                "TORCHELASTIC_RESTART_COUNT=" + std::to_string(restarts)}));
    }
    running_ = pids;
    return pids;
  }

  // Exit statuses, once all have ended.
  std::vector<int> statuses(const std::vector<pid_t>& pids) {
    std::vector<int> all;
    const auto began = std::chrono::steady_clock::now();
    for (const pid_t pid : pids) {
      int status = -1;
      while (waitpid(pid, &status, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() - began > std::chrono::seconds(120)) {
          ADD_FAILURE() << "processes hang";
          for (const pid_t each : pids) kill(each, SIGKILL);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      all.push_back(status);
    }
    running_.clear();
    return all;
  }

  void train(int ranks, const std::string& out, const Fields& fields = {}) {
    if (ranks == 1) {
      EXPECT_EQ(status_of(start_one(out, fields, {})), 0);
    } else {
      EXPECT_THAT(statuses(launch(ranks, out, fields)), testing::Each(0)) << out;
    }
  }

  // Returns when the run has so many lines.
  void wait_for_lines(const std::string& out, size_t wanted) const {
    const auto began = std::chrono::steady_clock::now();
    while (lines(out) < wanted) {
      ASSERT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60)) << "no step in a minute";
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  }

  std::vector<double> values_of(const std::string& out, const std::string& key) const {
    std::vector<double> values;
    std::ifstream in(path(out) / "metrics.jsonl");
    for (std::string line; std::getline(in, line);) {
      const Json object = *parse_json(line);
      if (const auto value = find_number(object, key)) values.push_back(*value);
    }
    return values;
  }

  void expect_same_curve(const std::string& out, const std::string& wanted) const {
    for (const char* key : {"loss", "gradient_norm", "held_out_loss"}) {
      EXPECT_THAT(values_of(out, key), testing::Pointwise(testing::DoubleNear(kSameLoss), values_of(wanted, key)))
          << out << " " << key;
    }
    EXPECT_EQ(values_of(out, "tokens"), values_of(wanted, "tokens")) << out;
    EXPECT_EQ(values_of(out, "loss").size(), 12U) << out;
  }

 private:
  c10::intrusive_ptr<c10d::TCPStore> store_;
  std::vector<pid_t> running_;
};

TEST_F(Distributed, SeveralProcessesLearnWhatOneLearns) {
  train(1, "one");
  EXPECT_EQ(values_of("one", "held_out_loss").size(), 1U);
  for (const int ranks : {2, 4}) {
    const std::string n = std::to_string(ranks);
    train(ranks, "whole" + n);
    expect_same_curve("whole" + n, "one");
    train(ranks, "again" + n);
    EXPECT_EQ(model_bytes("again" + n), model_bytes("whole" + n));
    train(ranks, "divided" + n, {"train.shard=optimizer"});
    expect_same_curve("divided" + n, "one");
  }
}

TEST_F(Distributed, AKilledRankEndsTheOthersAndARestartEndsWithTheSameBits) {
  Random random(5);
  for (const int ranks : {2, 4}) {
    // 40 steps: the run cannot end before it is killed.
    const Fields fields = {"train.steps=40", "run.snapshot_every=2",
                           ranks == 4 ? "train.shard=optimizer" : "train.shard=none"};
    const std::string whole = "whole" + std::to_string(ranks), parts = "parts" + std::to_string(ranks);
    train(ranks, whole, fields);
    auto pids = launch(ranks, parts, fields);
    wait_for_lines(parts, 2 + random.below(6));
    const auto victim = static_cast<size_t>(random.below(static_cast<uint64_t>(ranks)));
    kill(pids[victim], SIGKILL);
    const std::vector<int> ended = statuses(pids);
    for (size_t i = 0; i < pids.size(); ++i) EXPECT_NE(ended[i], 0) << i;
    EXPECT_TRUE(WIFSIGNALED(ended[victim]));
    EXPECT_FALSE(std::filesystem::exists(path(parts) / "model"));
    EXPECT_THAT(statuses(launch(ranks, parts, fields, /*restarts=*/1)), testing::Each(0));
    EXPECT_EQ(losses_of(parts), losses_of(whole));
    EXPECT_EQ(model_bytes(parts), model_bytes(whole));
  }
}

TEST_F(Distributed, ARunGoesOnWithAnotherNumberOfProcesses) {
  train(1, "one");
  const std::string divided = "train.shard=optimizer";
  train(4, "parts", {divided, "train.steps=4"});
  train(2, "parts", {divided, "train.steps=6"});
  train(3, "parts", {divided, "train.steps=8"});
  train(1, "parts", {"train.steps=10"});
  train(2, "parts", {divided});
  EXPECT_THAT(losses_of("parts"), testing::Pointwise(testing::DoubleNear(kSameLoss), losses_of("one")));
}

TEST_F(Distributed, ASnapshotOfWhichAFileIsMissingIsPassedOver) {
  const Fields fields = {"train.shard=optimizer"};
  train(2, "whole", fields);
  train(2, "parts", {"train.shard=optimizer", "train.steps=8"});
  std::filesystem::remove(snapshots("parts").back() / "optimizer-00002-of-00002.safetensors");
  train(2, "parts", fields);
  EXPECT_EQ(losses_of("parts"), losses_of("whole"));
  EXPECT_EQ(model_bytes("parts"), model_bytes("whole"));
}

TEST_F(Distributed, OneRankThatIsStoppedStopsAllWithASnapshot) {
  const auto pids = launch(2, "parts", {"train.steps=100000"});
  wait_for_lines("parts", 3);
  kill(pids[1], SIGTERM);
  EXPECT_THAT(statuses(pids), testing::Each(testing::Ne(0)));
  const size_t done = lines("parts");
  const std::string number = std::to_string(done);
  EXPECT_EQ(snapshots("parts").back().filename().string(), "step-" + std::string(9 - number.size(), '0') + number);
}

TEST_F(Distributed, StepsWithoutAFiniteLossAreSkippedByAllRanks) {
  for (const char* shard : {"none", "optimizer"}) {
    const std::string out = std::string("out-") + shard;
    const auto pids = launch(2, out, {"optimizer.lr=1e30", "train.max_skipped=2", "train.shard=" + std::string(shard)});
    EXPECT_THAT(statuses(pids), testing::Each(testing::Ne(0)));
    EXPECT_GE(lines(out), 3U);
    EXPECT_LT(lines(out), 12U);
    EXPECT_FALSE(std::filesystem::exists(path(out) / "model"));
  }
}

TEST_F(Distributed, RanksOfDifferentConfigurationsAreAnErrorAtAll) {
  const auto store = new_launcher_store();
  std::vector<pid_t> pids;
  for (int rank = 0; rank < 2; ++rank) {
    pids.push_back(start_one("out", {"train.seed=" + std::to_string(rank)},
                             {"RANK=" + std::to_string(rank), "WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1",
                              "MASTER_PORT=" + std::to_string(store->getPort()), "TORCHELASTIC_USE_AGENT_STORE=True"}));
  }
  EXPECT_THAT(statuses(pids), testing::Each(testing::Ne(0)));
  EXPECT_FALSE(std::filesystem::exists(path("out") / "metrics.jsonl"));
}

TEST_F(Distributed, SlurmsVariablesDoAsWellAndRankZeroKeepsTheStore) {
  train(1, "one");
  const uint16_t free_port = new_launcher_store()->getPort();
  std::vector<pid_t> pids;
  for (int rank = 0; rank < 2; ++rank) {
    pids.push_back(start_one("two", {},
                             {"SLURM_PROCID=" + std::to_string(rank), "SLURM_STEP_NUM_TASKS=2", "MASTER_ADDR=127.0.0.1",
                              "MASTER_PORT=" + std::to_string(free_port)}));
  }
  EXPECT_THAT(statuses(pids), testing::Each(0));
  expect_same_curve("two", "one");
}

}  // namespace
}  // namespace phial::train

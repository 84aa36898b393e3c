// A step whose loss or gradient is not finite at one rank alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "phial/train/ranks_for_test.h"
#include "phial/train/run.h"
#include "phial/train/run_files_for_test.h"

namespace phial::train {
namespace {

constexpr int64_t kPoisonedStep = 3;

// The sum of squares of all weights; at rank 1 it is not a number in one step, and so are its gradients.
class PoisonedStage : public Stage {
 public:
  PoisonedStage(std::vector<Parameter> parameters, int64_t rows) : parameters_(std::move(parameters)), rows_(rows) {}

  Result<StepSums> step(const Network&, uint64_t first, GradientBuckets& gradients) override {
    ProcessGroup& group = gradients.group();
    const bool is_poisoned = group.rank() == 1 && static_cast<int64_t>(first) == (kPoisonedStep - 1) * rows_;
    at::Tensor sum = at::zeros({});
    for (const Parameter& parameter : parameters_) sum = sum + parameter.value.square().sum();
    sum = sum * (is_poisoned ? NAN : 1.0 / group.size());
    gradients.expect_last_pass();
    sum.backward();
    PHIAL_CHECKED(gradients.finish());
    double loss = sum.item<double>();
    PHIAL_CHECKED(group.sum({&loss, 1}));
    return StepSums{.loss = loss, .targets = 1, .rows = {1, 1}, .metrics = {}};
  }
  Result<Metrics> evaluate(const Network&, const std::stop_token&, ProcessGroup&) override { return Metrics{}; }

 private:
  std::vector<Parameter> parameters_;
  int64_t rows_;
};

class SkippedSteps : public RunFiles {
 protected:
  struct Ended {
    std::vector<Parameter> parameters;
    std::vector<StepReport> reports;
  };

  void run_rank(PretrainConfig config, Ended& ended) const {
    ConfigFields fields;
    config.describe(fields);
    auto model = open_start_model(config.model_config, "");
    ASSERT_TRUE(model);
    ended.parameters = new_parameters(model->spec, std::nullopt, {}, 1);
    PoisonedStage stage(ended.parameters, config.rows);
    const auto summary = run({.config = config,
                              .fields = fields,
                              .model = *std::move(model),
                              .parameters = ended.parameters,
                              .stage = stage,
                              .data = Json::object()},
                             {.report = [&](const StepReport& report) { ended.reports.push_back(report); }});
    EXPECT_TRUE(summary) << summary.error().text();
  }
};

TEST_F(SkippedSteps, PoisonAtOneRankIsSkippedByBothWhichKeepEqualBitsAndGoOn) {
  for (const char* shard : {"none", "optimizer"}) {
    const auto store = new_launcher_store();
    Ended ended[2];
    std::vector<std::thread> ranks;
    for (int rank = 0; rank < 2; ++rank) {
      PretrainConfig config = tiny_run(std::string("out-") + shard);
      config.shard = shard;
      config.steps = 6;
      config.peak_tflops = 1;
      config.world = world_at(*store, rank, 2);
      ranks.emplace_back([this, config, &own = ended[rank]] { run_rank(config, own); });
    }
    for (std::thread& rank : ranks) rank.join();
    for (const Ended& own : ended) {
      ASSERT_EQ(own.reports.size(), 6U) << shard;
      for (const StepReport& report : own.reports) {
        EXPECT_EQ(report.was_skipped, report.step == kPoisonedStep) << shard << report.step;
      }
    }
    for (size_t i = 0; i < ended[0].parameters.size(); ++i) {
      EXPECT_TRUE(ended[0].parameters[i].value.equal(ended[1].parameters[i].value)) << ended[0].parameters[i].name;
    }
    EXPECT_LT(ended[0].reports.back().loss, ended[0].reports[kPoisonedStep].loss) << shard;
  }
}

}  // namespace
}  // namespace phial::train

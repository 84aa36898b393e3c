#include "phial/train/weight_average.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>

#include "phial/base/mapped_file.h"
#include "phial/formats/checkpoint.h"
#include "phial/train/run_files_for_test.h"

namespace phial::train {
namespace {

std::vector<Parameter> one_weight(double value) {
  return {{.name = "w", .value = at::full({3}, value, at::kFloat).requires_grad_()}};
}

TEST(WeightAverage, IsTheSumOfAllWeightsByTheirShares) {
  auto weights = one_weight(0);
  WeightAverage average(weights, 0.5);
  double wanted = 0;
  for (int step = 1; step <= 12; ++step) {
    const at::NoGradGuard no_grad;
    weights[0].value.fill_(std::sin(step));
    average.add(weights, step);
    const double decay = std::min(0.5, (1.0 + step) / (10.0 + step));  // rises to 0.5 at the eighth step
    wanted = decay * wanted + (1 - decay) * std::sin(step);
    ASSERT_NEAR(average.values()[0].value[1].item<double>(), wanted, 1e-6) << step;
  }
}

TEST(WeightAverage, StandsInTheNetworksOwnTensorsAndGoesAgain) {
  auto weights = one_weight(2);
  const at::Tensor handle = weights[0].value;  // as a network and an optimizer hold it
  WeightAverage average(weights, 0.9);
  {
    const at::NoGradGuard no_grad;
    weights[0].value.fill_(4);
  }
  average.swap_with(weights);
  EXPECT_EQ(handle[0].item<float>(), 2);
  EXPECT_TRUE(handle.requires_grad());
  average.swap_with(weights);
  EXPECT_EQ(handle[0].item<float>(), 4);
  EXPECT_EQ(average.values()[0].value[0].item<float>(), 2);
}

class AveragedRun : public RunFiles {};

TEST_F(AveragedRun, LeavesTheAverageAsItsModel) {
  std::vector<std::string> models;
  std::vector<double> losses;
  for (const double decay : {0.0, 0.9}) {
    PretrainConfig config = tiny_run("average-" + std::to_string(decay));
    config.steps = 6;
    config.average_decay = decay;
    const auto summary = pretrain(config, {});
    ASSERT_TRUE(summary) << summary.error().text();
    losses.push_back(summary->loss);
    models.push_back(*read_text_file(summary->model / "model.safetensors"));
    if (decay == 0) continue;
    const auto averages = formats::Checkpoint::open(std::filesystem::path(config.out) / "snapshots" / "step-000000006" /
                                                    "average.safetensors");
    const auto model = formats::Checkpoint::open(summary->model);
    ASSERT_TRUE(averages && model);
    ASSERT_EQ(averages->tensors().size(), model->tensors().size());
    for (const formats::Tensor& tensor : averages->tensors()) {
      EXPECT_TRUE(std::ranges::equal(tensor.bytes, model->find(tensor.name)->bytes)) << tensor.name;
    }
  }
  EXPECT_EQ(losses[0], losses[1]);  // the steps are the same
  EXPECT_NE(models[0], models[1]);
}

}  // namespace
}  // namespace phial::train

#include "phial/train/gradient_buckets.h"

#include <gtest/gtest.h>

#include <cmath>

#include "phial/train/optimizer.h"
#include "phial/train/ranks_for_test.h"

namespace phial::train {
namespace {

// 4 parameters of 6 to 300 values, the same at every rank.
std::vector<Parameter> some_parameters() {
  std::vector<Parameter> parameters;
  for (const int64_t width : {3, 50, 7, 10}) {
    const at::Tensor value = at::arange(2 * width * (width > 20 ? 3 : 1), at::kFloat).view({2, -1}) / 100;
    parameters.push_back({"p" + std::to_string(width), spec::TensorRole::kQuery, value.clone().requires_grad_()});
  }
  return parameters;
}

// A gradient of each parameter that depends on `by`.
void backward(const std::vector<Parameter>& parameters, double by) {
  at::Tensor sum = at::zeros({});
  for (const Parameter& parameter : parameters) sum = sum + (parameter.value * by).sin().sum();
  sum.backward();
}

spec::DecoderSpec any_spec() {
  spec::DecoderSpec spec;
  spec.architecture = "llama";
  return spec;
}

TEST(GradientBuckets, SumTheGradientsOfAllPassesOfAllRanks) {
  std::vector<Parameter> wanted = some_parameters();
  for (const double by : {1, 2, 3}) backward(wanted, by);
  at_ranks(3, [&](ProcessGroup& group) {
    const std::vector<Parameter> parameters = some_parameters();
    GradientBuckets buckets(parameters, group, Sharding::kNone, /*bucket_bytes=*/200);
    for (int step = 0; step < 2; ++step) {
      buckets.begin_step();
      if (group.rank() == 0) backward(parameters, 1);
      if (group.rank() < 2) {  // rank 2 has nothing to compute
        buckets.expect_last_pass();
        backward(parameters, group.rank() == 0 ? 2 : 3);
      }
      // Computed in the last pass, communicated in it.
      if (group.rank() < 2) {
        EXPECT_GE(group.communicated().summed, (step + 1) * 4U * 340U);
      }
      ASSERT_TRUE(buckets.finish());
      for (size_t i = 0; i < parameters.size(); ++i) {
        EXPECT_TRUE(parameters[i].value.grad().allclose(wanted[i].value.grad(), 1e-5, 1e-6)) << i;
      }
    }
  });
}

TEST(GradientBuckets, OptimizerPartsCoverEveryValueOnce) {
  at_ranks(4, [](ProcessGroup& group) {
    const std::vector<Parameter> parameters = some_parameters();
    const GradientBuckets buckets(parameters, group, Sharding::kOptimizer, /*bucket_bytes=*/900);
    ASSERT_EQ(buckets.owned().size(), parameters.size());
    int64_t all = 0;
    for (size_t i = 0; i < parameters.size(); ++i) {
      const at::Tensor seen = at::zeros({parameters[i].value.numel()});
      seen.slice(0, buckets.owned()[i].begin, buckets.owned()[i].end).add_(1);
      ASSERT_TRUE(group.start_sum(seen)());
      EXPECT_TRUE(seen.equal(at::ones_like(seen))) << parameters[i].name;
      all += buckets.owned()[i].size();
    }
    EXPECT_LT(all, 150);  // of 340
  });
}

// Three steps of AdamW.
std::vector<at::Tensor> stepped(ProcessGroup& group, Sharding sharding) {
  const std::vector<Parameter> parameters = some_parameters();
  GradientBuckets buckets(parameters, group, sharding, /*bucket_bytes=*/900);
  AdamW optimizer(parameters, any_spec(), std::nullopt, {.clip = 0.5}, buckets.owned());
  for (int step = 0; step < 3; ++step) {
    buckets.begin_step();
    buckets.expect_last_pass();
    backward(parameters, 1 + group.rank() + 0.1 * step);
    EXPECT_TRUE(buckets.finish());
    double squares = optimizer.gradient_squares();
    if (sharding == Sharding::kOptimizer) {
      EXPECT_TRUE(group.sum({&squares, 1}));
    }
    optimizer.step(0.01, std::sqrt(squares));
    EXPECT_TRUE(buckets.gather_weights());
    optimizer.clear_gradients();
  }
  std::vector<at::Tensor> values;
  for (const Parameter& parameter : parameters) values.push_back(parameter.value.detach());
  return values;
}

TEST(GradientBuckets, ADividedOptimizerStepsAsAWholeOne) {
  at_ranks(2, [](ProcessGroup& group) {
    const auto whole = stepped(group, Sharding::kNone), divided = stepped(group, Sharding::kOptimizer);
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_TRUE(divided[i].allclose(whole[i], 1e-6, 1e-7)) << i;
      at::Tensor first = divided[i].clone();
      ASSERT_TRUE(group.broadcast(first));
      EXPECT_TRUE(first.equal(divided[i])) << i;
    }
  });
}

}  // namespace
}  // namespace phial::train

#include "phial/train/network.h"

#include <gtest/gtest.h>

#include <cmath>

#include "phial/base/json_file.h"
#include "phial/train/golden_networks_for_test.h"

namespace phial::train {
namespace {

using model::golden;

// testdata/train: what transformers computes (tools/make_train_oracles.py).
TEST(Network, LossAndGradientsAreThoseOfTransformers) {
  const auto oracle = read_json_if_there(std::filesystem::path(PHIAL_TESTDATA) / "train" / "gradients.json");
  ASSERT_TRUE(oracle && oracle->is_object());
  for (const auto& [name, wanted] : (*oracle)["models"].items()) {
    Network network = load_network(golden(name));
    const auto ids = wanted["ids"].get<std::vector<int32_t>>();
    const std::span<const int32_t> inputs(ids.data(), ids.size() - 1);
    const auto n = static_cast<int>(inputs.size());
    Batch batch = one_row(inputs, choose_rope_table(network.spec(), spec::RopePolicy::kDynamic, n));
    batch.targets = one_row(std::span(ids).subspan(1)).ids;
    const CrossEntropy loss = network.loss(batch);
    EXPECT_NEAR(loss.nll.item<double>() / n, wanted["loss"].get<double>(), 1e-5) << name;
    (loss.objective / n).backward();
    size_t compared = 0;
    for (const Parameter& parameter : network.parameters()) {
      ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
      ASSERT_TRUE(wanted["gradients"].contains(parameter.name)) << parameter.name;
      const auto kept = wanted["gradients"][parameter.name].get<std::vector<double>>();
      const at::Tensor flat = parameter.value.grad().to(at::kDouble).flatten();
      const at::Tensor signs = at::arange(flat.numel(), at::kDouble).cos();
      EXPECT_NEAR(flat.norm().item<double>(), kept[0], 1e-4 * kept[0]) << name << " " << parameter.name;
      EXPECT_NEAR((flat * signs).sum().item<double>(), kept[1], 1e-4 * kept[0]) << name << " " << parameter.name;
      ++compared;
    }
    EXPECT_EQ(compared, wanted["gradients"].size()) << name;
  }
}

// bfloat16 keeps 8 bits of a number.
TEST(Network, InBfloat16ItIsNearF32) {
  const at::NoGradGuard no_grad;
  const auto ids = model::long_text(40, 384);
  const auto exact = load_network(golden("phi3-mini-like")).logits(one_row(ids, spec::RopeTable::kShort));
  const auto fast =
      load_network(golden("phi3-mini-like"), {.compute = Compute::kBf16}).logits(one_row(ids, spec::RopeTable::kShort));
  const double off = (exact - fast).square().mean().sqrt().item<double>();
  EXPECT_GT(off, 0);
  EXPECT_LE(off / exact.std().item<double>(), 0.05);
}

TEST(Network, DivergenceIsLibtorchsOfAllLogits) {
  const Network one = load_network(golden("phi3-mini-like")), other = load_network(golden("phi3-medium-like"));
  ASSERT_EQ(one.spec().vocab_size, other.spec().vocab_size);
  Batch batch = one_row(std::vector<int32_t>{1, 17, 42, 5, 99, 100, 7});
  batch.targets = batch.ids.roll(-1, 1);
  batch.targets[0][2] = kIgnored;
  const at::NoGradGuard no_grad;
  const at::Tensor found = one.divergences(batch, one.hidden(batch), other);
  const at::Tensor p = one.logits(batch).log_softmax(2), q = other.logits(batch).log_softmax(2);
  at::Tensor wanted = at::kl_div(q, p, at::Reduction::None, /*log_target=*/true).sum(2);
  wanted[0][2] = 0;
  EXPECT_LE((found - wanted).abs().max().item<double>(), 1e-5);
  EXPECT_GT(found.max().item<double>(), 0.01);
}

TEST(Network, LayersComputedAgainGiveTheSameGradients) {
  const auto ids = model::long_text(40, 384);
  Batch batch = one_row(ids, spec::RopeTable::kShort);
  batch.targets = batch.ids.roll(-1, 1);
  std::vector<at::Tensor> wanted;
  for (const bool again : {false, true}) {
    Network network = load_network(golden("phi3-medium-like"), {.recompute_layers = again});
    network.loss(batch).objective.backward();
    for (size_t i = 0; i < network.parameters().size(); ++i) {
      const at::Tensor gradient = network.parameters()[i].value.grad();
      ASSERT_TRUE(gradient.defined()) << network.parameters()[i].name;
      if (!again) {
        wanted.push_back(gradient);
      } else {
        EXPECT_TRUE(at::equal(gradient, wanted[i])) << network.parameters()[i].name;
      }
    }
  }
}

}  // namespace
}  // namespace phial::train

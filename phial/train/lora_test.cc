#include "phial/train/lora.h"

#include <gtest/gtest.h>

#include "phial/train/golden_networks_for_test.h"

namespace phial::train {
namespace {

using model::golden;

constexpr LoraOptions kLora = {.rank = 3, .alpha = 6};

Network adapted(const std::string& name, const std::vector<Parameter>& adapter) {
  Network plain = load_network(golden(name));
  return {plain.spec(), plain.parameters(), {}, adapter, kLora};
}

TEST(Lora, ANewAdapterChangesNothingAndAloneIsTrained) {
  const auto ids = model::long_text(30, 256);
  Batch batch = one_row(ids);
  batch.targets = batch.ids.roll(-1, 1);
  for (const char* name : {"phi3-mini-like", "llama-like"}) {
    const Network plain = load_network(golden(name));
    const auto adapter = new_adapter(plain.spec(), kLora, 1);
    Network network = adapted(name, adapter);
    EXPECT_TRUE(at::equal(network.logits(batch), plain.logits(batch))) << name;
    network.loss(batch).objective.backward();
    for (const Parameter& parameter : network.parameters()) EXPECT_FALSE(parameter.value.grad().defined());
    for (const Parameter& half : network.trained()) {
      ASSERT_TRUE(half.value.grad().defined()) << half.name;
      // A's gradient goes through B, which is zero.
      const bool is_b = half.name.find("lora_B") != std::string::npos;
      EXPECT_EQ(half.value.grad().abs().max().item<float>() > 0, is_b) << half.name;
    }
  }
}

TEST(Lora, MergedWeightsGiveTheLogitsOfTheAdaptedNetwork) {
  const at::NoGradGuard no_grad;
  const Batch batch = one_row(model::long_text(30, 256));
  for (const char* name : {"phi3-mini-like", "llama-like"}) {
    const Network plain = load_network(golden(name));
    auto adapter = new_adapter(plain.spec(), kLora, 1);
    at::manual_seed(2);
    for (Parameter& half : adapter) half.value = at::randn_like(half.value) * 0.1;
    const Network network = adapted(name, adapter);
    std::vector<Parameter> parameters = load_network(golden(name)).parameters();
    merge(adapter, kLora, parameters);
    const Network whole(plain.spec(), parameters);
    const at::Tensor wanted = network.logits(batch), found = whole.logits(batch);
    EXPECT_GT((wanted - plain.logits(batch)).abs().max().item<float>(), 0.01F) << name;
    EXPECT_LE((wanted - found).abs().max().item<float>(), 1e-4F * wanted.abs().max().item<float>()) << name;
  }
}

}  // namespace
}  // namespace phial::train

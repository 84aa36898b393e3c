// testdata/train/mup.json: what the package mup makes of a small decoder (tools/make_mup_oracles.py).
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numbers>

#include "phial/base/json_file.h"
#include "phial/train/network.h"
#include "phial/train/optimizer.h"

namespace phial::train {
namespace {

Json mup_fixture() {
  auto json = read_json_if_there(std::filesystem::path(PHIAL_TESTDATA) / "train" / "mup.json");
  EXPECT_TRUE(json) << (json ? "" : json.error().text());
  return json ? *json : Json::object();
}

spec::MupBase base_of_fixture(const Json& json) {
  const Json& base = json["base"];
  return {.hidden_dim = base["hidden_dim"],
          .ffn_dim = base["ffn_dim"],
          .n_heads = base["n_heads"],
          .head_dim = base["head_dim"]};
}

spec::DecoderSpec spec_of_fixture(const Json& json) {
  const Json& model = json["model"];
  spec::DecoderSpec spec;
  spec.architecture = "phi3";
  spec.n_layers = json["layers"];
  spec.hidden_dim = model["hidden_dim"];
  spec.ffn_dim = model["ffn_dim"];
  spec.n_heads = spec.n_kv_heads = model["n_heads"];
  spec.head_dim = spec.rope_dims = model["head_dim"];
  spec.vocab_size = json["vocabulary"];
  spec.context = json["tokens"];
  spec.norm_eps = json["norm_epsilon"];
  return with_mup(spec, base_of_fixture(json));
}

spec::TensorRule rule_of(const spec::DecoderSpec& spec, const Json& json, spec::TensorRole role) {
  return tensor_rule(spec, base_of_fixture(json), {.sigma = json["sigma"]}, role);
}

// The numbers that the fixture's tool fills a tensor with.
at::Tensor first_values(const at::Tensor& like, double std) {
  const at::Tensor n = at::arange(like.numel(), at::kDouble);
  const at::Tensor turns = at::frac(n * n / std::numbers::phi);
  return ((turns * (2 * std::numbers::pi)).cos() * (std * std::numbers::sqrt2)).to(at::kFloat).view_as(like);
}

Batch batch_of_fixture(const Json& json, int64_t step) {
  const int64_t rows = json["rows"], tokens = json["tokens"], vocabulary = json["vocabulary"];
  const at::Tensor t = at::arange(tokens + 1, at::kLong), row = at::arange(rows, at::kLong).unsqueeze(1);
  const at::Tensor all = (t * t * 7 + t * 3 + row * 13 + 5 * step).remainder(vocabulary);
  const at::Tensor ids = all.slice(1, 0, tokens).contiguous();
  return {.ids = ids,
          .targets = all.slice(1, 1).contiguous(),
          .positions = at::arange(tokens, at::kLong).expand_as(ids).contiguous(),
          .documents = at::zeros_like(ids),
          .one_document_a_row = true};
}

TEST(MupOracles, RatesDecaysAndFirstDeviationsAreThoseOfThePackage) {
  const Json json = mup_fixture();
  const spec::DecoderSpec spec = spec_of_fixture(json);
  size_t compared = 0;
  for (const spec::DecoderTensor& tensor : spec::decoder_tensors(spec)) {
    const Json& wanted = json["rules"][tensor.name];
    const spec::TensorRule rule = rule_of(spec, json, tensor.role);
    EXPECT_NEAR(rule.rate * json["rate"].get<double>(), wanted["rate"].get<double>(), 1e-12) << tensor.name;
    EXPECT_NEAR(rule.decay * json["decay"].get<double>(), wanted["decay"].get<double>(), 1e-12) << tensor.name;
    if (wanted.contains("std")) {
      EXPECT_NEAR(rule.init_std, wanted["std"].get<double>(), 1e-12) << tensor.name;
    }
    ++compared;
  }
  EXPECT_EQ(compared, json["rules"].size());
}

TEST(MupOracles, LossesAndActivationsOverStepsAreThoseOfThePackage) {
  at::set_num_threads(1);
  const Json json = mup_fixture();
  const spec::DecoderSpec spec = spec_of_fixture(json);
  auto parameters = new_parameters(spec, base_of_fixture(json), {}, 0);
  for (Parameter& each : parameters) {
    const at::NoGradGuard no_grad;
    if (each.role != spec::TensorRole::kNormGain) {
      each.value.copy_(first_values(each.value, rule_of(spec, json, each.role).init_std));
    }
  }
  Network network(spec, std::move(parameters));
  AdamW optimizer(network.parameters(), spec, base_of_fixture(json),
                  {.beta1 = json["beta1"],
                   .beta2 = json["beta2"],
                   .epsilon = json["epsilon"],
                   .weight_decay = json["decay"],
                   .clip = 0});
  const auto losses = json["losses"].get<std::vector<double>>();
  ASSERT_EQ(losses.size(), 5U);
  for (size_t step = 0; step < losses.size(); ++step) {
    const Batch batch = batch_of_fixture(json, static_cast<int64_t>(step));
    {
      const at::NoGradGuard no_grad;
      std::vector<at::Tensor> outputs;
      network.hidden(batch, &outputs);
      outputs.push_back(network.logits(batch));
      const auto wanted = json["sizes"][step].get<std::vector<double>>();
      ASSERT_EQ(outputs.size(), wanted.size());
      for (size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_NEAR(outputs[i].abs().mean(at::kDouble).item<double>() / wanted[i], 1, 1e-4) << step << " " << i;
      }
    }
    const CrossEntropy loss = network.loss(batch);
    const auto targets = static_cast<double>(batch.targets.numel());
    EXPECT_NEAR(loss.nll.item<double>() / targets, losses[step], 1e-4) << step;
    (loss.objective / targets).backward();
    optimizer.step(json["rate"], 1);
    optimizer.clear_gradients();
  }
}

}  // namespace
}  // namespace phial::train

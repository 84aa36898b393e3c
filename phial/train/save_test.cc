#include "phial/train/save.h"

#include <gtest/gtest.h>

#include "phial/base/json_file.h"
#include "phial/train/golden_networks_for_test.h"

namespace phial::train {
namespace {

using model::golden;

class Save : public testing::Test {
 protected:
  Save() { std::filesystem::remove_all(folder_); }
  ~Save() override { std::filesystem::remove_all(folder_); }
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      ("phial-save-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));

  // The runtime's logits of what is written, against the network's own.
  void expect_same_logits(const Network& network, const Json& config) {
    ASSERT_TRUE(write_model_folder(folder_, network.spec(), config, network.parameters(), tensor::DType::kF32));
    ThreadPool pool(2);
    const auto decoder = model::load_model(folder_, model::Precision::kExact, pool);
    ASSERT_NE(decoder, nullptr);
    const auto ids = model::long_text(30, network.spec().vocab_size);
    const at::NoGradGuard no_grad;
    const at::Tensor own = network.logits(one_row(ids)).contiguous();
    const std::vector<float> wanted(own.data_ptr<float>(), own.data_ptr<float>() + own.numel());
    double scale = 0;
    for (const float value : wanted) {
      if (std::fabs(value) < 1e30F) scale = std::max(scale, std::fabs(static_cast<double>(value)));
    }
    EXPECT_LE(model::largest_difference(model::run_all(*decoder, ids), wanted), 1e-4 * scale);
    std::filesystem::remove_all(folder_);
  }
};

Json config_of(const std::string& name) { return *read_json_if_there(golden(name) / "config.json"); }

TEST_F(Save, WhatIsWrittenRunsWithTheSameLogits) {
  for (const char* name : {"phi3-mini-like", "phi3-small-like", "llama-like", "llama-biased"}) {
    expect_same_logits(load_network(golden(name)), config_of(name));
  }
}

// muP's multipliers go into the weights where the configuration has no fields for them, and into those where it has.
TEST_F(Save, MultipliersAreFoldedIntoTheWeights) {
  for (const char* name : {"phi3-mini-like", "phi3-small-like", "llama-like", "llama-biased"}) {
    const Network plain = load_network(golden(name));
    spec::DecoderSpec spec =
        with_mup(plain.spec(), {.hidden_dim = plain.spec().hidden_dim / 2, .ffn_dim = 1, .n_heads = 1, .head_dim = 4});
    spec.embedding_multiplier = 3;
    expect_same_logits(Network(spec, plain.parameters()), config_of(name));
  }
}

}  // namespace
}  // namespace phial::train

#include "phial/train/token_stage.h"

#include <gtest/gtest.h>

#include <numeric>

#include "phial/base/temp_folder_for_test.h"
#include "phial/train/golden_networks_for_test.h"
#include "phial/train/loader.h"

namespace phial::train {
namespace {

// Two rows of 64 tokens, for a model whose rotary table changes behind 32: one document, and four of 16 tokens.
class TokenStageTest : public testing::Test {
 protected:
  TokenStageTest() : network_(load_network(model::golden("phi3-128k-like"))) {
    auto writer = formats::TokenShardWriter::create(folder_ / "a.tokens", {.vocab_size = 300});
    EXPECT_TRUE(writer);
    for (const size_t tokens : {64, 16, 16, 16, 16, 1}) {
      std::vector<int32_t> document(tokens);
      std::iota(document.begin(), document.end(), 20);
      EXPECT_TRUE(writer->append(document));
    }
    EXPECT_TRUE(writer->finish());
  }

  std::unique_ptr<Loader> loader() const {
    auto opened = Loader::open({folder_ / "a.tokens"}, {.sequence_tokens = 64, .vocab_size = 300, .seed = 1});
    EXPECT_TRUE(opened);
    EXPECT_EQ(opened->rows(), 2);
    return std::make_unique<Loader>(*std::move(opened));
  }
  struct Sums {
    double loss = 0;
    at::Tensor gradients;
  };
  // Over the targets of `rows` rows from `first` on.
  Sums sums_of(uint64_t first, int64_t rows) {
    TokenStage stage(loader(), nullptr, {.rows = rows});
    GradientBuckets gradients(network_.trained(), alone_, Sharding::kNone);
    gradients.begin_step();
    const auto sums = stage.step(network_, first, gradients);
    EXPECT_TRUE(sums) << sums.error().text();
    std::vector<at::Tensor> all;
    for (Parameter& each : network_.trained()) {
      all.push_back(each.value.grad().flatten().clone());
      each.value.mutable_grad().reset();
    }
    const auto targets = static_cast<double>(sums->targets);
    return {sums->loss * targets, at::cat(all) * targets};
  }

  const TempFolder folder_;
  ProcessGroup alone_;
  Network network_;
};

TEST_F(TokenStageTest, ARowTakesItsOwnRotaryTableWhateverIsComputedBesideIt) {
  ASSERT_EQ(network_.spec().long_rope.original_context, 32);
  const Sums both = sums_of(0, 2), first = sums_of(0, 1), second = sums_of(1, 1);
  EXPECT_NEAR(both.loss, first.loss + second.loss, 1e-5 * both.loss);
  const at::Tensor wanted = first.gradients + second.gradients;
  EXPECT_LE((both.gradients - wanted).abs().max().item<double>(), 1e-5 * wanted.abs().max().item<double>());
}

TEST_F(TokenStageTest, HeldOutRowsAreMeasuredByTheirOwnTablesToo) {
  const auto loss_of = [&](int64_t rows) {
    const auto found = TokenStage(nullptr, loader(), {.rows = rows}).evaluate(network_, {}, alone_);
    EXPECT_TRUE(found);
    return found->front().second;
  };
  EXPECT_NEAR(loss_of(2), loss_of(1), 1e-6);
}

}  // namespace
}  // namespace phial::train

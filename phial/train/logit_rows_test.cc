// What computes on other devices, held to the loops of the CPU. That these are right is in cross_entropy_test.cc.
#include "phial/train/logit_rows.h"

#include <gtest/gtest.h>

#include <vector>

namespace phial::train {
namespace {

struct Measured {
  at::Tensor logs, nll, z, gradients;
};

template <class Take, class Logs>
Measured measured(at::ScalarType type, double divisor, double z_loss, std::vector<int64_t> masked, bool is_weighted,
                  const Take& take, const Logs& logs) {
  at::manual_seed(9);
  const at::Tensor logits = (at::randn({23, 61}) * 3).to(type), targets = at::randint(0, 50, {23}, at::kLong);
  const auto rows = [&] { return LogitRows{logits.clone(), targets, divisor, masked}; };
  const RowLosses losses = {.weights = is_weighted ? at::linspace(-1, 2, 23) : at::Tensor(),
                            .z_loss = z_loss,
                            .nll = at::zeros({23}, at::kDouble),
                            .z = at::zeros({23}, at::kDouble)};
  const LogitRows used = rows();
  take(used, losses);
  return {logs(rows()), losses.nll, losses.z, used.logits.to(at::kFloat)};
}

TEST(LogitRows, OperationsAndLoopsSayTheSame) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const double divisor : {1.0, 8.0}) {
      for (const double z_loss : {0.0, 0.02}) {
        for (const bool is_weighted : {false, true}) {
          const std::vector<int64_t> masked = is_weighted ? std::vector<int64_t>{55, 60} : std::vector<int64_t>{};
          const auto wanted = measured(type, divisor, z_loss, masked, is_weighted, take_gradients, log_probabilities);
          const auto found = measured(type, divisor, z_loss, masked, is_weighted, take_gradients_by_operations,
                                      log_probabilities_by_operations);
          EXPECT_LE((found.logs - wanted.logs).abs().max().item<double>(), 1e-5);
          EXPECT_LE((found.nll - wanted.nll).abs().max().item<double>(), 1e-5);
          EXPECT_LE((found.z - wanted.z).abs().max().item<double>(), 1e-5);
          const double part = type == at::kFloat ? 1e-6 : 0x1p-8;
          EXPECT_LE((found.gradients - wanted.gradients).abs().max().item<double>(),
                    part * wanted.gradients.abs().max().item<double>());
        }
      }
    }
  }
}

}  // namespace
}  // namespace phial::train

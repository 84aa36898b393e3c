// Perplexity of a text: exp of the mean negative log-likelihood of its tokens.
//
// Windows do not overlap: window k feeds tokens [kW, kW + W) and scores tokens [kW + 1, kW + W + 1); no BOS is added.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>

#include "phial/base/result.h"
#include "phial/generate/engine.h"

namespace phial::generate {

struct Perplexity {
  double nll_sum = 0;  // nats
  int64_t scored = 0;
  double value() const;
};

// `on_window(done, total)` is called after each window. kInvalid if there are fewer than two tokens.
Result<Perplexity> perplexity(Engine& engine, std::span<const int32_t> ids, int window, const std::stop_token& cancel,
                              const std::function<void(size_t done, size_t total)>& on_window);

}  // namespace phial::generate

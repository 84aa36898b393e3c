#include "phial/generate/perplexity.h"

#include <algorithm>
#include <cmath>

#include "phial/generate/sampler.h"

namespace phial::generate {

double Perplexity::value() const { return std::exp(nll_sum / static_cast<double>(scored)); }

Result<Perplexity> perplexity(Engine& engine, std::span<const int32_t> ids, int window, const std::stop_token& cancel,
                              const std::function<void(size_t done, size_t total)>& on_window) {
  if (ids.size() < 2) {
    return Error{Code::kInvalid, "the text has " + std::to_string(ids.size()) + " tokens",
                 "perplexity needs two or more"};
  }
  if (window < 1 || window > engine.context_tokens()) {
    return Error{Code::kOutOfRange,
                 "a window of " + std::to_string(window) + " tokens is asked, the context holds " +
                     std::to_string(engine.context_tokens()),
                 "use a smaller --context"};
  }
  const auto width = static_cast<size_t>(engine.spec().vocab_size);
  const auto length = static_cast<size_t>(window);
  const size_t windows = (ids.size() - 1 + length - 1) / length;
  Perplexity total;
  for (size_t k = 0; k < windows; ++k) {
    const size_t start = k * length;
    const size_t scored = std::min(length, ids.size() - 1 - start);
    const auto add = [&](size_t first, std::span<const float> rows) {
      for (size_t i = 0; i * width < rows.size(); ++i) {
        total.nll_sum -= logprob_of(rows.subspan(i * width, width), ids[start + first + i + 1]);
      }
      return ok();
    };
    PHIAL_CHECKED(engine.run(ids.subspan(start, scored), 0, cancel, add));
    total.scored += static_cast<int64_t>(scored);
    if (on_window) on_window(k + 1, windows);
  }
  return total;
}

}  // namespace phial::generate

// What a model's matrices are given when it reads real text: the network is run over windows of tokens, and H = X^T X
// of the inputs becomes the feedback of the matrices that share them.
//
// Memory: the Hessians of as many layers as fit `kHessianBytes` (one layer's inputs at least), 2 D^2 bytes each, and
// the inputs of 128 tokens. The network is run once for all that fit, and again, up to the layers needed, for the next.
// Results depend neither on that nor on the threads. Threads: one at a time; the pool is used during calls.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/model/decoder.h"
#include "phial/quantize/feedback.h"
#include "phial/quantize/plan.h"

namespace phial::quantize {

inline constexpr uint64_t kHessianBytes = uint64_t{2} << 30;

// Windows of `length` tokens, at most `most` of them, spread evenly over a text. The rest of the text that fills no
// window is left out, unless it is all there is.
std::vector<std::span<const int32_t>> spread_windows(std::span<const int32_t> ids, size_t length, size_t most);

class Calibration {
 public:
  using OnWindow = std::function<void(size_t done, size_t total)>;

  // `windows`: of ids of the vocabulary, at least one of them; they and the decoder outlive this.
  Calibration(const model::Decoder& decoder, std::vector<std::span<const int32_t>> windows, ThreadPool& pool,
              OnWindow on_window, uint64_t hessian_bytes = kHessianBytes);

  // What will be asked for, in that order, with the columns of each. Before feedback(); again to begin anew.
  void expect(std::vector<std::pair<Inputs, size_t>> needed);

  // Tokens that the text has.
  size_t tokens() const;

  // Stays until another one is asked for. Promise: it was expected. Errors: kCancelled, kOutOfRange, kCorrupt.
  Result<const Feedback*> feedback(Inputs inputs, const std::stop_token& stop);

 private:
  Status collect(Inputs first, const std::stop_token& stop);

  const model::Decoder& decoder_;
  std::vector<std::span<const int32_t>> windows_;
  ThreadPool& pool_;
  OnWindow on_window_;
  uint64_t hessian_bytes_;
  std::vector<std::pair<Inputs, size_t>> needed_;
  std::map<Inputs, Panels> collected_;
  std::optional<Inputs> current_inputs_;
  std::optional<Feedback> current_;
};

}  // namespace phial::quantize

// Rows of a context that grows: windows of several lengths, and among them such as the model had before it grew.
//
// A sample is as many tokens as the longest window, cut into windows of one length. Training goes through `lengths` in
// equal parts, each from the beginning of its windows' order; a share of the batches has the original length instead,
// spread as evenly as it can be. All of it is a function of the sample's number. Source: mixed context windows, Phi-3
// technical report (arXiv 2404.14219); LongRoPE2 (arXiv 2502.20082), section 3.3. Threads: immutable once made.
#pragma once

#include <cstdint>
#include <vector>

#include "phial/train/loader.h"

namespace phial::train {

struct MixedWindowsOptions {
  double short_share = 0.5;  // of the batches, in [0, 1)
  uint64_t rows = 1;         // samples of a batch
  uint64_t samples = 1;      // in all
};

class MixedWindows : public BatchSource {
 public:
  // `lengths`: from the shortest; each has at least as many tokens as `original`. Promise: there is one.
  MixedWindows(Loader original, std::vector<Loader> lengths, const MixedWindowsOptions& options)
      : original_(std::move(original)), lengths_(std::move(lengths)), options_(options) {}

  uint64_t rows() const override { return lengths_.back().rows(); }
  uint64_t fingerprint() const override { return lengths_.back().fingerprint(); }  // of all lengths
  // Promise: `first` is a multiple of options.rows and below options.samples, `count` is options.rows.
  Result<Batch> batch(uint64_t first, int64_t count) const override;

 private:
  Loader original_;
  std::vector<Loader> lengths_;
  MixedWindowsOptions options_;
};

}  // namespace phial::train

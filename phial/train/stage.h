// What a stage of training is to the loop that runs it: a loss over numbered samples.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <stop_token>

#include "phial/base/result.h"
#include "phial/train/gradient_buckets.h"
#include "phial/train/network.h"
#include "phial/train/process_group.h"
#include "phial/train/run_config.h"
#include "phial/train/utilization.h"

namespace phial::train {

// Over all ranks.
struct StepSums {
  double loss = 0;       // what the gradients are of
  uint64_t targets = 0;  // that counted
  ComputedRows rows;
  Metrics metrics;
};

// How many of `rows` samples from `first` on there are; 0 `samples`: without end.
inline int64_t samples_left(uint64_t samples, uint64_t first, int64_t rows) {
  if (samples == 0) return rows;
  return first >= samples ? 0 : static_cast<int64_t>(std::min(samples - first, static_cast<uint64_t>(rows)));
}

// Does `part`s of up to `rows` of this rank's share of n things. Ranks meet before each, so that none is further ahead
// than one part; a stop or an error at one of them is one at all. False: stopped.
inline Result<bool> in_step(ProcessGroup& group, const std::stop_token& stop, int64_t n, int64_t rows,
                            const std::function<Status(RankShare)>& part) {
  const RankShare own = group.share_of(n);
  const int64_t largest = share_of_rank(n, 0, group.size()).size();
  Status found = ok();
  bool is_over = false;
  for (int64_t done = 0; !is_over && done < largest; done += rows) {
    PHIAL_TRY(is_over, group.is_any(stop.stop_requested() || !found));
    const int64_t begin = std::min(own.begin + done, own.end), end = std::min(begin + rows, own.end);
    if (!is_over && begin < end) found = part({begin, end});
  }
  PHIAL_CHECKED(group.agree(std::move(found)));
  return !is_over;
}

class Stage {
 public:
  virtual ~Stage() = default;
  // Before the first step and when a run goes on, with the weights that it began with.
  virtual Status prepare(const Network&, const RunHooks&, ProcessGroup&) { return ok(); }
  // Forwards and backwards over this rank's share of the samples [first, first + rows * accumulate); the gradients,
  // which `gradients` then sums, are those of the mean over all of them at all ranks together.
  virtual Result<StepSums> step(const Network& network, uint64_t first, GradientBuckets& gradients) = 0;
  // On held-out data, a share at each rank; nothing: there is none, or the run is stopped meanwhile.
  virtual Result<Metrics> evaluate(const Network& network, const std::stop_token& stop, ProcessGroup& group) = 0;
};

}  // namespace phial::train

// The gradients of a step, summed over the ranks while the backward pass still computes others.
//
// Parameters stand in buckets, the last ones first, as their gradients come. A bucket is one flat tensor that the
// gradients are views of; it is communicated as soon as the rank's last backward pass has filled it. With
// kOptimizer each rank steps the weights of its own part of every bucket, and hands them to the others: a rank keeps
// AdamW's moments of its part alone (ZeRO-1). Gradients are summed whole then too, since gloo has no reduce-scatter of
// its own but copies and sums the whole: a step sends half as much again as with kNone.
// Alone there are no buckets, and every call is free.
// Sources: PyTorch Distributed (arXiv 2006.15704), section 3.2; ZeRO (1910.02054), section 5.1. Threads: one.
#pragma once

#include <cstdint>
#include <vector>

#include "phial/train/parameters.h"
#include "phial/train/process_group.h"
#include "phial/train/torch.h"

namespace phial::train {

enum class Sharding { kNone, kOptimizer };

class GradientBuckets {
 public:
  // Promise: parameters and group live as long. Owned values begin at multiples of 16: what a loop over vectors leaves
  // over is the end of a parameter, as in one process.
  GradientBuckets(const std::vector<Parameter>& parameters, ProcessGroup& group, Sharding sharding,
                  int64_t bucket_bytes = 25 << 20);
  ~GradientBuckets();
  GradientBuckets(const GradientBuckets&) = delete;
  GradientBuckets& operator=(const GradientBuckets&) = delete;

  ProcessGroup& group() { return group_; }
  // What this rank's optimizer steps of each parameter's values, in their order; empty: all of all.
  const std::vector<RankShare>& owned() const { return owned_; }

  // Gradients are zero (alone: undefined).
  void begin_step();
  // This rank's last backward pass of the step follows.
  void expect_last_pass();
  // Behind it, or instead of it at a rank that has no samples: when this returns the gradients that the optimizer
  // steps are sums over all ranks, and those that no rank has computed are undefined, as in one process. Until then no
  // rank communicates anything else.
  Status finish();
  // After the optimizer's step: the weights of all parts, to all.
  Status gather_weights();

 private:
  struct Member {
    at::Tensor parameter;
    int64_t offset = 0;  // in the bucket
    bool is_reached = false;
  };
  struct Bucket {
    std::vector<Member> members;
    at::Tensor flat;  // of all members' values; behind them of each how many ranks have reached it
    int64_t values = 0;
    size_t missing = 0;  // gradients that the last pass has not computed yet
    ProcessGroup::Wait wait;
  };
  class Hook;

  void fill_buckets(const std::vector<Parameter>& parameters, int64_t bucket_values);
  void find_owned(size_t parameters);
  void arrived(Bucket& bucket, size_t member);
  void start_next();

  ProcessGroup& group_;
  std::vector<Bucket> buckets_;
  std::vector<RankShare> owned_;
  size_t started_ = 0;  // buckets, in their order at every rank
  bool is_last_pass_ = false;
};

}  // namespace phial::train

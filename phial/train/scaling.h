// What training of a model costs each of many ranks: memory, bytes communicated, and an estimate of time and MFU.
//
// Memory and bytes are those of this room's own code; scaling_test holds them to what is allocated and handed over at
// small scale. Time is an estimate from the machine's rates, not a measurement. docs/scaling.md has the tables.
// Sources: ZeRO (arXiv 1910.02054), section 3 and 7, for state and traffic; Korthikanti et al. (2205.05198) for the way
// of counting activations; a ring moves (n - 1) / n of a tensor for a gather or a scatter and twice that for a sum
// (Patarasuk and Yuan 2009). Threads: pure functions.
#pragma once

#include <cstdint>

#include "phial/spec/spec.h"

namespace phial::train {

enum class Divided {
  kNothing,    // every rank has all of the state
  kOptimizer,  // moments (ZeRO-1)
  kAll,        // weights and gradients as well (ZeRO-3, fully sharded): a plan, not built
};

struct ScalingPlan {
  int64_t ranks = 1;
  int64_t rows = 1, tokens = 4096;  // that a rank computes together: so many rows of so many tokens
  int64_t accumulate = 1;           // so many times a step
  bool is_bf16 = true, recomputes_layers = false;
  Divided divided = Divided::kNothing;
};

// Bytes at one rank, at most.
struct RankMemory {
  double weights = 0, gradients = 0, moments = 0;  // f32
  double casts = 0;                                // weights in bf16, as the matrix products take them
  double activations = 0;                          // that a forward pass leaves, with the output matrix's gradient
  double recomputed = 0;                           // of the one layer that is computed again
  double total() const { return weights + gradients + moments + casts + activations + recomputed; }
};
RankMemory memory_of_rank(const spec::DecoderSpec& spec, const ScalingPlan& plan);

// Bytes that a rank hands over in a step to be summed or gathered ...
double handed_over_bytes(const spec::DecoderSpec& spec, const ScalingPlan& plan);
// ... and those that it sends therefor, in a ring.
double sent_bytes(const spec::DecoderSpec& spec, const ScalingPlan& plan);

struct Machine {
  double peak_operations = 989e12;  // a second; H100 SXM, dense bf16
  double reached_share = 0.45;      // of that, by a rank alone: an assumption
  int64_t ranks_a_node = 8;
  double node_bytes = 450e9;    // a second from a rank to its neighbour: NVLink 4
  double network_bytes = 50e9;  // the same between nodes: 400 Gb/s a rank
};

struct StepEstimate {
  double compute_seconds = 0;
  double communication_seconds = 0;  // in all
  double exposed_seconds = 0;        // of that, which no computation hides
  double mfu = 0;
};
StepEstimate estimate_step(const spec::DecoderSpec& spec, const ScalingPlan& plan, const Machine& machine);

}  // namespace phial::train

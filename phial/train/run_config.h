// What every stage of training is told, and what it tells. No header of libtorch is needed to use it.
//
// In `run.out`: config.toml (every field as it was), metrics.jsonl (a line a step), the same as TensorBoard's events,
// report.html (its curves), snapshots/ and, at the end, model/. A run whose folder has a snapshot goes on from it, with
// the bits that it would have had without the pause. docs/training.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/log.h"
#include "phial/train/config.h"
#include "phial/train/world.h"

namespace phial::train {

struct RunConfig {
  std::string model_start;

  int64_t rows = 8, accumulate = 1;

  double lr = 1e-3, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.1, clip = 1;
  std::string schedule = "cosine", decay_shape = "one_minus_sqrt";
  int64_t warmup_steps = 100, decay_steps = 0;
  double final_share = 0.1;
  double epochs = 1, warmup_share = 0.03;  // of stages that go through their data a number of times

  int64_t steps = 1000, seed = 0, threads = 0, max_skipped = 5, evaluate_every = 100, held_out_rows = 64;
  std::string device = "auto", compute = "f32", save_as = "as_start";
  bool recompute_layers = false;
  double average_decay = 0;  // of an average of the weights; 0: none

  int64_t lora_rank = 0;  // 0: every weight is trained
  double lora_alpha = 16;

  double encoder_rate = 1, projector_rate = 1;  // of a model that sees

  std::string out;
  int64_t snapshot_every = 200, keep = 3;
  double peak_tflops = 0;

  std::string shard = "none";
  int64_t peer_timeout = 600;  // seconds
  World world;                 // no field: the launcher's affair

  // The fields of groups batch, optimizer, schedule, train and run that all stages have. How long a run is and how it
  // warms up is the stage's own affair.
  void describe_shared(ConfigFields& fields);
  // Group lora.
  void describe_lora(ConfigFields& fields);
  // Of group vision, how fast what sees learns.
  void describe_vision_rates(ConfigFields& fields);
  // For stages whose length is that of their data: epochs and the share of them in which the rate rises ...
  void describe_epochs(ConfigFields& fields);
  // ... and from that the steps, for so many samples in all epochs; the last step may have fewer.
  void set_steps(uint64_t samples);
};

// By name, in the order in which they are shown.
using Metrics = std::vector<std::pair<std::string, double>>;

struct StepReport {
  int64_t step = 0, steps = 0;  // done, of
  double loss = 0;              // of the step
  double gradient_norm = 0, rate = 0;
  double tokens_per_second = 0, seconds_left = 0;
  double utilization = 0;  // MFU: operations that the network needs, as a share of what the machine could multiply
  bool was_skipped = false;
  Metrics metrics;  // the stage's own, and those of held-out data after steps at which they are measured
};

struct RunHooks {
  Log log = no_log;
  std::function<void(const StepReport&)> report = [](const StepReport&) {};
  // Long work before the first step or behind the last: what is done, and of how much.
  std::function<void(std::string_view what, int64_t done, int64_t of)> prepares = [](auto, auto, auto) {};
  std::stop_token stop = {};
};

struct RunSummary {
  int64_t steps = 0;
  uint64_t tokens = 0, parameters = 0;
  double loss = 0;              // of the last step
  Metrics metrics;              // as in the last step's report
  std::filesystem::path model;  // the folder written
  std::string table = {};       // lines that say more of it; empty: there are none
};

}  // namespace phial::train

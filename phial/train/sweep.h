// Learning rates times widths, a short pretraining run each: which rate is the best for a narrow model, and whether it
// is that of wider ones, as it is with muP and is not without. No header of libtorch is needed to call it.
//
// In run.out: width-W/config.json, the shape of model.config made wider; width-W/lr-R/seed-S/, a run's folder
// (train/run_config.h) with result.json in place of its weights; at the end sweep.json and sweep.html. A run that has a
// result is not made again: a sweep that was stopped goes on, and one with more rates, widths or seeds takes up what
// is there.
//
// Source: Tensor Programs V (arXiv 2203.03466), figure 1; docs/training.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "phial/base/log.h"
#include "phial/base/result.h"
#include "phial/train/pretrain.h"

namespace phial::train {

// What all runs share. model.config is the shape of the base width; heads keep their width.
struct SweepConfig : PretrainConfig {
  std::vector<double> widths;  // hidden_dim; none: 1, 2 and 4 times the base's
  std::vector<double> rates;   // none: 1/8, 1/4, ..., 8 times optimizer.lr
  int64_t seeds = 1;           // train.seed and those after it
  bool mup = true;

  void describe(ConfigFields& fields);
};

struct SweepRun {
  int64_t width = 0;
  double rate = 0;
  int64_t seed = 0;
  size_t number = 0, runs = 0;  // from 1, of
};

struct SweepHooks {
  Log log = no_log;  // warned of runs that diverge, and of a best rate that is the lowest or the highest
  std::function<void(const SweepRun&, const StepReport&)> report = [](const SweepRun&, const StepReport&) {};
  std::stop_token stop = {};
};

// Infinite is the loss of a run that diverged: it had none that is finite, or ended above where it began.
struct SweepWidth {
  int64_t width = 0;
  std::vector<std::vector<double>> runs = {};  // [rate][seed]
  std::vector<double> losses = {};             // of each rate: the mean over seeds
  std::optional<size_t> best = {};             // of the rates; nothing: all diverged
};

struct Sweep {
  bool mup = true;
  bool held_out = false;  // losses are of held-out data, else of the last tenth of the steps
  int64_t steps = 0;
  std::vector<double> rates = {};       // from the lowest
  std::vector<SweepWidth> widths = {};  // from the narrowest
  std::optional<double> shift = {};     // of the best rate from the narrowest to the widest, in factors of two
};

// Errors: those of pretrain(), but for runs that diverge; kInvalid for widths, rates or a folder that make no sense;
// kCancelled when stopped. Threads: one sweep a process.
Result<Sweep> sweep(const SweepConfig& config, const SweepHooks& hooks);

}  // namespace phial::train

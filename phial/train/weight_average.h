// An average of the weights over training, which is often better than the last ones: a = d a + (1 - d) w after each
// step, with d rising to `decay` as (1 + steps) / (10 + steps), so that the first weights are soon forgotten.
//
// Source: Polyak and Juditsky (1992); exponential and with this rise as TensorFlow's ExponentialMovingAverage has it.
// Memory: 4 bytes a trained weight. Threads: one.
#pragma once

#include <cstdint>
#include <vector>

#include "phial/train/parameters.h"
#include "phial/train/torch.h"

namespace phial::train {

class WeightAverage {
 public:
  // Begins as the weights are.
  WeightAverage(const std::vector<Parameter>& parameters, double decay);

  // After the optimizer's step number `steps`, from 1.
  void add(const std::vector<Parameter>& parameters, int64_t steps);
  // The average stands in the parameters, and the weights here; a second time puts them back.
  void swap_with(std::vector<Parameter>& parameters);

  // By the parameters' names, for snapshots. They refer to its memory.
  const std::vector<Parameter>& values() const { return values_; }
  std::vector<Parameter>& values() { return values_; }

 private:
  double decay_;
  std::vector<Parameter> values_;
};

}  // namespace phial::train

#include "phial/train/weight_average.h"

#include <algorithm>

namespace phial::train {

WeightAverage::WeightAverage(const std::vector<Parameter>& parameters, double decay)
    : decay_(decay), values_(parameters) {
  for (Parameter& each : values_) each.value = each.value.detach().clone();
}

void WeightAverage::add(const std::vector<Parameter>& parameters, int64_t steps) {
  const at::NoGradGuard no_grad;
  const auto n = static_cast<double>(steps);
  const double decay = std::min(decay_, (1 + n) / (10 + n));
  for (size_t i = 0; i < values_.size(); ++i) values_[i].value.lerp_(parameters[i].value.detach(), 1 - decay);
}

void WeightAverage::swap_with(std::vector<Parameter>& parameters) {
  for (size_t i = 0; i < values_.size(); ++i) {
    const at::Tensor own = parameters[i].value.detach();
    parameters[i].value.set_data(values_[i].value);
    values_[i].value = own;
  }
}

}  // namespace phial::train

#include "phial/train/optimizer.h"

#include <ATen/ops/_fused_adamw.h>

#include <algorithm>
#include <cmath>

namespace phial::train {

AdamW::AdamW(const std::vector<Parameter>& parameters, const spec::DecoderSpec& spec,
             const std::optional<spec::MupBase>& base, const AdamWOptions& options)
    : options_(options) {
  for (const Parameter& parameter : parameters) {
    const spec::TensorRule rule = tensor_rule(spec, base, {}, parameter.role);
    const auto same = [&](const Group& group) {
      return group.rule.rate == rule.rate && group.rule.decay == rule.decay;
    };
    auto group = std::ranges::find_if(groups_, same);
    if (group == groups_.end()) group = groups_.insert(groups_.end(), {rule, {}});
    group->members.push_back(values_.size());
    values_.push_back(parameter.value);
    const at::Tensor plain = parameter.value.detach();
    states_.push_back({at::zeros_like(plain), at::zeros_like(plain)});
  }
}

double AdamW::gradient_norm() const {
  double squares = 0;
  for (const at::Tensor& value : values_) {
    if (value.grad().defined()) squares += value.grad().square().sum(at::kDouble).item<double>();
  }
  return std::sqrt(squares);
}

void AdamW::step(double rate, double norm) {
  const at::NoGradGuard no_grad;
  ++steps_;
  const double scale = options_.clip > 0 && norm > options_.clip ? options_.clip / norm : 1;
  for (const Group& group : groups_) {
    std::vector<at::Tensor> values, gradients, means, squares, none, steps;
    for (const size_t i : group.members) {
      if (!values_[i].grad().defined()) continue;
      if (scale != 1) values_[i].grad().mul_(scale);
      values.push_back(values_[i]);
      gradients.push_back(values_[i].grad());
      means.push_back(states_[i].mean);
      squares.push_back(states_[i].square);
      steps.push_back(at::full({}, static_cast<double>(steps_), at::kFloat));
    }
    if (values.empty()) continue;
    at::_fused_adamw_(values, gradients, means, squares, none, steps, rate * group.rule.rate, options_.beta1,
                      options_.beta2, options_.weight_decay * group.rule.decay, options_.epsilon, /*amsgrad=*/false,
                      /*maximize=*/false);
  }
}

void AdamW::clear_gradients() {
  for (at::Tensor& value : values_) value.mutable_grad().reset();
}

}  // namespace phial::train

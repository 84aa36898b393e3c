#include "phial/train/optimizer.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace phial::train {

AdamW::AdamW(const std::vector<Parameter>& parameters, const spec::DecoderSpec& spec,
             const std::optional<spec::MupBase>& base, const AdamWOptions& options, std::vector<RankShare> owned)
    : options_(options), owned_(std::move(owned)), owns_all_(owned_.empty()) {
  if (owns_all_) {
    for (const Parameter& parameter : parameters) owned_.push_back({0, parameter.value.numel()});
  }
  for (const Parameter& parameter : parameters) {
    spec::TensorRule rule = tensor_rule(spec, base, {}, parameter.role);
    rule.rate *= parameter.rate;
    const auto same = [&](const Group& group) {
      return group.rule.rate == rule.rate && group.rule.decay == rule.decay;
    };
    auto group = std::ranges::find_if(groups_, same);
    if (group == groups_.end()) group = groups_.insert(groups_.end(), {rule, {}});
    group->members.push_back(values_.size());
    values_.push_back(parameter.value);
    const at::Tensor zeros = at::zeros({owned_[states_.size()].size()}, parameter.value.options());
    states_.push_back({zeros, zeros.clone()});
  }
}

// A view. Promise: contiguous, as parameters and their gradients are.
at::Tensor AdamW::owned_of(const at::Tensor& whole, size_t parameter) const {
  return whole.detach().view(-1).slice(0, owned_[parameter].begin, owned_[parameter].end);
}

double AdamW::gradient_squares() const {
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].grad().defined() && owned_[i].size() > 0) gradients.push_back(owned_of(values_[i].grad(), i));
  }
  if (gradients.empty()) return 0;
  if (!gradients.front().is_cpu()) {  // few kernels for all, and one wait
    return at::stack(at::_foreach_norm(gradients, 2)).to(at::kDouble).square().sum().item<double>();
  }
  double squares = 0;
  for (const at::Tensor& each : gradients) squares += each.square().sum(at::kDouble).item<double>();
  return squares;
}

double AdamW::gradient_norm() const { return std::sqrt(gradient_squares()); }

void AdamW::step(double rate, double norm) {
  const at::NoGradGuard no_grad;
  ++steps_;
  const double scale = options_.clip > 0 && norm > options_.clip ? options_.clip / norm : 1;
  at::Tensor count;  // one for all
  for (const Group& group : groups_) {
    std::vector<at::Tensor> values, gradients, means, squares, none, steps;
    for (const size_t i : group.members) {
      // What a step does not reach, as an eye in one of texts alone, stays as it is: nothing holds against decay.
      if (owned_[i].size() == 0 || !values_[i].grad().defined()) continue;
      values.push_back(owned_of(values_[i], i));
      gradients.push_back(owned_of(values_[i].grad(), i));
      means.push_back(states_[i].mean);
      squares.push_back(states_[i].square);
      if (!count.defined()) count = at::full({}, static_cast<double>(steps_), values.back().options());
      steps.push_back(count);
    }
    if (values.empty()) continue;
    if (scale != 1) at::_foreach_mul_(gradients, scale);
    at::_fused_adamw_(values, gradients, means, squares, none, steps, rate * group.rule.rate, options_.beta1,
                      options_.beta2, options_.weight_decay * group.rule.decay, options_.epsilon, /*amsgrad=*/false,
                      /*maximize=*/false);
  }
}

void AdamW::clear_gradients() {
  for (at::Tensor& value : values_) value.mutable_grad().reset();
}

}  // namespace phial::train

#include "phial/train/gradient_buckets.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "phial/base/check.h"

namespace phial::train {

class GradientBuckets::Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(GradientBuckets& buckets, Bucket& bucket, size_t member) : buckets_(buckets), bucket_(bucket), member_(member) {}
  void operator()(const at::Tensor&) override { buckets_.arrived(bucket_, member_); }

 private:
  GradientBuckets& buckets_;
  Bucket& bucket_;
  size_t member_;
};

GradientBuckets::GradientBuckets(const std::vector<Parameter>& parameters, ProcessGroup& group, Sharding sharding,
                                 int64_t bucket_bytes)
    : group_(group) {
  if (group.is_alone()) return;
  fill_buckets(parameters, bucket_bytes / static_cast<int64_t>(sizeof(float)));
  if (sharding == Sharding::kOptimizer) find_owned(parameters.size());
  for (Bucket& bucket : buckets_) {
    for (size_t i = 0; i < bucket.members.size(); ++i) {
      torch::autograd::impl::set_post_acc_grad_hooks(bucket.members[i].parameter,
                                                     std::make_unique<Hook>(*this, bucket, i));
    }
  }
}

GradientBuckets::~GradientBuckets() {
  for (const Bucket& bucket : buckets_) {
    for (const Member& member : bucket.members) {
      torch::autograd::impl::set_post_acc_grad_hooks(member.parameter, nullptr);
    }
  }
}

void GradientBuckets::fill_buckets(const std::vector<Parameter>& parameters, int64_t bucket_values) {
  constexpr int64_t kAligned = 16;
  const auto rounded_up = [](int64_t n, int64_t step) { return (n + step - 1) / step * step; };
  int64_t values = 0;
  const auto close = [&] {
    if (buckets_.empty()) return;
    Bucket& bucket = buckets_.back();
    bucket.values = values;
    const int64_t all = values + static_cast<int64_t>(bucket.members.size());
    bucket.flat = at::zeros({rounded_up(all, kAligned * group_.size())}, at::kFloat);
  };
  for (size_t i = parameters.size(); i-- > 0;) {
    const at::Tensor& parameter = parameters[i].value;
    if (buckets_.empty() || values + parameter.numel() > bucket_values) {
      close();
      buckets_.emplace_back();
      values = 0;
    }
    buckets_.back().members.push_back({parameter, values});
    values += rounded_up(parameter.numel(), kAligned);
  }
  close();
}

void GradientBuckets::find_owned(size_t parameters) {
  for (const Bucket& bucket : buckets_) {
    const RankShare part = group_.share_of(bucket.flat.numel());
    for (const Member& member : bucket.members) {
      const int64_t n = member.parameter.numel();
      const int64_t begin = std::clamp<int64_t>(part.begin - member.offset, 0, n);
      owned_.push_back({begin, std::clamp<int64_t>(part.end - member.offset, begin, n)});
    }
  }
  PHIAL_CHECK(owned_.size() == parameters);
  std::ranges::reverse(owned_);
}

void GradientBuckets::begin_step() {
  started_ = 0;
  for (Bucket& bucket : buckets_) {
    bucket.missing = bucket.members.size();
    bucket.flat.zero_();
    for (Member& member : bucket.members) {
      member.is_reached = false;
      const int64_t end = member.offset + member.parameter.numel();
      member.parameter.mutable_grad() = bucket.flat.slice(0, member.offset, end).view_as(member.parameter);
    }
  }
}

void GradientBuckets::expect_last_pass() { is_last_pass_ = true; }

void GradientBuckets::arrived(Bucket& bucket, size_t member) {
  bucket.members[member].is_reached = true;
  if (!is_last_pass_) return;
  PHIAL_CHECK(bucket.missing > 0);  // a pass accumulates each gradient once
  --bucket.missing;
  while (started_ < buckets_.size() && buckets_[started_].missing == 0) start_next();
}

void GradientBuckets::start_next() {
  Bucket& bucket = buckets_[started_++];
  float* const reached = bucket.flat.mutable_data_ptr<float>() + bucket.values;
  for (size_t i = 0; i < bucket.members.size(); ++i) reached[i] = bucket.members[i].is_reached ? 1 : 0;
  bucket.wait = group_.start_sum(bucket.flat);
}

Status GradientBuckets::finish() {
  is_last_pass_ = false;
  while (started_ < buckets_.size()) start_next();
  for (Bucket& bucket : buckets_) {
    PHIAL_CHECKED(std::exchange(bucket.wait, nullptr)());
    const float* const reached = bucket.flat.const_data_ptr<float>() + bucket.values;
    for (size_t i = 0; i < bucket.members.size(); ++i) {
      if (reached[i] == 0) bucket.members[i].parameter.mutable_grad().reset();
    }
  }
  return ok();
}

Status GradientBuckets::gather_weights() {
  if (owned_.empty()) return ok();
  // The gradients are used up: their room takes the weights.
  for (Bucket& bucket : buckets_) {
    for (const Member& member : bucket.members) {
      bucket.flat.slice(0, member.offset, member.offset + member.parameter.numel())
          .copy_(member.parameter.detach().view(-1));
    }
    bucket.wait = group_.start_gather_parts(bucket.flat);
  }
  for (Bucket& bucket : buckets_) {
    PHIAL_CHECKED(std::exchange(bucket.wait, nullptr)());
    for (const Member& member : bucket.members) {
      const int64_t end = member.offset + member.parameter.numel();
      member.parameter.detach().view(-1).copy_(bucket.flat.slice(0, member.offset, end));
    }
  }
  return ok();
}

}  // namespace phial::train

#include "phial/train/scaling.h"

#include <algorithm>

#include "phial/spec/variants.h"
#include "phial/train/utilization.h"

namespace phial::train {
namespace {

constexpr double kF32 = 4, kBf16 = 2;

double weights_of(const spec::DecoderSpec& spec) { return static_cast<double>(spec::parameters(spec)); }

double embedding_of(const spec::DecoderSpec& spec) { return static_cast<double>(spec.vocab_size) * spec.hidden_dim; }

// Of all layers together.
double weights_of_layers(const spec::DecoderSpec& spec) {
  return weights_of(spec) - (spec.tied_output ? 1 : 2) * embedding_of(spec);
}

// What a norm keeps of a token beside its input: what it divided by, and of a layer's norm the mean.
double kept_by_norm(const spec::DecoderSpec& spec) { return spec.norm == spec::NormKind::kRms ? kF32 : 2 * kF32; }

// What a layer keeps of a token for the backward pass (network.cc), beside its input. `number`: bytes of the type that
// matrix products compute with.
double kept_by_layer(const spec::DecoderSpec& spec, double number) {
  const double width = spec.hidden_dim, queries = static_cast<double>(spec.n_heads) * spec.head_dim;
  const double keys = static_cast<double>(spec.n_kv_heads) * spec.head_dim;
  // Two norms and what they give to the products, and the residual stream between.
  const double around = 2 * (kept_by_norm(spec) + number * width) + kF32 * width;
  // Turned queries and keys, and values: part of all that the product gave, or, where libtorch attends (bf16), copied
  // for every head of a group.
  const bool are_copied = spec.n_heads != spec.n_kv_heads && number != kF32;
  const double rotated = are_copied ? 3 * queries : 2 * (queries + keys) + keys;
  // And what attention gave, its heads apart and side by side, with a logarithm a head.
  const double attention = number * (rotated + 2 * queries) + kF32 * spec.n_heads;
  // Gate, up and their product; of GeGELU the clamped two, the sigmoid, and two products.
  const double parts = spec.activation == spec::Activation::kGeGelu ? 7 : 3;
  return around + attention + number * parts * spec.ffn_dim;
}

double bytes_a_second(const ScalingPlan& plan, const Machine& machine) {
  return plan.ranks <= machine.ranks_a_node ? machine.node_bytes : machine.network_bytes;
}

}  // namespace

RankMemory memory_of_rank(const spec::DecoderSpec& spec, const ScalingPlan& plan) {
  const double weights = kF32 * weights_of(spec), ranks = static_cast<double>(plan.ranks);
  const double part = plan.divided == Divided::kAll ? 1 / ranks : 1;
  const double layers_at_once = plan.recomputes_layers ? 1 : spec.n_layers;
  const double tokens = static_cast<double>(plan.rows * plan.tokens), stream = kF32 * spec.hidden_dim * tokens;
  const double layer = tokens * kept_by_layer(spec, plan.is_bf16 ? kBf16 : kF32);
  // Cosines and sines; the last norm, and the gradients that the loss computes at once.
  const double around = tokens * (kF32 * spec.rope_dims + kept_by_norm(spec)) + 2 * stream + kF32 * embedding_of(spec);
  RankMemory memory = {.weights = weights * part,
                       .gradients = weights * part,
                       .moments = 2 * weights / (plan.divided == Divided::kNothing ? 1 : ranks),
                       .activations = spec.n_layers * stream + around};
  (plan.recomputes_layers ? memory.recomputed : memory.activations) += layer * layers_at_once;
  // Fully sharded, a layer's are freed behind it.
  const double casts_at_once = plan.divided == Divided::kAll ? 1 : layers_at_once;
  if (plan.is_bf16) memory.casts = kBf16 * weights_of_layers(spec) / spec.n_layers * casts_at_once;
  return memory;
}

double handed_over_bytes(const spec::DecoderSpec& spec, const ScalingPlan& plan) {
  if (plan.ranks == 1) return 0;
  const double weights = kF32 * weights_of(spec), gathered = kBf16 * weights_of(spec);
  switch (plan.divided) {
    case Divided::kNothing:  // gradients are summed
      return weights;
    case Divided::kOptimizer:  // gradients are summed whole (gradient_buckets.h), and weights gathered
      return 2 * weights;
    case Divided::kAll:  // weights are gathered for each pass forwards and backwards, as the products take them
      return weights + 2 * static_cast<double>(plan.accumulate) * (plan.is_bf16 ? gathered : weights);
  }
  return 0;
}

double sent_bytes(const spec::DecoderSpec& spec, const ScalingPlan& plan) {
  const auto ranks = static_cast<double>(plan.ranks);
  // What is summed whole goes around twice.
  const double summed = plan.divided == Divided::kAll ? 0 : kF32 * weights_of(spec);
  return (handed_over_bytes(spec, plan) + summed) * (ranks - 1) / ranks;
}

StepEstimate estimate_step(const spec::DecoderSpec& spec, const ScalingPlan& plan, const Machine& machine) {
  const int64_t rows = plan.rows * plan.accumulate;
  const double needed =
      operations(spec, {rows * plan.tokens, rows * plan.tokens * (plan.tokens + 1) / 2}, /*is_adapter=*/false);
  // Forwards is a third of what is needed, and is computed twice with recomputation.
  const double done = plan.recomputes_layers ? needed * 4 / 3 : needed;
  StepEstimate step = {.compute_seconds = done / (machine.peak_operations * machine.reached_share),
                       .communication_seconds = sent_bytes(spec, plan) / bytes_a_second(plan, machine)};
  // Gradients are summed behind the last of the backward passes; weights that the optimizer stepped are gathered when
  // nothing else is done; gathering for each layer goes on beside all of the computation.
  const double last_backward =
      step.compute_seconds * (plan.recomputes_layers ? 0.75 : 2.0 / 3) / static_cast<double>(plan.accumulate);
  switch (plan.divided) {
    case Divided::kNothing:
      step.exposed_seconds = std::max(0.0, step.communication_seconds - last_backward);
      break;
    case Divided::kOptimizer:
      step.exposed_seconds =
          step.communication_seconds / 3 + std::max(0.0, step.communication_seconds * 2 / 3 - last_backward);
      break;
    case Divided::kAll:
      step.exposed_seconds = std::max(0.0, step.communication_seconds - step.compute_seconds);
      break;
  }
  step.mfu = needed / (machine.peak_operations * (step.compute_seconds + step.exposed_seconds));
  return step;
}

}  // namespace phial::train

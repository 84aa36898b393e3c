#include "phial/train/network.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "phial/base/check.h"
#include "phial/spec/tile_grid.h"
#include "phial/train/attention_mask.h"
#include "phial/train/device.h"
#include "phial/train/fused.h"
#include "phial/train/recompute.h"

namespace phial::train {
namespace {

using at::indexing::Ellipsis;
using at::indexing::None;
using at::indexing::Slice;

constexpr int64_t kRowsOfLogits = 256;  // whose logits are in memory together, where they are only measured

// Another device gets a copy of its own, with gradients where it had some.
void move_to(Parameter& parameter, const at::Device& device) {
  if (parameter.value.device() == device) return;
  parameter.value = parameter.value.detach().to(device).requires_grad_(parameter.value.requires_grad());
}

}  // namespace

Network::Network(spec::DecoderSpec spec, std::vector<Parameter> parameters, NetworkOptions options,
                 std::vector<Parameter> adapter, LoraOptions lora, const spec::VisionSpec* vision)
    : spec_(std::move(spec)),
      parameters_(std::move(parameters)),
      adapter_(std::move(adapter)),
      options_(options),
      lora_(lora),
      compute_(options.compute == Compute::kBf16 ? at::kBFloat16 : at::kFloat) {
  for (Parameter& parameter : adapter_) move_to(parameter, device());
  for (Parameter& parameter : parameters_) {
    move_to(parameter, device());
    if (!adapter_.empty() || parameter.rate == 0) parameter.value.requires_grad_(false);
    if (adapter_.empty() && parameter.rate != 0) trained_.push_back(parameter);
  }
  trained_.insert(trained_.end(), adapter_.begin(), adapter_.end());
  if (vision != nullptr) vision_.emplace(*vision, parameters_, compute_, options_.recompute_layers);
  const bool is_small = spec_.architecture == "phi3small";
  embedding_ = take("model.embed_tokens").weight;
  head_ = spec_.tied_output ? embedding_ : take("lm_head").weight;
  final_norm_ = take(is_small ? "model.final_layernorm" : "model.norm");
  for (int i = 0; i < spec_.n_layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    Layer layer;
    layer.attention_norm = take(prefix + "input_layernorm");
    layer.ffn_norm = take(prefix + "post_attention_layernorm");
    layer.output = take(prefix + (is_small ? "self_attn.dense" : "self_attn.o_proj"));
    layer.down = take(prefix + "mlp.down_proj");
    if (is_small || spec_.architecture == "phi3") {
      layer.qkv = take(prefix + (is_small ? "self_attn.query_key_value" : "self_attn.qkv_proj"));
      layer.gate_up = take(prefix + (is_small ? "mlp.up_proj" : "mlp.gate_up_proj"));
    } else {
      layer.query = take(prefix + "self_attn.q_proj");
      layer.key = take(prefix + "self_attn.k_proj");
      layer.value = take(prefix + "self_attn.v_proj");
      layer.gate = take(prefix + "mlp.gate_proj");
      layer.up = take(prefix + "mlp.up_proj");
    }
    layers_.push_back(std::move(layer));
  }
}

Network::Linear Network::take(const std::string& name) const {
  Linear linear;
  for (const Parameter& parameter : parameters_) {
    if (parameter.name == name + ".weight") linear.weight = parameter.value;
    if (parameter.name == name + ".bias") linear.bias = parameter.value;
  }
  for (const Parameter& half : adapter_) {
    if (half.name == lora_name(name + ".weight", 'A')) linear.a = half.value;
    if (half.name == lora_name(name + ".weight", 'B')) linear.b = half.value;
  }
  PHIAL_CHECK(linear.weight.defined());
  return linear;
}

// [B, 1, T, rope_dims / 2] each.
std::pair<at::Tensor, at::Tensor> Network::rotary_tensors(const Batch& batch) const {
  const int64_t n = batch.positions.max().item<int64_t>() + 1, half = spec_.rope_dims / 2;
  RotaryTensors& all = rotary_[batch.table];
  if (!all.cos.defined() || all.cos.size(0) < n) {
    const spec::RotaryTable table = spec::rotary_table(spec_, batch.table);
    at::Tensor cos = at::empty({n, half}, at::kFloat), sin = at::empty({n, half}, at::kFloat);
    const auto width = static_cast<size_t>(half);
    for (int64_t p = 0; p < n; ++p) {
      spec::rotary_angles(table, static_cast<int>(p), {cos.data_ptr<float>() + p * half, width},
                          {sin.data_ptr<float>() + p * half, width});
    }
    all = {moved(cos, device()), moved(sin, device())};
  }
  const at::Tensor places = moved(batch.positions.flatten(), device());
  const auto of_batch = [&](const at::Tensor& angles) {
    return angles.index_select(0, places).view({batch.positions.size(0), 1, batch.positions.size(1), half});
  };
  return {of_batch(all.cos), of_batch(all.sin)};
}

Network::Pass Network::pass_of(const Batch& batch) const {
  Pass pass;
  std::tie(pass.cos, pass.sin) = rotary_tensors(batch);
  pass.dense = dense_plan(batch);
  const bool sees_all_before = batch.one_document_a_row && !has_window(spec_, batch);
  if (!sees_all_before && can_attend_packed(spec_, device(), compute_)) {
    pass.documents = packed_documents(batch, device());
  } else if (pass.dense == nullptr) {
    pass.mask = attention_mask(spec_, batch, device());
  }
  // Shorter ones see everything. Longer ones are faster so than with a mask, in bf16 from some length on
  // (docs/training.md).
  const spec::BlockSparse& sparse = spec_.block_sparse;
  if (sparse.active()) {
    const at::Tensor of_documents = batch.positions.masked_fill(batch.documents < 0, 0);  // not of padding
    if (of_documents.max().item<int64_t>() >= sparse.dense_tokens()) {
      pass.sparse = block_sparse_plan(sparse, spec_.n_heads, spec_.n_kv_heads, batch);
    }
  }
  pass.rows = batch.ids.size(0);
  pass.tokens = batch.ids.size(1);
  return pass;
}

// Of dense layers, where blocks are the faster way (docs/training.md): in f32; in bf16, for which libtorch may have a
// matrix unit, where documents leave less than half of what a mask takes away again. Null: they are not, or there is a
// window, or they are on another device.
std::shared_ptr<const BlockSparsePlan> Network::dense_plan(const Batch& batch) const {
  constexpr int kBlock = 64;
  const int64_t longest = batch.positions.max().item<int64_t>() + 1;
  if (!device().is_cpu() || has_window(spec_, batch) || spec_.n_heads / spec_.n_kv_heads > spec::kMaxSparseGroup)
    return nullptr;
  if (compute_ == at::kBFloat16 && batch.one_document_a_row) return nullptr;
  const spec::BlockSparse all = {
      .block = kBlock, .local_blocks = static_cast<int>((longest - 1) / kBlock + 1), .stride = 1};
  auto plan = block_sparse_plan(all, spec_.n_heads, spec_.n_kv_heads, batch);
  if (compute_ == at::kBFloat16) {
    int64_t pairs = 0;
    for (const auto& document : plan->documents) pairs += document.tokens * document.tokens;
    if (2 * pairs > batch.ids.numel() * batch.ids.size(1)) return nullptr;
  }
  return plan;
}

at::Tensor Network::multiply(const at::Tensor& x, const Linear& linear) const {
  const std::optional<at::Tensor> bias = linear.bias.defined() ? std::optional(linear.bias.to(compute_)) : std::nullopt;
  const at::Tensor in = x.to(compute_);
  at::Tensor out = at::linear(in, linear.weight.to(compute_), bias);
  if (!linear.a.defined()) return out;
  return out + at::linear(at::linear(in, linear.a.to(compute_)), linear.b.to(compute_)) * lora_.scale();
}

at::Tensor Network::normalise(const at::Tensor& x, const Linear& norm, at::ScalarType type) const {
  if (spec_.norm == spec::NormKind::kLayer) {
    return at::layer_norm(x, {spec_.hidden_dim}, norm.weight, norm.bias, static_cast<double>(spec_.norm_eps));
  }
  return rms_norm(x, norm.weight, static_cast<double>(spec_.norm_eps), type);
}

// [B, H, T, E], and twice [B, K, T, E].
std::vector<at::Tensor> Network::queries_keys_values(const at::Tensor& x, const Layer& layer, const Pass& pass) const {
  const int64_t heads = spec_.n_heads, kv_heads = spec_.n_kv_heads, width = spec_.head_dim;
  const auto as_heads = [&](const at::Tensor& rows, int64_t n) {
    return rows.reshape({pass.rows, pass.tokens, n, width}).transpose(1, 2);
  };
  if (!layer.qkv.weight.defined()) {
    return {as_heads(multiply(x, layer.query), heads), as_heads(multiply(x, layer.key), kv_heads),
            as_heads(multiply(x, layer.value), kv_heads)};
  }
  const at::Tensor all = multiply(x, layer.qkv);
  if (spec_.architecture == "phi3small") {  // a group a key-value head: its queries, its key, its value
    const int64_t group = heads / kv_heads;
    const at::Tensor groups = all.view({pass.rows, pass.tokens, kv_heads, group + 2, width});
    return {as_heads(groups.slice(3, 0, group), heads), as_heads(groups.slice(3, group, group + 1), kv_heads),
            as_heads(groups.slice(3, group + 1), kv_heads)};
  }
  const auto parts = all.split_with_sizes({heads * width, kv_heads * width, kv_heads * width}, 2);
  return {as_heads(parts[0], heads), as_heads(parts[1], kv_heads), as_heads(parts[2], kv_heads)};
}

at::Tensor Network::attend(const at::Tensor& x, const Layer& layer, const Pass& pass, bool is_sparse) const {
  const auto parts = queries_keys_values(x, layer, pass);
  const at::Tensor queries = rotated(parts[0], pass.cos, pass.sin), keys = rotated(parts[1], pass.cos, pass.sin);
  const at::Tensor& values = parts[2];
  const auto scale = static_cast<double>(spec::attention_scale(spec_));
  at::Tensor mixed;
  const auto& blocks = is_sparse && pass.sparse != nullptr ? pass.sparse : pass.dense;
  if (blocks != nullptr) {
    mixed = block_sparse_attention(queries, keys, values, blocks, scale);
  } else if (pass.documents) {
    mixed = packed_attention(queries, keys, values, *pass.documents, spec_.sliding_window, scale);
  } else {
    const int64_t group = spec_.n_heads / spec_.n_kv_heads;
    const auto for_every_head = [&](const at::Tensor& kv) {  // [B, K, T, E] -> [B, H, T, E]
      return group == 1 ? kv : kv.repeat_interleave(group, 1);
    };
    const auto mask = pass.mask.defined() ? std::optional(pass.mask) : std::nullopt;
    mixed = at::scaled_dot_product_attention(queries, for_every_head(keys), for_every_head(values), mask, 0.0,
                                             !mask.has_value(), scale);
  }
  return multiply(mixed.transpose(1, 2).reshape({pass.rows, pass.tokens, spec_.n_heads * spec_.head_dim}),
                  layer.output);
}

at::Tensor Network::feed_forward(const at::Tensor& x, const Layer& layer) const {
  at::Tensor gate, up;
  if (!layer.gate_up.weight.defined()) {
    gate = multiply(x, layer.gate);
    up = multiply(x, layer.up);
  } else {
    const at::Tensor both = multiply(x, layer.gate_up);
    if (spec_.architecture == "phi3small") {  // their columns alternate
      gate = both.index({Ellipsis, Slice(0, None, 2)});
      up = both.index({Ellipsis, Slice(1, None, 2)});
    } else if (spec_.activation == spec::Activation::kSwiGlu) {
      return multiply(swiglu(both), layer.down);
    } else {
      gate = both.slice(2, 0, spec_.ffn_dim);
      up = both.slice(2, spec_.ffn_dim);
    }
  }
  switch (spec_.activation) {
    case spec::Activation::kSwiGlu:
      return multiply(swiglu(gate, up), layer.down);
    case spec::Activation::kGeGlu:
      return multiply(at::gelu(gate) * up, layer.down);
    case spec::Activation::kGeGelu:
      break;
  }
  if (spec_.gegelu_limit > 0) {
    gate = gate.clamp_max(spec_.gegelu_limit);
    up = up.clamp(-spec_.gegelu_limit, spec_.gegelu_limit);
  }
  return multiply(gate * at::sigmoid(gate * 1.702) * (up + 1), layer.down);
}

at::Tensor Network::layer(const at::Tensor& x, size_t index, const Pass& pass) const {
  const Layer& layer = layers_[index];
  const bool is_sparse = spec_.block_sparse.is_sparse(static_cast<int>(index));
  // What several products read stays f32, where their gradients meet.
  const auto type_for = [&](const Linear& whole) { return whole.weight.defined() ? compute_ : at::kFloat; };
  const at::Tensor between =
      x + attend(normalise(x, layer.attention_norm, type_for(layer.qkv)), layer, pass, is_sparse);
  return between + feed_forward(normalise(between, layer.ffn_norm, type_for(layer.gate_up)), layer);
}

at::Tensor Network::embedded(const Batch& batch) const {
  at::Tensor x = at::embedding(embedding_, moved(batch.ids, device()));
  if (spec_.embedding_multiplier != 1) x = x * static_cast<double>(spec_.embedding_multiplier);
  if (batch.pictures.empty()) return x;
  PHIAL_CHECK(vision_.has_value());
  std::vector<at::Tensor> places;
  for (const BatchPicture& picture : batch.pictures) {
    const spec::TileGrid grid = {.rows = static_cast<int>(picture.tile_rows),
                                 .cols = static_cast<int>(picture.tile_cols)};
    const int64_t first = picture.row * batch.ids.size(1) + picture.position;
    places.push_back(at::arange(first, first + image_tokens(vision_->spec(), grid), at::kLong));
  }
  const at::Tensor all = moved(at::cat(places), device());
  return x.flatten(0, 1).index_copy(0, all, vision_->rows(batch.pictures)).view_as(x);
}

at::Tensor Network::hidden(const Batch& batch, std::vector<at::Tensor>* outputs) const {
  const Pass pass = pass_of(batch);
  at::Tensor x = embedded(batch);
  for (size_t i = 0; i < layers_.size(); ++i) {
    x = options_.recompute_layers && x.requires_grad()
            ? recomputed([this, i, pass](const at::Tensor& in) { return layer(in, i, pass); }, x)
            : layer(x, i, pass);
    if (outputs != nullptr) outputs->push_back(x);
  }
  x = normalise(x, final_norm_, at::kFloat);
  if (outputs != nullptr) outputs->push_back(x);
  return x;
}

// [..., D] -> [..., V] in f32.
at::Tensor Network::as_logits(const at::Tensor& rows) const {
  at::Tensor logits = at::linear(rows.to(compute_), head_.to(compute_)).to(at::kFloat);
  logits = logits / static_cast<double>(spec_.logit_divisor);
  if (spec_.masked_ids.empty()) return logits;
  const at::Tensor masked = moved(at::tensor(at::ArrayRef<int32_t>(spec_.masked_ids)).to(at::kLong), device());
  return logits.index_fill(-1, masked, std::numeric_limits<float>::lowest());
}

at::Tensor Network::logits(const Batch& batch) const { return as_logits(hidden(batch)); }

CrossEntropyOptions Network::output_options() const {
  CrossEntropyOptions options;
  options.logit_divisor = static_cast<double>(spec_.logit_divisor);
  options.masked_ids.assign(spec_.masked_ids.begin(), spec_.masked_ids.end());
  options.compute = compute_;
  return options;
}

at::Tensor Network::target_log_probabilities(const Batch& batch, const at::Tensor& hidden) const {
  const at::NoGradGuard no_grad;
  return train::target_log_probabilities(hidden.flatten(0, 1), head_, batch.targets.flatten(), output_options())
      .view_as(batch.targets);
}

at::Tensor Network::targets_are_best(const Batch& batch, const at::Tensor& hidden) const {
  const at::NoGradGuard no_grad;
  const at::Tensor targets = batch.targets.flatten(), places = at::nonzero(targets.ne(kIgnored)).squeeze(1);
  const at::Tensor is_best = at::zeros_like(targets, at::kBool), rows = hidden.flatten(0, 1);
  for (int64_t at = 0; at < places.numel(); at += kRowsOfLogits) {
    const at::Tensor some = places.slice(0, at, std::min(at + kRowsOfLogits, places.numel()));
    const at::Tensor best = as_logits(rows.index_select(0, moved(some, device()))).argmax(1).cpu();
    is_best.index_copy_(0, some, best.eq(targets.index_select(0, some)));
  }
  return is_best.view_as(batch.targets);
}

at::Tensor Network::divergences(const Batch& batch, const at::Tensor& hidden, const Network& other) const {
  const at::NoGradGuard no_grad;
  const at::Tensor places = at::nonzero(batch.targets.flatten().ne(kIgnored)).squeeze(1);
  const at::Tensor rows = hidden.flatten(0, -2), others = other.hidden(batch).flatten(0, -2);
  const at::Tensor found = at::zeros({rows.size(0)}, rows.options());
  for (int64_t at = 0; at < places.numel(); at += kRowsOfLogits) {
    const at::Tensor some = moved(places.slice(0, at, std::min(at + kRowsOfLogits, places.numel())), device());
    const at::Tensor own = as_logits(rows.index_select(0, some)).log_softmax(1), p = own.exp();
    const at::Tensor theirs = other.as_logits(others.index_select(0, some)).log_softmax(1);
    // What is never said has no part: 0 times the difference of two infinities.
    const at::Tensor parts = at::where(p == 0, at::zeros({}, p.options()), p * (own - theirs));
    found.index_copy_(0, some, parts.sum(1));
  }
  return found.view_as(batch.targets).cpu();
}

CrossEntropy Network::loss(const Batch& batch, double z_loss) const {
  CrossEntropyOptions options = output_options();
  options.z_loss = z_loss;
  return cross_entropy(hidden(batch).flatten(0, 1), head_, batch.targets.flatten(), options);
}

}  // namespace phial::train

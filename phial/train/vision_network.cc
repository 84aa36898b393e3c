#include "phial/train/vision_network.h"

#include <ATen/Functions.h>

#include <utility>

#include "phial/base/check.h"
#include "phial/spec/vision_tensors.h"
#include "phial/train/device.h"
#include "phial/train/recompute.h"

namespace phial::train {

VisionNetwork::VisionNetwork(const spec::VisionSpec& spec, const std::vector<Parameter>& parameters,
                             at::ScalarType compute, bool recompute_layers)
    : spec_(spec), compute_(compute), recompute_layers_(recompute_layers) {
  const auto value = [&](const std::string& name) {
    for (const Parameter& parameter : parameters) {
      if (parameter.name == name) return parameter.value;
    }
    PHIAL_CHECK(false);
    return at::Tensor();
  };
  const auto linear = [&](const std::string& name) { return Linear{value(name + ".weight"), value(name + ".bias")}; };
  const std::string eye = spec::kVisionPrefix, clip = spec::kClipPrefix;
  patch_ = value(clip + "embeddings.patch_embedding.weight");
  class_token_ = value(clip + "embeddings.class_embedding");
  positions_ = value(clip + "embeddings.position_embedding.weight");
  embedding_norm_ = linear(clip + "pre_layrnorm");
  for (int i = 0; i < spec_.n_layers; ++i) {
    const std::string prefix = spec::clip_layer_prefix(i);
    layers_.push_back({.attention_norm = linear(prefix + "layer_norm1"),
                       .ffn_norm = linear(prefix + "layer_norm2"),
                       .query = linear(prefix + "self_attn.q_proj"),
                       .key = linear(prefix + "self_attn.k_proj"),
                       .value = linear(prefix + "self_attn.v_proj"),
                       .output = linear(prefix + "self_attn.out_proj"),
                       .up = linear(prefix + "mlp.fc1"),
                       .down = linear(prefix + "mlp.fc2")});
  }
  row_end_ = value(eye + "sub_GN");
  between_ = value(eye + "glb_GN");
  project_in_ = linear(eye + "img_projection.0");
  project_out_ = linear(eye + "img_projection.2");
}

at::Tensor VisionNetwork::multiply(const at::Tensor& x, const Linear& linear) const {
  return at::linear(x.to(compute_), linear.weight.to(compute_), linear.bias.to(compute_));
}

at::Tensor VisionNetwork::normalise(const at::Tensor& x, const Linear& norm) const {
  return at::layer_norm(x, {spec_.hidden_dim}, norm.weight, norm.bias, static_cast<double>(spec_.norm_eps));
}

// [n, 1 + G * G, C]: the class token, then the patches row by row.
at::Tensor VisionNetwork::embed(const at::Tensor& tiles) const {
  const int64_t n = tiles.size(0), across = spec_.patches(), side = spec_.patch_side;
  const at::Tensor patches = tiles.view({n, 3, across, side, across, side}).permute({0, 2, 4, 1, 3, 5});
  const at::Tensor seen =
      at::linear(patches.reshape({n, across * across, 3 * side * side}), patch_.view({spec_.hidden_dim, -1}));
  const at::Tensor all = at::cat({class_token_.view({1, 1, -1}).expand({n, 1, -1}), seen}, 1) + positions_;
  return normalise(all, embedding_norm_);
}

at::Tensor VisionNetwork::attend(const at::Tensor& x, const Layer& layer) const {
  const int64_t n = x.size(0), tokens = x.size(1), heads = spec_.n_heads;
  const auto as_heads = [&](const Linear& linear) {
    return multiply(x, linear).view({n, tokens, heads, -1}).transpose(1, 2);
  };
  const at::Tensor mixed =
      at::scaled_dot_product_attention(as_heads(layer.query), as_heads(layer.key), as_heads(layer.value));
  return multiply(mixed.transpose(1, 2).reshape({n, tokens, spec_.hidden_dim}), layer.output);
}

at::Tensor VisionNetwork::layer(const at::Tensor& x, const Layer& layer) const {
  const at::Tensor between = x + attend(normalise(x, layer.attention_norm), layer);
  const at::Tensor up = multiply(normalise(between, layer.ffn_norm), layer.up);
  return between + multiply(up * at::sigmoid(up * 1.702), layer.down);  // quick GELU
}

at::Tensor VisionNetwork::features(const at::Tensor& tiles) const {
  at::Tensor x = embed(tiles);
  for (const Layer& each : layers_) {
    x = recompute_layers_ && x.requires_grad()
            ? recomputed([this, &each](const at::Tensor& in) { return layer(in, each); }, x)
            : layer(x, each);
  }
  return x.slice(1, 1);
}

// [rows, cols, 4 C] -> [rows * (cols + 1), 4 C].
at::Tensor VisionNetwork::with_row_ends(const at::Tensor& grid) const {
  const int64_t width = grid.size(2);
  return at::cat({grid, row_end_.view({1, 1, width}).expand({grid.size(0), 1, width})}, 1).reshape({-1, width});
}

at::Tensor VisionNetwork::rows(const std::vector<BatchPicture>& pictures) const {
  std::vector<at::Tensor> tiles, parts;
  for (const BatchPicture& picture : pictures) tiles.push_back(picture.pixels);
  const int64_t side = spec_.tokens(), width = 4 * int64_t{spec_.hidden_dim};
  // Two by two patches are one token: [tiles, side, side, 4 C].
  const at::Tensor merged = features(moved(at::cat(tiles), patch_.device()))
                                .reshape({-1, side, 2, side, 2, spec_.hidden_dim})
                                .permute({0, 1, 3, 2, 4, 5})
                                .reshape({-1, side, side, width});
  int64_t tile = 0;
  for (const BatchPicture& picture : pictures) {
    const int64_t rows = picture.tile_rows, cols = picture.tile_cols;
    const at::Tensor page = merged.slice(0, tile + 1, tile + 1 + rows * cols)
                                .view({rows, cols, side, side, width})
                                .transpose(1, 2)
                                .reshape({rows * side, cols * side, width});
    parts.push_back(with_row_ends(page));
    parts.push_back(between_.view({1, width}));
    parts.push_back(with_row_ends(merged[tile]));
    tile += 1 + rows * cols;
  }
  return multiply(at::gelu(multiply(at::cat(parts), project_in_)), project_out_).to(at::kFloat);
}

}  // namespace phial::train

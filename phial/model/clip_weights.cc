#include "phial/model/clip_weights.h"

#include <cmath>
#include <filesystem>
#include <string>
#include <utility>

#include "phial/base/json.h"
#include "phial/base/json_file.h"
#include "phial/model/clip.h"
#include "phial/spec/vision_tensors.h"

namespace phial::model {
namespace {

const std::string kEye = spec::kVisionPrefix;
const std::string kClip = spec::kClipPrefix;

uint64_t wide(int n) { return static_cast<uint64_t>(n); }

struct NamedMatrix {
  std::string name;
  uint64_t rows, cols;
};

// The matrices of a layer: q, k and v, then output, up, down.
std::vector<NamedMatrix> matrices_of_layer(const spec::VisionSpec& spec, int i) {
  const uint64_t hidden = wide(spec.hidden_dim), ffn = wide(spec.ffn_dim);
  const std::string layer = spec::clip_layer_prefix(i);
  return {{layer + "self_attn.q_proj", hidden, hidden},
          {layer + "self_attn.k_proj", hidden, hidden},
          {layer + "self_attn.v_proj", hidden, hidden},
          {layer + "self_attn.out_proj", hidden, hidden},
          {layer + "mlp.fc1", ffn, hidden},
          {layer + "mlp.fc2", hidden, ffn}};
}

std::vector<NamedMatrix> matrices_of_projector(const spec::VisionSpec& spec) {
  const uint64_t out = wide(spec.output_dim);
  return {{kEye + "img_projection.0", out, 4 * wide(spec.hidden_dim)}, {kEye + "img_projection.2", out, out}};
}

class ClipBinder {
 public:
  ClipBinder(const formats::Checkpoint& checkpoint, const spec::VisionSpec& spec, Precision precision, ThreadPool& pool)
      : spec_(spec), parts_(checkpoint, precision, pool), hidden_(wide(spec.hidden_dim)) {}

  Result<ClipWeights> run() {
    ClipWeights out;
    PHIAL_CHECKED(embeddings(out));
    for (int i = 0; i < spec_.n_layers; ++i) {
      PHIAL_TRY(EncoderLayer one, layer(i));
      out.layers.push_back(std::move(one));
    }
    PHIAL_TRY(out.row_end, values(kEye + "sub_GN", {1, 1, 1, 4 * hidden_}));
    PHIAL_TRY(out.between, values(kEye + "glb_GN", {1, 1, 4 * hidden_}));
    const auto projector = matrices_of_projector(spec_);
    PHIAL_CHECKED(append(projector[0], out.project_in, out.project_in_bias));
    PHIAL_CHECKED(append(projector[1], out.project_out, out.project_out_bias));
    return out;
  }

 private:
  Status append(const NamedMatrix& matrix, Linear& linear, std::vector<float>& bias) {
    return parts_.append(matrix.name, matrix.rows, matrix.cols, linear, bias);
  }

  // All numbers of a tensor, which must be finite.
  Result<std::vector<float>> values(const std::string& name, std::initializer_list<uint64_t> shape) {
    PHIAL_TRY(const StoredRows stored, parts_.find().matrix(name, shape));
    std::vector<float> out(stored.rows * stored.cols);
    for (size_t r = 0; r < stored.rows; ++r) stored.decode(r, 0, std::span(out).subspan(r * stored.cols, stored.cols));
    for (const float value : out) {
      if (!std::isfinite(value)) return not_finite("tensor '" + name + "'");
    }
    return out;
  }

  Status embeddings(ClipWeights& out) {
    const uint64_t side = wide(spec_.patch_side), places = 1 + wide(spec_.patches()) * wide(spec_.patches());
    const std::string place = kClip + "embeddings.", patch = place + "patch_embedding.weight";
    PHIAL_TRY(const StoredRows stored, parts_.find().matrix(patch, {hidden_, 3, side, side}));
    PHIAL_CHECKED(parts_.append(stored, patch, Layout::kF32, out.patch));
    PHIAL_TRY(out.class_token, parts_.find().vector(place + "class_embedding", hidden_));
    PHIAL_TRY(out.positions, values(place + "position_embedding.weight", {places, hidden_}));
    PHIAL_TRY(out.embedding_norm, parts_.norm(kClip + "pre_layrnorm", hidden_));
    return ok();
  }

  Result<EncoderLayer> layer(int i) {
    EncoderLayer out;
    const auto matrices = matrices_of_layer(spec_, i);
    for (size_t part = 0; part < 3; ++part) PHIAL_CHECKED(append(matrices[part], out.qkv, out.qkv_bias));
    PHIAL_CHECKED(append(matrices[3], out.output, out.output_bias));
    PHIAL_CHECKED(append(matrices[4], out.up, out.up_bias));
    PHIAL_CHECKED(append(matrices[5], out.down, out.down_bias));
    PHIAL_TRY(out.attention_norm, parts_.norm(spec::clip_layer_prefix(i) + "layer_norm1", hidden_));
    PHIAL_TRY(out.ffn_norm, parts_.norm(spec::clip_layer_prefix(i) + "layer_norm2", hidden_));
    return out;
  }

  const spec::VisionSpec& spec_;
  EncoderParts parts_;
  uint64_t hidden_;
};

}  // namespace

Result<spec::VisionSpec> ImageEncoder::read_spec(const formats::Checkpoint& checkpoint, int output_dim) {
  PHIAL_TRY(const Json preprocessor, read_json_if_there(checkpoint.folder() / "preprocessor_config.json"));
  const auto shape_of = [&](const std::string& name) {
    const formats::Tensor* tensor = checkpoint.find(name);
    return tensor == nullptr ? nullptr : &tensor->shape;
  };
  auto spec = spec::vision_of_tensors(checkpoint.metadata(), preprocessor, output_dim, shape_of);
  if (!spec) return std::move(spec).error().in(checkpoint.path().string());
  return spec;
}

Result<ClipWeights> load_clip_weights(const formats::Checkpoint& checkpoint, const spec::VisionSpec& spec,
                                      Precision precision, ThreadPool& pool) {
  return ClipBinder(checkpoint, spec, precision, pool).run();
}

Result<uint64_t> clip_weights_bytes(const formats::Checkpoint& checkpoint, const spec::VisionSpec& spec,
                                    Precision precision) {
  const auto packed = [](Layout layout, uint64_t rows, uint64_t cols) {
    return round_up(rows, kernels::kTileRows) / kernels::kTileRows * tile_row_bytes(layout, cols);
  };
  TensorFinder find(checkpoint);
  std::vector<NamedMatrix> matrices = matrices_of_projector(spec);
  for (int i = 0; i < spec.n_layers; ++i) {
    for (NamedMatrix& matrix : matrices_of_layer(spec, i)) matrices.push_back(std::move(matrix));
  }
  const uint64_t hidden = wide(spec.hidden_dim), side = wide(spec.patch_side);
  uint64_t bytes = packed(Layout::kF32, hidden, 3 * side * side);
  for (const NamedMatrix& matrix : matrices) {
    PHIAL_TRY(const StoredRows stored, find.matrix(matrix.name + ".weight", matrix.rows, matrix.cols));
    bytes += packed(precision == Precision::kFast ? fast_layout(stored) : Layout::kF32, matrix.rows, matrix.cols);
  }
  return bytes;
}

}  // namespace phial::model

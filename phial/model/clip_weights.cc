#include "phial/model/clip_weights.h"

#include <cmath>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "phial/base/json.h"
#include "phial/base/json_file.h"
#include "phial/base/utf8.h"
#include "phial/model/clip.h"
#include "phial/spec/vision_tensors.h"

namespace phial::model {
namespace {

const std::string kEye = spec::kVisionPrefix;
const std::string kClip = spec::kClipPrefix;

uint64_t wide(int n) { return static_cast<uint64_t>(n); }

// What the checkpoint calls a tensor of this name.
std::string stored_name(const formats::Checkpoint& checkpoint, const std::string& name) {
  return checkpoint.kind() == formats::CheckpointKind::kGguf ? spec::gguf_vision_name(name) : name;
}

struct NamedMatrix {
  std::string name;  // as a folder has it, without ".weight"
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
      : checkpoint_(checkpoint), spec_(spec), parts_(checkpoint, precision, pool), hidden_(wide(spec.hidden_dim)) {}

  Result<ClipWeights> run() {
    ClipWeights out;
    PHIAL_CHECKED(embeddings(out));
    for (int i = 0; i < spec_.n_layers; ++i) {
      PHIAL_TRY(EncoderLayer one, layer(i));
      out.layers.push_back(std::move(one));
    }
    if (checkpoint_.kind() == formats::CheckpointKind::kGguf) {
      PHIAL_TRY(out.row_end, values(kEye + "sub_GN", {4 * hidden_}));
      PHIAL_TRY(out.between, values(kEye + "glb_GN", {4 * hidden_}));
    } else {
      PHIAL_TRY(out.row_end, values(kEye + "sub_GN", {1, 1, 1, 4 * hidden_}));
      PHIAL_TRY(out.between, values(kEye + "glb_GN", {1, 1, 4 * hidden_}));
    }
    const auto projector = matrices_of_projector(spec_);
    PHIAL_CHECKED(append(projector[0], out.project_in, out.project_in_bias));
    PHIAL_CHECKED(append(projector[1], out.project_out, out.project_out_bias));
    PHIAL_CHECKED(refuse_leftovers());
    return out;
  }

 private:
  // "NAME.", of which EncoderParts adds the ends.
  std::string name_of(const std::string& name) const {
    const std::string stored = stored_name(checkpoint_, name + ".");
    return stored.substr(0, stored.size() - 1);
  }
  Status append(const NamedMatrix& matrix, Linear& linear, std::vector<float>& bias) {
    return parts_.append(name_of(matrix.name), matrix.rows, matrix.cols, linear, bias);
  }
  Result<LayerNorm> norm(const std::string& name) { return parts_.norm(name_of(name), hidden_); }

  // All numbers of a tensor, which must be finite.
  Result<std::vector<float>> values(const std::string& name, std::initializer_list<uint64_t> shape) {
    PHIAL_TRY(const StoredRows stored, parts_.find().matrix(stored_name(checkpoint_, name), shape));
    std::vector<float> out(stored.rows * stored.cols);
    for (size_t r = 0; r < stored.rows; ++r) stored.decode(r, 0, std::span(out).subspan(r * stored.cols, stored.cols));
    for (const float value : out) {
      if (!std::isfinite(value)) {
        return not_finite("tensor '" + stored_name(checkpoint_, name) + "'").in(checkpoint_.path().string());
      }
    }
    return out;
  }

  Status embeddings(ClipWeights& out) {
    const uint64_t side = wide(spec_.patch_side), places = 1 + wide(spec_.patches()) * wide(spec_.patches());
    const std::string place = kClip + "embeddings.";
    const std::string patch = stored_name(checkpoint_, place + "patch_embedding.weight");
    PHIAL_TRY(const StoredRows stored, parts_.find().matrix(patch, {hidden_, 3, side, side}));
    PHIAL_CHECKED(parts_.append(stored, patch, Layout::kF32, out.patch));
    PHIAL_TRY(out.class_token, parts_.find().vector(stored_name(checkpoint_, place + "class_embedding"), hidden_));
    PHIAL_TRY(out.positions, values(place + "position_embedding.weight", {places, hidden_}));
    PHIAL_TRY(out.embedding_norm, norm(kClip + "pre_layrnorm"));
    return ok();
  }

  Result<EncoderLayer> layer(int i) {
    EncoderLayer out;
    const auto matrices = matrices_of_layer(spec_, i);
    for (size_t part = 0; part < 3; ++part) PHIAL_CHECKED(append(matrices[part], out.qkv, out.qkv_bias));
    PHIAL_CHECKED(append(matrices[3], out.output, out.output_bias));
    PHIAL_CHECKED(append(matrices[4], out.up, out.up_bias));
    PHIAL_CHECKED(append(matrices[5], out.down, out.down_bias));
    PHIAL_TRY(out.attention_norm, norm(spec::clip_layer_prefix(i) + "layer_norm1"));
    PHIAL_TRY(out.ffn_norm, norm(spec::clip_layer_prefix(i) + "layer_norm2"));
    return out;
  }

  // As the decoder's. A folder may hold layers behind the one whose features are taken, a file only what is run.
  Status refuse_leftovers() {
    for (const formats::Tensor& tensor : checkpoint_.tensors()) {
      if (parts_.find().was_used(tensor.name) || !is_of_what_runs(tensor.name)) continue;
      return Error{Code::kUnsupported,
                   checkpoint_.path().string() + ": tensor '" + printable(tensor.name, 200) + "'" +
                       " has no place in an image encoder of " + std::to_string(spec_.n_layers) + " layers",
                   "this variant is not supported; use another model"};
    }
    return ok();
  }
  bool is_of_what_runs(std::string_view name) const {
    if (checkpoint_.kind() == formats::CheckpointKind::kGguf || name.starts_with(kEye + "img_projection.")) return true;
    for (int i = 0; i < spec_.n_layers; ++i) {
      if (name.starts_with(spec::clip_layer_prefix(i))) return true;
    }
    return false;
  }

  const formats::Checkpoint& checkpoint_;
  const spec::VisionSpec& spec_;
  EncoderParts parts_;
  uint64_t hidden_;
};

using SharedCheckpoint = std::shared_ptr<const formats::Checkpoint>;

Result<SharedCheckpoint> open_projector(const std::filesystem::path& file, int output_dim, LoadMode load) {
  PHIAL_TRY(formats::Checkpoint eye, formats::Checkpoint::open(file, load));
  if (!spec::is_projector(eye.metadata())) {
    return Error{Code::kInvalid, file.string() + " holds no image encoder alone",
                 "name the file that stands beside the model's: " + std::string(formats::kProjectorPrefix) + "..."};
  }
  PHIAL_CHECKED(ImageEncoder::read_spec(eye, output_dim));
  return std::make_shared<const formats::Checkpoint>(std::move(eye));
}

// Empty: none stands beside the decoder's file.
std::filesystem::path find_projector(const formats::Checkpoint& decoder) {
  if (decoder.kind() != formats::CheckpointKind::kGguf) return {};
  std::error_code ignored;
  const std::filesystem::path& named = decoder.files().front().path();
  for (const auto& place : {named, std::filesystem::canonical(named, ignored)}) {
    const std::filesystem::path file = formats::projector_beside(place);
    if (std::filesystem::exists(file, ignored)) return file;
  }
  return {};
}

}  // namespace

Result<SharedCheckpoint> ImageEncoder::find(SharedCheckpoint decoder, int output_dim,
                                            const std::filesystem::path& projector, LoadMode load, const Log& log) {
  if (spec::has_vision(decoder->metadata())) {
    if (projector.empty()) return decoder;
    return Error{Code::kInvalid, decoder->path().string() + " has an image encoder of its own", "name no projector"};
  }
  if (!projector.empty()) return open_projector(projector, output_dim, load);
  const std::filesystem::path found = find_projector(*decoder);
  if (found.empty()) return SharedCheckpoint();
  auto eye = open_projector(found, output_dim, load);
  if (eye || (eye.error().code != Code::kUnsupported && eye.error().code != Code::kInvalid)) return eye;
  // Nobody asked for it: other programs call theirs so too.
  log(Severity::kWarning, "the model does not see pictures: " + eye.error().message);
  return SharedCheckpoint();
}

Result<spec::VisionSpec> ImageEncoder::read_spec(const formats::Checkpoint& checkpoint, int output_dim) {
  if (checkpoint.kind() == formats::CheckpointKind::kGguf) {
    auto spec = spec::vision_from_gguf(checkpoint.metadata(), output_dim);
    if (!spec) return std::move(spec).error().in(checkpoint.path().string());
    return spec;
  }
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
    PHIAL_TRY(const StoredRows stored,
              find.matrix(stored_name(checkpoint, matrix.name + ".weight"), matrix.rows, matrix.cols));
    bytes += packed(precision == Precision::kFast ? fast_layout(stored) : Layout::kF32, matrix.rows, matrix.cols);
  }
  return bytes;
}

}  // namespace phial::model

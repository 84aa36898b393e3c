#include "phial/spec/vision_tensors.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace phial::spec {
namespace {

const std::string kClip = kClipPrefix;

class VisionLister {
 public:
  void add(const std::string& name, std::vector<int64_t> shape, double init_std) {
    all.push_back({prefix + name, TensorRole::kVision, part, std::move(shape), init_std});
  }
  void matrix(const std::string& name, int64_t out, int64_t in, double init_std) {
    add(name + ".weight", {out, in}, init_std);
    all.push_back({prefix + name + ".bias", TensorRole::kBias, part, {out}, 0});
  }
  void norm(const std::string& name, int64_t width) {
    all.push_back({prefix + name + ".weight", TensorRole::kNormGain, part, {width}, 0});
    all.push_back({prefix + name + ".bias", TensorRole::kBias, part, {width}, 0});
  }

  std::vector<VisionTensor> all;
  std::string prefix;
  VisionPart part = VisionPart::kEncoder;
};

// A side of a tensor's shape, as far as it makes sense.
Result<int> dimension(const ShapeOf& shape_of, const std::string& name, size_t which) {
  const std::vector<uint64_t>* shape = shape_of(name);
  if (shape == nullptr) return Error{Code::kCorrupt, "there is no tensor '" + name + "'", "download the model again"};
  if (which < shape->size() && (*shape)[which] > 0 && (*shape)[which] <= (1 << 20)) {
    return static_cast<int>((*shape)[which]);
  }
  return Error{Code::kCorrupt, "tensor '" + name + "' has a shape that makes no sense", "download the model again"};
}

Status read_widths(const ShapeOf& shape_of, VisionSpec& spec) {
  PHIAL_TRY(spec.hidden_dim, dimension(shape_of, kClip + "embeddings.class_embedding", 0));
  PHIAL_TRY(spec.patch_side, dimension(shape_of, kClip + "embeddings.patch_embedding.weight", 3));
  PHIAL_TRY(spec.ffn_dim, dimension(shape_of, clip_layer_prefix(0) + "mlp.fc1.weight", 0));
  PHIAL_TRY(const int places, dimension(shape_of, kClip + "embeddings.position_embedding.weight", 0));
  const int side = static_cast<int>(std::lround(std::sqrt(static_cast<double>(places - 1))));
  if (side * side != places - 1) {
    return Error{Code::kCorrupt,
                 "the vision encoder has " + std::to_string(places) + " positions, wanted one and a square number",
                 "download the model again"};
  }
  spec.image_side = side * spec.patch_side;
  return ok();
}

}  // namespace

std::string gguf_vision_name(std::string_view name) {
  // What is called otherwise, by its place in the folder's name; longer ones first where one begins another.
  static const std::pair<std::string_view, std::string_view> kParts[] = {
      {kClipPrefix, "v."},
      {kVisionPrefix, "mm."},
      {"mm.glb_GN", "v.view_seperator"},  // so it is spelled there
      {"mm.sub_GN", "v.image_newline"},
      {"mm.img_projection.", "mm."},
      {"v.embeddings.class_embedding", "v.class_embd"},
      {"v.embeddings.patch_embedding.", "v.patch_embd."},
      {"v.embeddings.position_embedding.", "v.position_embd."},
      {"v.pre_layrnorm.", "v.pre_ln."},
      {"v.encoder.layers.", "v.blk."},
      {".layer_norm1.", ".ln1."},
      {".layer_norm2.", ".ln2."},
      {".self_attn.q_proj.", ".attn_q."},
      {".self_attn.k_proj.", ".attn_k."},
      {".self_attn.v_proj.", ".attn_v."},
      {".self_attn.out_proj.", ".attn_out."},
      {".mlp.fc1.", ".ffn_up."},
      {".mlp.fc2.", ".ffn_down."}};
  std::string out(name);
  for (const auto& [part, other] : kParts) {
    if (const size_t at = out.find(part); at != out.npos) out.replace(at, part.size(), other);
  }
  return out;
}

std::string clip_layer_prefix(int layer) { return kClip + "encoder.layers." + std::to_string(layer) + "."; }

std::vector<VisionTensor> vision_tensors(const VisionSpec& spec) {
  constexpr double kSigma = 0.02;
  const int64_t hidden = spec.hidden_dim, ffn = spec.ffn_dim, patch = spec.patch_side, out = spec.output_dim;
  const double narrow = 1 / std::sqrt(static_cast<double>(hidden));
  const double by_depth = narrow / std::sqrt(2.0 * std::max(1, spec.n_layers));
  VisionLister list;
  list.prefix = kClip + "embeddings.";
  list.add("class_embedding", {hidden}, narrow);
  list.add("patch_embedding.weight", {hidden, 3, patch, patch}, kSigma);
  list.add("position_embedding.weight", {1 + int64_t{spec.patches()} * spec.patches(), hidden}, kSigma);
  list.prefix = kClip;
  list.norm("pre_layrnorm", hidden);
  for (int i = 0; i < spec.n_layers; ++i) {
    list.prefix = clip_layer_prefix(i);
    list.norm("layer_norm1", hidden);
    for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}) {
      list.matrix(name, hidden, hidden, by_depth);
    }
    list.matrix("self_attn.out_proj", hidden, hidden, narrow);
    list.norm("layer_norm2", hidden);
    list.matrix("mlp.fc1", ffn, hidden, narrow / std::sqrt(2.0));
    list.matrix("mlp.fc2", hidden, ffn, by_depth);
  }
  list.prefix = kVisionPrefix;
  list.part = VisionPart::kProjector;
  list.add("glb_GN", {1, 1, 4 * hidden}, kSigma);
  list.add("sub_GN", {1, 1, 1, 4 * hidden}, kSigma);
  list.matrix("img_projection.0", out, 4 * hidden, narrow / 2);
  list.matrix("img_projection.2", out, out, kSigma);
  return std::move(list.all);
}

Result<VisionSpec> vision_of_tensors(const Json& config, const Json& preprocessor, int output_dim,
                                     const ShapeOf& shape_of) {
  PHIAL_TRY(const VisionFacts facts, vision_from_config(config, preprocessor));
  VisionSpec spec = vision_of_facts(facts, output_dim);
  PHIAL_CHECKED(read_widths(shape_of, spec));
  constexpr int kPublishedHeadDim = 64;
  spec.n_heads = facts.n_heads > 0 ? facts.n_heads : std::max(spec.hidden_dim / kPublishedHeadDim, 1);
  int stored_layers = 0;
  while (shape_of(clip_layer_prefix(stored_layers) + "layer_norm1.weight") != nullptr) ++stored_layers;
  spec.n_layers = layers_to_run(facts.layer_index, stored_layers);
  if (spec.n_layers < 1 || spec.n_layers > stored_layers) {
    return Error{Code::kCorrupt,
                 "the feature is hidden state " + std::to_string(facts.layer_index) + " of a vision encoder of " +
                     std::to_string(stored_layers) + " layers",
                 "download the model again"};
  }
  PHIAL_CHECKED(validate(spec));
  return spec;
}

}  // namespace phial::spec

#include "phial/model/decoder_weights.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "phial/model/tensor_finder.h"
#include "phial/model/tensor_names.h"

namespace phial::model {
namespace {

// Exact models up to this size (in f32) are unpacked once; larger ones are decoded tile by tile as they are used.
constexpr uint64_t kUnpackedExactBytes = uint64_t{1} << 30;

bool is_zero(const formats::Tensor& tensor) {
  return std::all_of(tensor.bytes.begin(), tensor.bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

class Binder {
 public:
  Binder(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec)
      : checkpoint_(checkpoint),
        spec_(spec),
        names_(checkpoint.kind() == formats::CheckpointKind::kGguf ? kGgufNames : kHuggingFaceNames),
        find_(checkpoint),
        hidden_(static_cast<uint64_t>(spec.hidden_dim)),
        ffn_(static_cast<uint64_t>(spec.ffn_dim)),
        q_(static_cast<uint64_t>(spec.n_heads) * static_cast<uint64_t>(spec.head_dim)),
        kv_(static_cast<uint64_t>(spec.n_kv_heads) * static_cast<uint64_t>(spec.head_dim)) {
    if (spec.rotary_pairs_adjacent) {
      order_ = {.head_dim = static_cast<size_t>(spec.head_dim), .rope_dims = static_cast<size_t>(spec.rope_dims)};
    }
  }

  Result<DecoderTensors> run() {
    DecoderTensors out;
    const auto vocab = static_cast<uint64_t>(spec_.vocab_size);
    // Phi-3-vision's own code keeps it with the image encoder.
    const bool is_with_vision = find_.has(kVisionWordEmbedding) && !find_.has(weight(names_.embedding));
    const std::string embedding = is_with_vision ? kVisionWordEmbedding : weight(names_.embedding);
    PHIAL_TRY(out.embedding, find_.matrix(embedding, vocab, hidden_));
    PHIAL_TRY(out.final_norm, find_.vector(weight(names_.final_norm), hidden_));
    if (spec_.tied_output) {
      out.head = {out.embedding};
    } else {
      PHIAL_TRY(const StoredRows head, find_.matrix(weight(names_.head), vocab, hidden_));
      out.head = {head};
    }
    for (int i = 0; i < spec_.n_layers; ++i) {
      prefix_ = names_.layers + std::to_string(i) + ".";
      DecoderTensors::Layer layer;
      PHIAL_CHECKED(bind_attention(layer));
      PHIAL_CHECKED(bind_ffn(layer));
      out.layers.push_back(std::move(layer));
    }
    PHIAL_CHECKED(refuse_leftovers());
    return out;
  }

 private:
  static std::string weight(const char* name) { return std::string(name) + ".weight"; }
  std::string in_layer(const char* name, const char* what = ".weight") const { return prefix_ + name + what; }

  Status bind_attention(DecoderTensors::Layer& layer) {
    PHIAL_TRY(layer.attention_norm, find_.vector(in_layer(names_.attention_norm), hidden_));
    const bool is_fused = find_.has(in_layer(names_.qkv));
    if (is_fused) {
      PHIAL_TRY(const StoredRows qkv, find_.matrix(in_layer(names_.qkv), q_ + 2 * kv_, hidden_));
      layer.qkv = {qkv};
    } else {
      PHIAL_TRY(StoredRows q, find_.matrix(in_layer(names_.q), q_, hidden_));
      PHIAL_TRY(StoredRows k, find_.matrix(in_layer(names_.k), kv_, hidden_));
      PHIAL_TRY(const StoredRows v, find_.matrix(in_layer(names_.v), kv_, hidden_));
      q.order = order_;
      k.order = order_;
      layer.qkv = {q, k, v};
    }
    if (is_fused && order_.head_dim != 0) {
      return Error{Code::kUnsupported, "tensor '" + in_layer(names_.qkv) + "' is not known in a " + spec_.architecture,
                   "convert the model anew"};
    }
    if (spec_.has_attention_bias) PHIAL_CHECKED(bind_qkv_bias(is_fused, layer));
    PHIAL_TRY(const StoredRows output, find_.matrix(in_layer(names_.output), hidden_, q_));
    layer.output = {output};
    if (spec_.has_output_bias) {
      PHIAL_TRY(layer.output_bias, find_.vector(in_layer(names_.output, ".bias"), hidden_));
    }
    return ok();
  }

  Status bind_qkv_bias(bool is_fused, DecoderTensors::Layer& layer) {
    if (is_fused) {
      PHIAL_TRY(layer.qkv_bias, find_.vector(in_layer(names_.qkv, ".bias"), q_ + 2 * kv_));
      return ok();
    }
    const std::pair<const char*, uint64_t> parts[] = {{names_.q, q_}, {names_.k, kv_}, {names_.v, kv_}};
    for (const auto& [name, size] : parts) {
      PHIAL_TRY(const std::vector<float> stored, find_.vector(in_layer(name, ".bias"), size));
      const RowOrder order = name == names_.v ? RowOrder{} : order_;
      for (size_t r = 0; r < stored.size(); ++r) layer.qkv_bias.push_back(stored[order.stored_row(r)]);
    }
    return ok();
  }

  Status bind_ffn(DecoderTensors::Layer& layer) {
    PHIAL_TRY(layer.ffn_norm, find_.vector(in_layer(names_.ffn_norm), hidden_));
    if (find_.has(in_layer(names_.gate))) {
      PHIAL_TRY(const StoredRows gate, find_.matrix(in_layer(names_.gate), ffn_, hidden_));
      PHIAL_TRY(const StoredRows up, find_.matrix(in_layer(names_.up), ffn_, hidden_));
      layer.gate_up = {gate, up};
    } else {
      PHIAL_TRY(const StoredRows both, find_.matrix(in_layer(names_.gate_up), 2 * ffn_, hidden_));
      layer.gate_up = {both};
    }
    PHIAL_TRY(const StoredRows down, find_.matrix(in_layer(names_.down), hidden_, ffn_));
    layer.down = {down};
    return ok();
  }

  // A tensor that this network has no place for would be left out in silence, and the answers be wrong.
  Status refuse_leftovers() const {
    for (const formats::Tensor& tensor : checkpoint_.tensors()) {
      const std::string_view name = tensor.name;
      if (find_.was_used(tensor.name) || name.find("rotary_emb") != name.npos) continue;
      if (name.starts_with(kVisionPrefix)) continue;             // the image encoder's, which binds them itself
      if (name.ends_with(".bias") && is_zero(tensor)) continue;  // what GPTQ's first tools wrote beside every matrix
      if (name.starts_with(names_.layers) || name.ends_with(".bias")) {
        return Error{Code::kUnsupported,
                     checkpoint_.path().string() + ": tensor '" + tensor.name + "' has no place in a " +
                         spec_.architecture + " of " + std::to_string(spec_.n_layers) + " layers",
                     "this variant is not supported; use another model"};
      }
    }
    return ok();
  }

  const formats::Checkpoint& checkpoint_;
  const spec::DecoderSpec& spec_;
  const TensorNames& names_;
  TensorFinder find_;
  uint64_t hidden_, ffn_, q_, kv_;
  RowOrder order_;
  std::string prefix_;
};

class Packer {
 public:
  Packer(const formats::Checkpoint& checkpoint, const DecoderTensors& tensors, Precision precision, ThreadPool& pool)
      : checkpoint_(checkpoint), tensors_(tensors), precision_(precision), pool_(pool) {}

  Result<Linear> operator()(const LinearSource& source) const {
    Linear linear;
    for (const StoredRows& rows : source) {
      const Layout layout = layout_for(tensors_, precision_, rows);
      PHIAL_CHECKED(hold(checkpoint_, rows));
      auto matrix = Matrix::make(rows, layout, pool_);
      if (!matrix) return std::move(matrix).error().in(checkpoint_.path().string());
      linear.append(*std::move(matrix));
      // Packed weights are not read from the file again: never two copies in memory.
      if (layout != Layout::kStored) release(checkpoint_, rows);
    }
    return linear;
  }

 private:
  const formats::Checkpoint& checkpoint_;
  const DecoderTensors& tensors_;
  Precision precision_;
  ThreadPool& pool_;
};

}  // namespace

Result<DecoderTensors> bind(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec) {
  return Binder(checkpoint, spec).run();
}

void for_each_matrix(const DecoderTensors& tensors, const std::function<void(const StoredRows&)>& body) {
  const auto each = [&](const LinearSource& source) {
    for (const StoredRows& rows : source) body(rows);
  };
  each(tensors.head);
  for (const auto& layer : tensors.layers) {
    for (const LinearSource* source : {&layer.qkv, &layer.output, &layer.gate_up, &layer.down}) each(*source);
  }
}

Layout layout_for(const DecoderTensors& tensors, Precision precision, const StoredRows& matrix) {
  if (precision == Precision::kFast) return fast_layout(matrix);
  uint64_t bytes = 0;
  for_each_matrix(tensors, [&](const StoredRows& rows) { bytes += rows.rows * rows.cols * sizeof(float); });
  return bytes <= kUnpackedExactBytes ? Layout::kF32 : Layout::kStored;
}

uint64_t packed_bytes(const DecoderTensors& tensors, Precision precision) {
  uint64_t bytes = 0;
  for_each_matrix(tensors, [&](const StoredRows& rows) {
    const Layout layout = layout_for(tensors, precision, rows);
    const uint64_t tile_rows = round_up(rows.rows, kernels::kTileRows) / kernels::kTileRows;
    bytes += layout == Layout::kStored ? rows.rows * rows.row_bytes : tile_rows * tile_row_bytes(layout, rows.cols);
  });
  return bytes;
}

Result<DecoderWeights> pack(const formats::Checkpoint& checkpoint, DecoderTensors tensors, Precision precision,
                            ThreadPool& pool) {
  const Packer pack_linear(checkpoint, tensors, precision, pool);
  DecoderWeights weights;
  weights.embedding = tensors.embedding;
  PHIAL_TRY(weights.head, pack_linear(tensors.head));
  for (DecoderTensors::Layer& from : tensors.layers) {
    DecoderWeights::Layer layer;
    PHIAL_TRY(layer.qkv, pack_linear(from.qkv));
    PHIAL_TRY(layer.output, pack_linear(from.output));
    PHIAL_TRY(layer.gate_up, pack_linear(from.gate_up));
    PHIAL_TRY(layer.down, pack_linear(from.down));
    layer.attention_norm = std::move(from.attention_norm);
    layer.ffn_norm = std::move(from.ffn_norm);
    layer.qkv_bias = std::move(from.qkv_bias);
    layer.output_bias = std::move(from.output_bias);
    weights.layers.push_back(std::move(layer));
  }
  weights.final_norm = std::move(tensors.final_norm);
  PHIAL_CHECKED(hold(checkpoint, weights.embedding));  // last: as the head's source it may have been released
  return weights;
}

}  // namespace phial::model

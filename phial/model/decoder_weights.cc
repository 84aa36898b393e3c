#include "phial/model/decoder_weights.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "phial/model/tensor_finder.h"
#include "phial/model/tensor_names.h"
#include "phial/spec/vision_tensors.h"

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
        names_(names_of(checkpoint.kind() == formats::CheckpointKind::kGguf, spec.architecture)),
        find_(checkpoint),
        hidden_(static_cast<uint64_t>(spec.hidden_dim)),
        ffn_(static_cast<uint64_t>(spec.ffn_dim)),
        q_(static_cast<uint64_t>(spec.n_heads) * static_cast<uint64_t>(spec.head_dim)),
        kv_(static_cast<uint64_t>(spec.n_kv_heads) * static_cast<uint64_t>(spec.head_dim)) {
    if (spec.rotary_pairs_adjacent) {
      order_ = {.kind = RowOrder::Kind::kRotaryPairs,
                .head_dim = static_cast<size_t>(spec.head_dim),
                .rope_dims = static_cast<size_t>(spec.rope_dims)};
    }
    if (spec.architecture == "phi3small" && checkpoint.kind() == formats::CheckpointKind::kHuggingFace) {
      qkv_order_ = small_qkv_order(spec);
      gate_up_order_ = small_gate_up_order(spec);
    }
  }

  Result<DecoderTensors> run() {
    DecoderTensors out;
    const auto vocab = static_cast<uint64_t>(spec_.vocab_size);
    // Phi-3-vision's own code keeps it with the image encoder.
    const bool is_with_vision = find_.has(spec::kVisionWordEmbedding) && !find_.has(weight(names_.embedding));
    const std::string embedding = is_with_vision ? spec::kVisionWordEmbedding : weight(names_.embedding);
    PHIAL_TRY(out.embedding, find_.matrix(embedding, vocab, hidden_));
    PHIAL_TRY(out.final_norm, norm(names_.final_norm));
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

  Result<Norm> norm(const std::string& name) {
    Norm out;
    PHIAL_TRY(out.gain, find_.vector(name + ".weight", hidden_));
    if (spec_.norm == spec::NormKind::kLayer) {
      PHIAL_TRY(out.bias, find_.vector(name + ".bias", hidden_));
    }
    return out;
  }

  Result<std::vector<float>> bias(const std::string& name, uint64_t size, const RowOrder& order = {}) {
    PHIAL_TRY(std::vector<float> stored, find_.vector(name, size));
    if (order.is_stored()) return stored;
    std::vector<float> out(stored.size());
    for (size_t r = 0; r < out.size(); ++r) out[r] = stored[order.stored_row(r)];
    return out;
  }

  Status bind_attention(DecoderTensors::Layer& layer) {
    PHIAL_TRY(layer.attention_norm, norm(prefix_ + names_.attention_norm));
    const bool is_fused = find_.has(in_layer(names_.qkv));
    if (is_fused) {
      PHIAL_TRY(StoredRows qkv, find_.matrix(in_layer(names_.qkv), q_ + 2 * kv_, hidden_));
      qkv.order = qkv_order_;
      layer.qkv = {qkv};
    } else {
      PHIAL_TRY(StoredRows q, find_.matrix(in_layer(names_.q), q_, hidden_));
      PHIAL_TRY(StoredRows k, find_.matrix(in_layer(names_.k), kv_, hidden_));
      PHIAL_TRY(const StoredRows v, find_.matrix(in_layer(names_.v), kv_, hidden_));
      q.order = order_;
      k.order = order_;
      layer.qkv = {q, k, v};
    }
    if (is_fused && !order_.is_stored()) {
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
      PHIAL_TRY(layer.qkv_bias, bias(in_layer(names_.qkv, ".bias"), q_ + 2 * kv_, qkv_order_));
      return ok();
    }
    const std::pair<const char*, uint64_t> parts[] = {{names_.q, q_}, {names_.k, kv_}, {names_.v, kv_}};
    for (const auto& [name, size] : parts) {
      PHIAL_TRY(const std::vector<float> part,
                bias(in_layer(name, ".bias"), size, name == names_.v ? RowOrder{} : order_));
      layer.qkv_bias.insert(layer.qkv_bias.end(), part.begin(), part.end());
    }
    return ok();
  }

  Status bind_ffn(DecoderTensors::Layer& layer) {
    PHIAL_TRY(layer.ffn_norm, norm(prefix_ + names_.ffn_norm));
    if (find_.has(in_layer(names_.gate))) {
      PHIAL_TRY(const StoredRows gate, find_.matrix(in_layer(names_.gate), ffn_, hidden_));
      PHIAL_TRY(const StoredRows up, find_.matrix(in_layer(names_.up), ffn_, hidden_));
      layer.gate_up = {gate, up};
    } else {
      PHIAL_TRY(StoredRows both, find_.matrix(in_layer(names_.gate_up), 2 * ffn_, hidden_));
      both.order = gate_up_order_;
      layer.gate_up = {both};
    }
    PHIAL_TRY(const StoredRows down, find_.matrix(in_layer(names_.down), hidden_, ffn_));
    layer.down = {down};
    if (spec_.has_ffn_bias) {
      PHIAL_TRY(layer.gate_up_bias, bias(in_layer(names_.gate_up, ".bias"), 2 * ffn_, gate_up_order_));
      PHIAL_TRY(layer.down_bias, bias(in_layer(names_.down, ".bias"), hidden_));
    }
    return ok();
  }

  // A tensor that this network has no place for would be left out in silence, and the answers be wrong.
  Status refuse_leftovers() const {
    for (const formats::Tensor& tensor : checkpoint_.tensors()) {
      const std::string_view name = tensor.name;
      if (find_.was_used(tensor.name) || name.find("rotary_emb") != name.npos) continue;
      if (name.starts_with(spec::kVisionPrefix)) continue;       // the image encoder's, which binds them itself
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
  RowOrder order_;                      // of q and k that stand alone
  RowOrder qkv_order_, gate_up_order_;  // of what is stored in one
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

RowOrder small_qkv_order(const spec::DecoderSpec& spec) {
  return {.kind = RowOrder::Kind::kGroups,
          .head_dim = static_cast<size_t>(spec.head_dim),
          .n_kv_heads = static_cast<size_t>(spec.n_kv_heads),
          .heads_per_kv = static_cast<size_t>(spec.n_heads / spec.n_kv_heads)};
}

RowOrder small_gate_up_order(const spec::DecoderSpec& spec) {
  return {.kind = RowOrder::Kind::kAlternating, .rows = 2 * static_cast<size_t>(spec.ffn_dim)};
}

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
  for_each_matrix(tensors, [&](const StoredRows& rows) { bytes += uint64_t{rows.rows} * rows.cols * sizeof(float); });
  return bytes <= kUnpackedExactBytes ? Layout::kF32 : Layout::kStored;
}

uint64_t packed_bytes(const DecoderTensors& tensors, Precision precision) {
  uint64_t bytes = 0;
  for_each_matrix(tensors, [&](const StoredRows& rows) {
    const Layout layout = layout_for(tensors, precision, rows);
    const uint64_t tile_rows = round_up(rows.rows, kernels::kTileRows) / kernels::kTileRows;
    bytes += layout == Layout::kStored ? uint64_t{rows.rows} * rows.row_bytes
                                       : tile_rows * tile_row_bytes(layout, rows.cols);
  });
  return bytes;
}

uint64_t held_embedding_bytes(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec,
                              const DecoderTensors& tensors, Precision precision) {
  if (checkpoint.mode() == LoadMode::kMap) return 0;
  if (spec.tied_output && layout_for(tensors, precision, tensors.embedding) == Layout::kStored) return 0;
  uint64_t bytes = 0;
  for (const auto piece : tensors.embedding.pieces()) bytes += piece.size();
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
    layer.gate_up_bias = std::move(from.gate_up_bias);
    layer.down_bias = std::move(from.down_bias);
    weights.layers.push_back(std::move(layer));
  }
  weights.final_norm = std::move(tensors.final_norm);
  PHIAL_CHECKED(hold(checkpoint, weights.embedding));  // last: as the head's source it may have been released
  return weights;
}

}  // namespace phial::model

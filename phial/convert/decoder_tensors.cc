#include "phial/convert/decoder_tensors.h"

#include <string>
#include <utility>

#include "phial/model/tensor_names.h"

namespace phial::convert {
namespace {

using formats::CheckpointKind;
using formats::NewTensor;
using formats::Piece;
using model::RowOrder;
using model::StoredRows;
using tensor::DType;

bool is_number(DType dtype) { return tensor::info(dtype).block_size == 1; }

// Rows [first, first + count) of `source`, in the order of the network.
struct Slice {
  StoredRows source;
  size_t first = 0, count = 0;
};

class Writer {
 public:
  Writer(const spec::DecoderSpec& spec, CheckpointKind target)
      : spec_(spec),
        is_gguf_(target == CheckpointKind::kGguf),
        names_(model::names_of(is_gguf_, spec.architecture)),
        q_(static_cast<size_t>(spec.n_heads) * static_cast<size_t>(spec.head_dim)),
        kv_(static_cast<size_t>(spec.n_kv_heads) * static_cast<size_t>(spec.head_dim)) {
    // GGUF's "llama" wants the rows of q and k in pairs; "phi3" and "qwen2" keep them.
    if (is_gguf_ && (spec.architecture == "llama" || spec.architecture == "mistral")) {
      order_ = {.kind = RowOrder::Kind::kRotaryPairs,
                .head_dim = static_cast<size_t>(spec.head_dim),
                .rope_dims = static_cast<size_t>(spec.rope_dims)};
    }
    if (!is_gguf_ && spec.architecture == "phi3small") {
      qkv_order_ = model::small_qkv_order(spec);
      gate_up_order_ = model::small_gate_up_order(spec);
    }
  }

  std::vector<NewTensor> run(const model::DecoderTensors& from) {
    matrix(names_.embedding, {whole(from.embedding)});
    norm(names_.final_norm, from.final_norm);
    if (!spec_.tied_output) matrix(names_.head, whole_of_each(from.head));
    for (size_t i = 0; i < from.layers.size(); ++i) layer(names_.layers + std::to_string(i) + ".", from.layers[i]);
    if (is_gguf_) factors();
    return std::move(out_);
  }

 private:
  static Slice whole(const StoredRows& rows) { return {rows, 0, rows.rows}; }
  static std::vector<Slice> whole_of_each(const model::LinearSource& source) {
    std::vector<Slice> slices;
    for (const StoredRows& rows : source) slices.push_back(whole(rows));
    return slices;
  }

  void layer(const std::string& prefix, const model::DecoderTensors::Layer& from) {
    norm(prefix + names_.attention_norm, from.attention_norm);
    norm(prefix + names_.ffn_norm, from.ffn_norm);
    matrix(prefix + names_.output, whole_of_each(from.output));
    matrix(prefix + names_.down, whole_of_each(from.down));
    if (!from.output_bias.empty()) vector(prefix + names_.output + ".bias", from.output_bias);
    if (!from.down_bias.empty()) vector(prefix + names_.down + ".bias", from.down_bias);
    if (spec_.architecture == "phi3" || spec_.architecture == "phi3small") {  // whose matrices are fused
      matrix(prefix + names_.qkv, whole_of_each(from.qkv), qkv_order_);
      matrix(prefix + names_.gate_up, whole_of_each(from.gate_up), gate_up_order_);
      if (!from.qkv_bias.empty()) vector(prefix + names_.qkv + ".bias", from.qkv_bias, qkv_order_);
      if (!from.gate_up_bias.empty()) vector(prefix + names_.gate_up + ".bias", from.gate_up_bias, gate_up_order_);
      return;
    }
    const std::pair<const char*, size_t> parts[] = {{names_.q, q_}, {names_.k, kv_}, {names_.v, kv_}};
    size_t first = 0;
    for (const auto& [name, count] : parts) {
      const RowOrder order = name == names_.v ? RowOrder{} : order_;
      matrix(prefix + name, {part_of(from.qkv, first, count)}, order);
      if (!from.qkv_bias.empty()) vector(prefix + name + ".bias", from.qkv_bias, first, count, order);
      first += count;
    }
    const auto ffn = static_cast<size_t>(spec_.ffn_dim);
    matrix(prefix + names_.gate, {part_of(from.gate_up, 0, ffn)});
    matrix(prefix + names_.up, {part_of(from.gate_up, ffn, ffn)});
  }

  // Rows of matrices that stand one under the other; a part never spans two of them.
  static Slice part_of(const model::LinearSource& source, size_t first, size_t count) {
    for (const StoredRows& rows : source) {
      if (first < rows.rows) return {rows, first, count};
      first -= rows.rows;
    }
    return {};
  }

  // `order`: where the rows go.
  void matrix(const std::string& name, const std::vector<Slice>& slices, const RowOrder& order = {}) {
    NewTensor tensor;
    tensor.name = name + ".weight";
    tensor.dtype = slices.front().source.dtype;
    uint64_t rows = 0;
    for (const Slice& slice : slices) {
      if (slice.source.dtype != tensor.dtype || !is_number(tensor.dtype)) tensor.dtype = DType::kF32;
      rows += slice.count;
    }
    tensor.shape = {rows, slices.front().source.cols};
    for (const Slice& slice : slices) append(tensor, slice, order);
    out_.push_back(std::move(tensor));
  }

  static void append(NewTensor& tensor, const Slice& slice, const RowOrder& order) {
    const StoredRows& from = slice.source;
    if (from.int4 == nullptr && from.order.is_stored() && order.is_stored()) {
      tensor.pieces.push_back({from.dtype, from.row(slice.first), slice.count * from.cols});
      return;
    }
    const size_t begin = tensor.pieces.size();
    tensor.pieces.resize(begin + slice.count);
    for (size_t r = 0; r < slice.count; ++r) {
      Piece& piece = tensor.pieces[begin + order.stored_row(r)];
      piece.dtype = from.dtype;
      piece.count = from.cols;
      piece.int4 = from.int4;
      piece.row = from.order.stored_row(slice.first + r);
      if (from.int4 == nullptr) piece.bytes = from.row(slice.first + r);
    }
  }

  void norm(const std::string& name, const model::Norm& from) {
    vector(name + ".weight", from.gain);
    if (!from.bias.empty()) vector(name + ".bias", from.bias);
  }

  void vector(const std::string& name, const std::vector<float>& values, const RowOrder& order = {}) {
    vector(name, values, 0, values.size(), order);
  }
  void vector(const std::string& name, const std::vector<float>& values, size_t first, size_t count,
              const RowOrder& order) {
    NewTensor tensor;
    tensor.name = name;
    tensor.shape = {count};
    tensor.pieces.resize(order.is_stored() ? 1 : count);
    const auto* bytes = reinterpret_cast<const std::byte*>(values.data() + first);
    if (order.is_stored()) tensor.pieces[0] = {DType::kF32, bytes, count};
    for (size_t i = 0; !order.is_stored() && i < count; ++i) {
      tensor.pieces[order.stored_row(i)] = {DType::kF32, bytes + i * sizeof(float), 1};
    }
    out_.push_back(std::move(tensor));
  }

  void factors() {
    if (spec_.long_rope.active()) {
      vector("rope_factors_long.weight", spec_.long_rope.long_factors);
      vector("rope_factors_short.weight", spec_.long_rope.short_factors);
    }
    if (!spec_.rope_divisors.empty()) vector("rope_freqs.weight", spec_.rope_divisors);
  }

  const spec::DecoderSpec& spec_;
  bool is_gguf_;
  const model::TensorNames& names_;
  size_t q_, kv_;
  RowOrder order_;                      // of q and k that stand alone
  RowOrder qkv_order_, gate_up_order_;  // of what is stored in one
  std::vector<NewTensor> out_;
};

}  // namespace

std::vector<NewTensor> decoder_tensors(const model::DecoderTensors& tensors, const spec::DecoderSpec& spec,
                                       CheckpointKind target) {
  return Writer(spec, target).run(tensors);
}

}  // namespace phial::convert

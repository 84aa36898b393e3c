// One pass over a chunk of tokens: every layer is a handful of phases that the threads share (crew.h). Activations of
// the chunk stand in one workspace; in the fast path they are rounded to 8 bits before each product.

#include "phial/model/decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "phial/kernels/kernels.h"
#include "phial/model/attention.h"
#include "phial/model/crew.h"
#include "phial/model/decoder_weights.h"
#include "phial/model/kv_access.h"
#include "phial/model/memory_plan.h"
#include "phial/model/slow_paths.h"
#include "phial/model/workspace.h"
#include "phial/spec/rope.h"
#include "phial/tensor/blocks.h"

namespace phial::model {
namespace {

size_t size(int n) { return static_cast<size_t>(n); }

KvType kv_type(Precision precision, KvType fast) { return precision == Precision::kExact ? KvType::kF32 : fast; }

// What one chunk is run with; the same for all threads.
struct Chunk {
  const spec::DecoderSpec& spec;
  const DecoderWeights& weights;
  const kernels::KernelSet& kernels;
  Workspace& work;
  Crew::Shared& shared;
  KvCache& cache;
  const spec::RotaryTable& rotary;
  const DecoderInput& input;
  size_t wanted_rows;  // 0, 1 (the last) or all
  float* logits;
  int n_layers;                       // how many are run
  InputObserver* observer = nullptr;  // whom the inputs of the matrices are shown to, instead of computing logits
};

// One thread's part of a chunk.
class Pass {
 public:
  Pass(const Chunk& chunk, Team& team)
      : c_(chunk),
        spec_(chunk.spec),
        k_(chunk.kernels),
        w_(chunk.work),
        crew_(team, chunk.shared),
        cache_(chunk.cache),
        start_(chunk.cache.length()),
        rows_(chunk.input.ids.size()) {}

  void run() {
    embed();
    for (int i = 0; i < c_.n_layers; ++i) {
      if (!layer(i)) return;
    }
    if (c_.n_layers < spec_.n_layers) return;
    finish_layer(c_.weights.final_norm);
    show(spec_.n_layers, InputsOf::kHead, w_.hidden, hidden());
    if (c_.observer == nullptr) product(c_.weights.head, w_.hidden, c_.logits, size(spec_.vocab_size));
  }

 private:
  size_t hidden() const { return size(spec_.hidden_dim); }
  size_t q_dim() const { return size(spec_.n_heads) * size(spec_.head_dim); }
  size_t kv_dim() const { return size(spec_.n_kv_heads) * size(spec_.head_dim); }

  void embed() {
    crew_.share(rows_, 8, [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        const StoredRows& table = c_.weights.embedding;
        if (const float* row = c_.input.row(t); row != nullptr) {
          std::copy_n(row, hidden(), w_.x.row(t));
        } else {
          table.decode(size(c_.input.ids[t]), 0, std::span<float>(w_.x.row(t), hidden()));
        }
        spec::rotary_angles(c_.rotary, start_ + static_cast<int>(t), {w_.cos.row(t), c_.rotary.frequencies.size()},
                            {w_.sin.row(t), c_.rotary.frequencies.size()});
      }
    });
  }

  // False if nothing more is wanted of this chunk.
  bool layer(int i) {
    const DecoderWeights::Layer& layer = c_.weights.layers[size(i)];
    if (i == 0) {
      normalise(layer.attention_norm);
    } else {
      finish_layer(layer.attention_norm);
    }
    show(i, InputsOf::kQkv, w_.hidden, hidden());
    product(layer.qkv, w_.hidden, w_.qkv.data, w_.qkv.stride);
    rotate_and_keep(i, layer.qkv_bias);
    if (i + 1 == spec_.n_layers && c_.wanted_rows < rows_) {  // the last layer's outputs are wanted of few rows
      first_ = rows_ - c_.wanted_rows;
      rows_ = c_.wanted_rows;
      if (rows_ == 0) return false;
    }
    attention(i);
    if (w_.is_integer) round_rows(w_.attended, q_dim());
    show(i, InputsOf::kAttentionOutput, w_.attended, q_dim());
    product(layer.output, w_.attended, w_.branch.data, w_.branch.stride);
    add_branch_and_normalise(layer.output_bias, layer.ffn_norm);
    show(i, InputsOf::kGateUp, w_.hidden, hidden());
    product(layer.gate_up, w_.hidden, w_.gate_up.data, w_.gate_up.stride);
    gate();
    show(i, InputsOf::kDown, w_.activated, size(spec_.ffn_dim));
    product(layer.down, w_.activated, w_.branch.data, w_.branch.stride);
    return true;
  }

  void round_row(Inputs& rows, size_t t, size_t columns) const {
    if (!w_.is_integer) return;
    k_.quantize_q8(rows.floats.row(t), round_up(columns, kernels::kBlock) / kernels::kBlock, rows.blocks.row(t));
  }

  void round_rows(Inputs& rows, size_t columns) {
    crew_.share(rows_, 4, [&](size_t begin, size_t end) {
      for (size_t t = first_ + begin; t < first_ + end; ++t) round_row(rows, t, columns);
    });
  }

  void normalise_row(size_t t, const std::vector<float>& gain) const {
    k_.rmsnorm(w_.x.row(t), gain.data(), hidden(), spec_.norm_eps, w_.hidden.floats.row(t));
    round_row(w_.hidden, t, hidden());
  }

  void normalise(const std::vector<float>& gain) {
    crew_.share(rows_, 4, [&](size_t begin, size_t end) {
      for (size_t t = first_ + begin; t < first_ + end; ++t) normalise_row(t, gain);
    });
  }

  void add_branch_and_normalise(const std::vector<float>& bias, const std::vector<float>& gain) {
    crew_.share(rows_, 4, [&](size_t begin, size_t end) {
      for (size_t t = first_ + begin; t < first_ + end; ++t) {
        if (!bias.empty()) k_.add(bias.data(), w_.branch.row(t), hidden());
        k_.add(w_.branch.row(t), w_.x.row(t), hidden());
        normalise_row(t, gain);
      }
    });
  }

  void finish_layer(const std::vector<float>& next_gain) { add_branch_and_normalise({}, next_gain); }

  // One thread shows what the next product reads; nothing writes it before that product's barrier.
  void show(int layer, InputsOf which, const Inputs& x, size_t columns) const {
    if (c_.observer == nullptr || crew_.index() != 0) return;
    c_.observer->see(layer, which, x.floats.row(first_), x.floats.stride, rows_, columns);
  }

  // y[t] = W x[t] for the rows in use. The output matrix writes its rows from y's first on, others beside their input.
  void product(const Linear& matrix, const Inputs& x, float* y, size_t y_stride) {
    float* to = y == c_.logits ? y : y + first_ * y_stride;
    const Activations in = x.view().from_row(first_);
    crew_.share(matrix.tile_rows(), matrix.grain(crew_.size()), [&](size_t begin, size_t end) {
      matrix.multiply(k_, in, rows_, begin, end, to, y_stride, w_.scratch(crew_.index()));
    });
  }

  void rotate_and_keep(int layer, const std::vector<float>& bias) {
    const size_t kv_heads = size(spec_.n_kv_heads);
    crew_.share(rows_ * kv_heads, 8, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) rotate_and_keep_head(layer, i / kv_heads, i % kv_heads, bias);
    });
  }

  // A key-value head of one token and the query heads that read it.
  void rotate_and_keep_head(int layer, size_t t, size_t kv_head, const std::vector<float>& bias) {
    const size_t dim = size(spec_.head_dim), half = size(spec_.rope_dims) / 2;
    const size_t shared_by = size(spec_.n_heads / spec_.n_kv_heads);
    const size_t q = kv_head * shared_by * dim, k = q_dim() + kv_head * dim, v = k + kv_dim();
    float* row = w_.qkv.row(t);
    if (!bias.empty()) {
      k_.add(bias.data() + q, row + q, shared_by * dim);
      k_.add(bias.data() + k, row + k, dim);
      k_.add(bias.data() + v, row + v, dim);
    }
    for (size_t h = 0; h < shared_by; ++h) k_.rope_half(row + q + h * dim, w_.cos.row(t), w_.sin.row(t), half);
    k_.rope_half(row + k, w_.cos.row(t), w_.sin.row(t), half);

    const size_t slot = (size(start_) + t) % size(cache_.ring());
    const size_t at = slot * cache_.row_bytes();
    keep(row + k, cache_.keys(layer, static_cast<int>(kv_head)) + at);
    keep(row + v, cache_.values(layer, static_cast<int>(kv_head)) + at);
  }

  void keep(const float* from, std::byte* to) const {
    const size_t dim = size(spec_.head_dim);
    switch (cache_.type()) {
      case KvType::kF32:
        std::memcpy(to, from, dim * sizeof(float));
        break;
      case KvType::kF16:
        k_.f32_to_f16(from, dim, reinterpret_cast<uint16_t*>(to));
        break;
      case KvType::kQ8:
        k_.quantize_kv_q8(from, dim, reinterpret_cast<kernels::KvQ8*>(to));
        break;
      case KvType::kQ4:
        k_.quantize_kv_q4(from, dim, reinterpret_cast<kernels::KvQ4*>(to));
        break;
    }
  }

  void attention(int layer) {
    const int shared_by = spec_.n_heads / spec_.n_kv_heads;
    const int keys = start_ + static_cast<int>(first_ + rows_);
    const auto block = size(query_block(keys, shared_by));
    const size_t blocks = round_up(rows_, block) / block;
    // Few key-value heads would leave threads idle: then each query head is a piece of its own.
    const bool split = blocks * size(spec_.n_kv_heads) < 4 * size(crew_.size());
    const int heads = split ? 1 : shared_by;
    const size_t groups = size(spec_.n_heads / heads);
    const AttentionShape shape = {.heads_per_kv = heads, .head_dim = spec_.head_dim, .window = spec_.sliding_window};
    crew_.share(groups * blocks, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const size_t group = i % groups, row = first_ + (i / groups) * block;
        const size_t column = group * size(heads) * size(spec_.head_dim);
        const Queries queries = {.q = w_.qkv.row(row) + column,
                                 .q_stride = w_.qkv.stride,
                                 .out = w_.attended.floats.row(row) + column,
                                 .out_stride = w_.attended.floats.stride,
                                 .first_position = start_ + static_cast<int>(row),
                                 .tokens = static_cast<int>(std::min(block, first_ + rows_ - row))};
        attend(k_, shape, cache_, layer, static_cast<int>(group) * heads / shared_by, queries,
               w_.scratch(crew_.index()));
      }
    });
  }

  // Pieces of a row, so that one token keeps all threads busy. Their borders are fixed: what a vector's end computes
  // may differ from its middle in the last bit.
  void gate() {
    constexpr size_t kPiece = 1024;
    const size_t ffn = size(spec_.ffn_dim), pieces = round_up(ffn, kPiece) / kPiece;
    crew_.share(rows_ * pieces, 4, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const size_t t = first_ + i / pieces, from = i % pieces * kPiece, count = std::min(kPiece, ffn - from);
        float* gates = w_.gate_up.row(t) + from;
        float* out = w_.activated.floats.row(t) + from;
        if (spec_.activation == spec::Activation::kSwiGlu) {
          k_.silu_mul(gates, gates + ffn, count, out);
        } else {
          k_.gelu(gates, count);
          for (size_t d = 0; d < count; ++d) out[d] = gates[d] * gates[ffn + d];
        }
        if (w_.is_integer) {
          k_.quantize_q8(out, round_up(count, kernels::kBlock) / kernels::kBlock,
                         w_.activated.blocks.row(t) + from / kernels::kBlock);
        }
      }
    });
  }

  const Chunk& c_;
  const spec::DecoderSpec& spec_;
  const kernels::KernelSet& k_;
  Workspace& w_;
  Crew crew_;
  KvAccess cache_;
  int start_;         // position of the chunk's first token
  size_t first_ = 0;  // rows in use: [first_, first_ + rows_)
  size_t rows_;
};

class PackedDecoder final : public Decoder {
 public:
  PackedDecoder(std::shared_ptr<const formats::Checkpoint> checkpoint, spec::DecoderSpec spec, Precision precision,
                DecoderWeights weights, Workspace work, ThreadPool& pool)
      : checkpoint_(std::move(checkpoint)),
        spec_(std::move(spec)),
        precision_(precision),
        weights_(std::move(weights)),
        work_(std::move(work)),
        pool_(pool) {}

  const spec::DecoderSpec& spec() const override { return spec_; }
  Precision precision() const override { return precision_; }

  Status forward(const DecoderInput& input, spec::RopeTable table, LogitsOf which, KvCache& cache,
                 std::vector<float>& logits) const override {
    PHIAL_CHECKED(check(input, cache));
    const std::span<const int32_t> ids = input.ids;
    const size_t vocab = size(spec_.vocab_size);
    const bool all = which == LogitsOf::kAll;
    logits.resize(ids.empty() || which == LogitsOf::kNone ? 0 : (all ? ids.size() : 1) * vocab);
    for (size_t done = 0; done < ids.size();) {
      const size_t count = std::min(ids.size() - done, size(kPrefillChunk));
      const bool is_last = done + count == ids.size();
      const size_t wanted = all ? count : which == LogitsOf::kLast && is_last ? 1 : 0;
      run_chunk(input.part(done, count), table, cache,
                {.rows = wanted, .logits = logits.data() + (all ? done * vocab : 0), .n_layers = spec_.n_layers});
      done += count;
    }
    // What is read in place, row by row, shows here.
    const bool finite = std::ranges::all_of(logits, [](float value) { return std::isfinite(value); });
    if (!finite) return not_finite("the logits: the model").in(checkpoint_->path().string());
    return ok();
  }

  Status observe(std::span<const int32_t> ids, spec::RopeTable table, int n_layers, KvCache& cache,
                 InputObserver& observer) const override {
    PHIAL_CHECKED(check({.ids = ids}, cache));
    for (size_t done = 0; done < ids.size();) {
      const size_t count = std::min(ids.size() - done, size(kPrefillChunk));
      run_chunk({.ids = ids.subspan(done, count)}, table, cache,
                {.rows = count, .n_layers = n_layers, .observer = &observer});
      done += count;
    }
    return ok();
  }

 private:
  // What is wanted of one chunk: as in Chunk.
  struct Wanted {
    size_t rows = 0;
    float* logits = nullptr;
    int n_layers = 0;
    InputObserver* observer = nullptr;
  };

  void run_chunk(const DecoderInput& input, spec::RopeTable table, KvCache& cache, const Wanted& wanted) const {
    Crew::Shared shared;
    const Chunk chunk = {.spec = spec_,
                         .weights = weights_,
                         .kernels = kernels_,
                         .work = work_,
                         .shared = shared,
                         .cache = cache,
                         .rotary = table == spec::RopeTable::kLong ? long_ : short_,
                         .input = input,
                         .wanted_rows = wanted.rows,
                         .logits = wanted.logits,
                         .n_layers = wanted.n_layers,
                         .observer = wanted.observer};
    const size_t tokens = input.ids.size();
    work_.reserve_scratch(scratch_floats(cache.length() + static_cast<int>(tokens), tokens));
    pool_.run_team([&](Team& team) { Pass(chunk, team).run(); });
    KvAccess(cache).advance(static_cast<int>(tokens));
  }

  Status check(const DecoderInput& input, KvCache& cache) const {
    const std::span<const int32_t> ids = input.ids;
    if (!KvAccess(cache).fits(spec_) || cache.type() != kv_type(precision_, cache.type())) {
      return Error{Code::kInvalid, "this cache was made for another model", "make it with Decoder::make_cache"};
    }
    if (ids.size() > size(cache.capacity() - cache.length())) {
      return Error{Code::kOutOfRange,
                   std::to_string(cache.length()) + " tokens and " + std::to_string(ids.size()) +
                       " new ones exceed a context of " + std::to_string(cache.capacity()),
                   "ask for a longer --context, or shorten the text"};
    }
    for (size_t t = 0; t < ids.size(); ++t) {
      if (input.row(t) == nullptr && (ids[t] < 0 || ids[t] >= spec_.vocab_size)) {
        return Error{
            Code::kInvalid,
            "token id " + std::to_string(ids[t]) + " is outside the vocabulary of " + std::to_string(spec_.vocab_size),
            "use ids from 0 to " + std::to_string(spec_.vocab_size - 1)};
      }
    }
    return ok();
  }

  size_t scratch_floats(int keys, size_t tokens) const {
    size_t most = weights_.head.scratch_floats(tokens);
    for (const Linear* linear : {&weights_.layers.front().qkv, &weights_.layers.front().output,
                                 &weights_.layers.front().gate_up, &weights_.layers.front().down}) {
      most = std::max(most, linear->scratch_floats(tokens));
    }
    const int shared_by = spec_.n_heads / spec_.n_kv_heads;
    return std::max(most, attention_scratch(query_block(keys, shared_by), keys, shared_by));
  }

  std::shared_ptr<const formats::Checkpoint> checkpoint_;
  spec::DecoderSpec spec_;
  Precision precision_;
  DecoderWeights weights_;
  mutable Workspace work_;  // forward() has one caller at a time, as the pool has
  ThreadPool& pool_;
  const kernels::KernelSet& kernels_ = kernels::active();
  spec::RotaryTable short_ = spec::rotary_table(spec_, spec::RopeTable::kShort);
  spec::RotaryTable long_ = spec::rotary_table(spec_, spec::RopeTable::kLong);
};

WorkspaceShape workspace_shape(const spec::DecoderSpec& spec, Precision precision, int threads) {
  const size_t q = size(spec.n_heads) * size(spec.head_dim), kv = size(spec.n_kv_heads) * size(spec.head_dim);
  return {.rows = size(kPrefillChunk),
          .hidden = size(spec.hidden_dim),
          .qkv = q + 2 * kv,
          .attended = q,
          .ffn_in = 2 * size(spec.ffn_dim),
          .ffn_out = size(spec.ffn_dim),
          .half_rotary = size(spec.rope_dims) / 2,
          .is_integer = precision == Precision::kFast,
          .threads = threads};
}

}  // namespace

Result<std::unique_ptr<Decoder>> Decoder::load(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                               const spec::DecoderSpec& spec, Precision precision, ThreadPool& pool,
                                               const Log& log) {
  PHIAL_CHECKED(spec::validate(spec));
  PHIAL_TRY(DecoderTensors tensors, bind(*checkpoint, spec));
  for (const SlowPath& path : slow_paths(tensors, precision, kernels::active())) {
    if (path.matters) log(Severity::kWarning, checkpoint->path().string() + " runs slower than it could: " + path.what);
  }
  PHIAL_TRY(DecoderWeights weights, pack(*checkpoint, std::move(tensors), precision, pool));
  PHIAL_TRY(Workspace work, Workspace::make(workspace_shape(spec, precision, pool.threads())));
  return std::unique_ptr<Decoder>(std::make_unique<PackedDecoder>(std::move(checkpoint), spec, precision,
                                                                  std::move(weights), std::move(work), pool));
}

Result<KvCache> Decoder::make_cache(int capacity_tokens, KvType type) const {
  return KvCache::make(spec(), capacity_tokens, kv_type(precision(), type));
}

Result<MemoryPlan> Decoder::plan(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec,
                                 Precision precision, int context_tokens, KvType kv, uint64_t vision_bytes) {
  PHIAL_CHECKED(spec::validate(spec));
  PHIAL_TRY(const DecoderTensors tensors, bind(checkpoint, spec));
  const PlanInput input = {.weights_bytes = packed_bytes(tensors, precision),
                           .scratch_bytes = Workspace::bytes(workspace_shape(spec, precision, usable_cores())),
                           .vision_bytes = vision_bytes,
                           .kv_type = kv_type(precision, kv),
                           .context_tokens = context_tokens};
  MemoryPlan plan = make_plan(spec, input, available_memory());
  plan.slow_paths = slow_paths(tensors, precision, kernels::active());
  return plan;
}

}  // namespace phial::model

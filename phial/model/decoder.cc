// One pass over a chunk of tokens (chunk.h): every layer is a handful of phases that the threads share (crew.h).
// Activations of the chunk stand in one workspace; in the fast path they are rounded to 8 bits before each product.

#include "phial/model/decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "phial/kernels/kernels.h"
#include "phial/model/attention.h"
#include "phial/model/available_memory.h"
#include "phial/model/chunk.h"
#include "phial/model/crew.h"
#include "phial/model/decoder_weights.h"
#include "phial/model/kv_access.h"
#include "phial/model/memory_plan.h"
#include "phial/model/size.h"
#include "phial/model/slow_paths.h"
#include "phial/model/workspace.h"
#include "phial/spec/rope.h"
#include "phial/tensor/blocks.h"

namespace phial::model {
namespace {

KvType kv_type(Precision precision, KvType fast) { return precision == Precision::kExact ? KvType::kF32 : fast; }

// What one chunk is run with; the same for all threads.
struct Run {
  const spec::DecoderSpec& spec;
  const DecoderWeights& weights;
  const kernels::KernelSet& kernels;
  Workspace& work;
  Crew::Shared& shared;
  const Chunk& chunk;
  const spec::RotaryTable& short_rotary;
  const spec::RotaryTable& long_rotary;
  const spec::BlockSparseLists* sparse;  // null: no layer is sparse
  float* logits;
  int n_layers;                       // how many are run
  InputObserver* observer = nullptr;  // whom the inputs of the matrices are shown to, instead of computing logits
};

// One thread's part of a chunk.
class Pass {
 public:
  Pass(const Run& run, Team& team)
      : c_(run),
        spec_(run.spec),
        k_(run.kernels),
        w_(run.work),
        crew_(team, run.shared),
        tokens_(run.chunk.rows),
        rows_(tokens_.size()) {}

  void run() {
    embed();
    for (int i = 0; i < c_.n_layers; ++i) {
      if (!layer(i)) return;
    }
    if (c_.n_layers < spec_.n_layers) return;
    finish_layer(c_.n_layers - 1, c_.weights.final_norm);
    show(spec_.n_layers, InputsOf::kHead, w_.hidden, hidden());
    if (c_.observer != nullptr) return;
    product(c_.weights.head, w_.hidden, c_.logits, size(spec_.vocab_size));
    if (spec_.logit_divisor != 1 || !spec_.masked_ids.empty()) finish_logits();
  }

 private:
  size_t hidden() const { return size(spec_.hidden_dim); }
  size_t q_dim() const { return size(spec_.n_heads) * size(spec_.head_dim); }
  size_t kv_dim() const { return size(spec_.n_kv_heads) * size(spec_.head_dim); }

  void embed() {
    crew_.share(rows_, 8, [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        const StoredRows& table = c_.weights.embedding;
        const Row& token = tokens_[t];
        const auto& rotary = token.table == spec::RopeTable::kLong ? c_.long_rotary : c_.short_rotary;
        const size_t half = rotary.frequencies.size();
        const std::span<float> x(w_.x.row(t), hidden());
        if (token.embedding != nullptr) {
          std::copy_n(token.embedding, hidden(), x.data());
        } else {
          table.decode(size(token.id), 0, x);
          if (spec_.embedding_multiplier != 1) {
            for (float& number : x) number *= spec_.embedding_multiplier;
          }
        }
        spec::rotary_angles(rotary, token.position, {w_.cos.row(t), half}, {w_.sin.row(t), half});
      }
    });
  }

  // False if nothing more is wanted of this chunk.
  bool layer(int i) {
    const DecoderWeights::Layer& layer = c_.weights.layers[size(i)];
    if (i == 0) {
      normalise(layer.attention_norm);
    } else {
      finish_layer(i - 1, layer.attention_norm);
    }
    show(i, InputsOf::kQkv, w_.hidden, hidden());
    product(layer.qkv, w_.hidden, w_.qkv.data, w_.qkv.stride);
    rotate_and_keep(i, layer.qkv_bias);
    if (i + 1 == spec_.n_layers) {  // its outputs are wanted of few rows
      first_ = rows_ - c_.chunk.wanted_rows;
      rows_ = c_.chunk.wanted_rows;
      if (rows_ == 0) return false;
    }
    attention(i);
    if (w_.is_integer) round_rows(w_.attended, q_dim());
    show(i, InputsOf::kAttentionOutput, w_.attended, q_dim());
    product(layer.output, w_.attended, w_.branch.data, w_.branch.stride);
    add_branch_and_normalise(layer.output_bias, layer.ffn_norm);
    show(i, InputsOf::kGateUp, w_.hidden, hidden());
    product(layer.gate_up, w_.hidden, w_.gate_up.data, w_.gate_up.stride);
    gate(layer.gate_up_bias);
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

  void normalise_row(size_t t, const Norm& norm) const {
    float* to = w_.hidden.floats.row(t);
    if (spec_.norm == spec::NormKind::kLayer) {
      k_.layernorm(w_.x.row(t), norm.gain.data(), norm.bias.data(), hidden(), spec_.norm_eps, to);
    } else {
      k_.rmsnorm(w_.x.row(t), norm.gain.data(), hidden(), spec_.norm_eps, to);
    }
    round_row(w_.hidden, t, hidden());
  }

  void normalise(const Norm& norm) {
    crew_.share(rows_, 4, [&](size_t begin, size_t end) {
      for (size_t t = first_ + begin; t < first_ + end; ++t) normalise_row(t, norm);
    });
  }

  void add_branch_and_normalise(const std::vector<float>& bias, const Norm& norm) {
    crew_.share(rows_, 4, [&](size_t begin, size_t end) {
      for (size_t t = first_ + begin; t < first_ + end; ++t) {
        if (!bias.empty()) k_.add(bias.data(), w_.branch.row(t), hidden());
        k_.add(w_.branch.row(t), w_.x.row(t), hidden());
        normalise_row(t, norm);
      }
    });
  }

  void finish_layer(int i, const Norm& next) { add_branch_and_normalise(c_.weights.layers[size(i)].down_bias, next); }

  void finish_logits() {
    crew_.share(rows_, 1, [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        const std::span<float> row(c_.logits + t * size(spec_.vocab_size), size(spec_.vocab_size));
        for (float& logit : row) logit /= spec_.logit_divisor;
        for (const int32_t id : spec_.masked_ids) row[size(id)] = std::numeric_limits<float>::lowest();
      }
    });
  }

  // One thread shows what the next product reads; nothing writes it before the barrier behind that product.
  void show(int layer, InputsOf which, const Inputs& x, size_t columns) {
    if (c_.observer == nullptr) return;
    crew_.settle();
    if (crew_.index() != 0) return;
    c_.observer->see(layer, which, x.floats.row(first_), x.floats.stride, rows_, columns);
  }

  // y[t] = W x[t] for the rows in use. The output matrix writes its rows from y's first on, others beside their input.
  void product(const Linear& matrix, const Inputs& x, float* y, size_t y_stride) {
    float* to = y == c_.logits ? y : y + first_ * y_stride;
    const Activations in = x.view().from_row(first_);
    crew_.share(matrix.tile_rows(), matrix.pieces(crew_.size(), rows_), [&](size_t begin, size_t end) {
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

    const KvAccess& cache = tokens_[t].cache;
    keep(row + k, cache.type(), cache.key(layer, static_cast<int>(kv_head), tokens_[t].position));
    keep(row + v, cache.type(), cache.value(layer, static_cast<int>(kv_head), tokens_[t].position));
  }

  void keep(const float* from, KvType type, std::byte* to) const {
    const size_t dim = size(spec_.head_dim);
    switch (type) {
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
    const bool is_sparse = spec_.block_sparse.is_sparse(layer);
    const auto& all = is_sparse ? c_.chunk.sparse_blocks : c_.chunk.blocks;
    const auto wanted = std::ranges::lower_bound(all, first_, {}, &QueryBlock::first);
    const std::span<const QueryBlock> blocks(wanted, all.end());
    // Few key-value heads would leave threads idle: then each query head is a piece of its own.
    const bool split = blocks.size() * size(spec_.n_kv_heads) < 4 * size(crew_.size());
    // All blocks of a head in turn: its keys and values are in the core's own cache from the second on. Heads that are
    // computed together are when the first of them has its turn.
    crew_.share(size(spec_.n_heads) * blocks.size(), 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const QueryBlock& block = blocks[i % blocks.size()];
        const int head = static_cast<int>(i / blocks.size()), heads = split ? 1 : block.heads;
        if (head % heads == 0) attend_with(layer, is_sparse, block, head, heads);
      }
    });
  }

  // Query heads [head, head + heads), which share a key-value head.
  void attend_with(int layer, bool is_sparse, const QueryBlock& block, int head, int heads) {
    const int shared_by = spec_.n_heads / spec_.n_kv_heads;
    const AttentionShape shape = {.heads_per_kv = heads,
                                  .head_dim = spec_.head_dim,
                                  .window = spec_.sliding_window,
                                  .scale = spec::attention_scale(spec_),
                                  .sparse = is_sparse ? c_.sparse : nullptr};
    const Row& first = tokens_[block.first];
    const size_t column = size(head) * size(spec_.head_dim);
    const Queries queries = {.q = w_.qkv.row(block.first) + column,
                             .q_stride = w_.qkv.stride,
                             .out = w_.attended.floats.row(block.first) + column,
                             .out_stride = w_.attended.floats.stride,
                             .first_head = head % shared_by,
                             .first_position = first.position,
                             .tokens = static_cast<int>(block.rows)};
    attend(k_, shape, first.cache, layer, head / shared_by, queries, w_.scratch(crew_.index()));
  }

  // Pieces of a row, so that one token keeps all threads busy. Their borders are fixed: what a vector's end computes
  // may differ from its middle in the last bit.
  void gate(const std::vector<float>& bias) {
    constexpr size_t kPiece = 1024;
    const size_t ffn = size(spec_.ffn_dim), pieces = round_up(ffn, kPiece) / kPiece;
    crew_.share(rows_ * pieces, 4, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const size_t t = first_ + i / pieces, from = i % pieces * kPiece, count = std::min(kPiece, ffn - from);
        float* gates = w_.gate_up.row(t) + from;
        float* out = w_.activated.floats.row(t) + from;
        if (!bias.empty()) {
          k_.add(bias.data() + from, gates, count);
          k_.add(bias.data() + ffn + from, gates + ffn, count);
        }
        activate(gates, gates + ffn, count, out);
        if (w_.is_integer) {
          k_.quantize_q8(out, round_up(count, kernels::kBlock) / kernels::kBlock,
                         w_.activated.blocks.row(t) + from / kernels::kBlock);
        }
      }
    });
  }

  void activate(float* gates, float* ups, size_t count, float* out) const {
    switch (spec_.activation) {
      case spec::Activation::kSwiGlu:
        break;
      case spec::Activation::kGeGlu:
        k_.gelu(gates, count);
        for (size_t d = 0; d < count; ++d) out[d] = gates[d] * ups[d];
        return;
      case spec::Activation::kGeGelu: {
        // g sigmoid(s g) (u + 1) = silu(s g) (u + 1) / s. Infinities pass, so that a broken model shows.
        constexpr float kSlope = 1.702F, kInfinity = std::numeric_limits<float>::infinity();
        const float limit = spec_.gegelu_limit != 0 ? spec_.gegelu_limit : kInfinity;
        const auto held = [&](float x) { return std::fabs(x) < kInfinity ? std::clamp(x, -limit, limit) : x; };
        for (size_t d = 0; d < count; ++d) {
          gates[d] = kSlope * (gates[d] < kInfinity ? std::min(gates[d], limit) : gates[d]);
          ups[d] = (held(ups[d]) + 1) / kSlope;
        }
        break;
      }
    }
    k_.silu_mul(gates, ups, count, out);
  }

  const Run& c_;
  const spec::DecoderSpec& spec_;
  const kernels::KernelSet& k_;
  Workspace& w_;
  Crew crew_;
  const std::vector<Row>& tokens_;
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
        pool_(pool) {
    if (spec_.block_sparse.active()) {
      sparse_.emplace(spec_.block_sparse, spec_.n_heads, spec_.n_kv_heads, spec_.context);
    }
  }

  const spec::DecoderSpec& spec() const override { return spec_; }
  Precision precision() const override { return precision_; }

  Status forward(std::span<const Segment> segments, std::vector<float>& logits) const override {
    for (const Segment& segment : segments) PHIAL_CHECKED(check(segment));
    uint64_t rows = 0;
    for (const Segment& segment : segments) rows += rows_of(segment);
    const uint64_t count = rows * size(spec_.vocab_size);
    if (count > logits.max_size()) {
      return Error{Code::kOutOfMemory,
                   "the logits of " + std::to_string(rows) + " tokens need " +
                       std::to_string((count * sizeof(float) >> 20) + 1) + " MiB, more than a program here can have",
                   "ask for those of fewer tokens at a time"};
    }
    logits.resize(static_cast<size_t>(count));
    PHIAL_CHECKED(run(segments, {.logits = logits.data(), .n_layers = spec_.n_layers}));
    // What is read in place, row by row, shows here.
    const bool finite = std::ranges::all_of(logits, [](float value) { return std::isfinite(value); });
    if (!finite) return not_finite("the logits: the model").in(checkpoint_->path().string());
    return ok();
  }

  Status observe(std::span<const int32_t> ids, spec::RopeTable table, int n_layers, KvCache& cache,
                 InputObserver& observer) const override {
    const Segment segment = {.ids = ids, .table = table, .logits_of = LogitsOf::kAll, .cache = &cache};
    PHIAL_CHECKED(check(segment));
    return run({&segment, 1}, {.n_layers = n_layers, .observer = &observer});
  }

 private:
  // As in Run.
  struct Wanted {
    float* logits = nullptr;
    int n_layers = 0;
    InputObserver* observer = nullptr;
  };

  Status run(std::span<const Segment> segments, Wanted wanted) const {
    for (const std::vector<Part>& parts : cut_into_chunks(segments)) {
      for (const Part& part : parts) {
        PHIAL_CHECKED(KvAccess(*part.segment->cache).reserve(static_cast<int>(part.count)));
      }
      const Chunk chunk = lay_out(parts, spec_);
      run_chunk(chunk, wanted);
      for (const Part& part : parts) KvAccess(*part.segment->cache).advance(static_cast<int>(part.count));
      if (wanted.logits != nullptr) wanted.logits += chunk.wanted_rows * size(spec_.vocab_size);
    }
    return ok();
  }

  void run_chunk(const Chunk& chunk, const Wanted& wanted) const {
    Crew::Shared shared;
    const Run run = {.spec = spec_,
                     .weights = weights_,
                     .kernels = kernels_,
                     .work = work_,
                     .shared = shared,
                     .chunk = chunk,
                     .short_rotary = short_,
                     .long_rotary = long_,
                     .sparse = sparse_ ? &*sparse_ : nullptr,
                     .logits = wanted.logits,
                     .n_layers = wanted.n_layers,
                     .observer = wanted.observer};
    work_.reserve_scratch(std::max(chunk.attention_scratch, product_scratch(chunk.rows.size())));
    pool_.run_team([&](Team& team) { Pass(run, team).run(); });
  }

  Status check(const Segment& segment) const {
    const std::span<const int32_t> ids = segment.ids;
    KvCache& cache = *segment.cache;
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
      const bool is_row = !segment.rows.empty() && segment.rows[t] != nullptr;
      if (!is_row && (ids[t] < 0 || ids[t] >= spec_.vocab_size)) {
        return Error{
            Code::kInvalid,
            "token id " + std::to_string(ids[t]) + " is outside the vocabulary of " + std::to_string(spec_.vocab_size),
            "use ids from 0 to " + std::to_string(spec_.vocab_size - 1)};
      }
    }
    return ok();
  }

  size_t product_scratch(size_t tokens) const {
    size_t most = weights_.head.scratch_floats(tokens);
    for (const Linear* linear : {&weights_.layers.front().qkv, &weights_.layers.front().output,
                                 &weights_.layers.front().gate_up, &weights_.layers.front().down}) {
      most = std::max(most, linear->scratch_floats(tokens));
    }
    return most;
  }

  std::shared_ptr<const formats::Checkpoint> checkpoint_;
  spec::DecoderSpec spec_;
  Precision precision_;
  DecoderWeights weights_;
  mutable Workspace work_;  // forward() has one caller at a time, as the pool has
  ThreadPool& pool_;
  const kernels::KernelSet& kernels_ = kernels::active();
  std::optional<spec::BlockSparseLists> sparse_;
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
  if (spec().block_sparse.active() && capacity_tokens > spec().context) {  // its lists of blocks end there
    return Error{Code::kOutOfRange,
                 "a context of " + std::to_string(capacity_tokens) + " tokens, block-sparse attention of " +
                     spec().name + " reaches " + std::to_string(spec().context),
                 "ask for a shorter --context"};
  }
  return KvCache::make(spec(), capacity_tokens, kv_type(precision(), type));
}

Result<MemoryPlan> Decoder::plan(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec,
                                 Precision precision, int threads, const PlanRequest& request) {
  PHIAL_CHECKED(spec::validate(spec));
  if (spec.block_sparse.active() && request.context_tokens > spec.context) {
    return Error{Code::kOutOfRange,
                 checkpoint.path().string() + ": a context of " + std::to_string(request.context_tokens) +
                     " tokens, the model has " + std::to_string(spec.context),
                 "ask for " + std::to_string(spec.context) + " or fewer"};
  }
  PHIAL_TRY(const DecoderTensors tensors, bind(checkpoint, spec));
  const PlanInput input = {.weights_bytes = packed_bytes(tensors, precision),
                           .embedding_bytes = held_embedding_bytes(checkpoint, spec, tensors, precision),
                           .scratch_bytes = Workspace::bytes(workspace_shape(spec, precision, threads)),
                           .vision_bytes = request.vision_bytes,
                           .kv_type = kv_type(precision, request.kv),
                           .context_tokens = request.context_tokens,
                           .sessions = request.sessions,
                           .keeps_logits = request.keeps_logits};
  MemoryPlan plan = make_plan(spec, input, available_memory());
  plan.slow_paths = slow_paths(tensors, precision, kernels::active());
  return plan;
}

}  // namespace phial::model

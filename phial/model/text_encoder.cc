// Sequences are laid one after the other, without padding, in slabs of some hundred tokens. Products run over all rows
// of a slab, attention within each sequence; every row's result is its own, so neighbours change nothing.

#include "phial/model/text_encoder.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "phial/kernels/kernels.h"
#include "phial/model/crew.h"
#include "phial/model/full_attention.h"
#include "phial/model/size.h"
#include "phial/model/text_encoder_weights.h"
#include "phial/model/workspace.h"
#include "phial/tensor/blocks.h"

namespace phial::model {
namespace {

constexpr size_t kSlabTokens = 512;

struct Slab {
  std::span<const std::vector<int32_t>> sequences;
  std::vector<size_t> first_row;                  // of each sequence, and one beyond the last
  std::vector<std::pair<size_t, size_t>> blocks;  // (sequence, first query) of each block of queries
  size_t rows = 0;
};

struct SlabRun {
  const spec::EncoderSpec& spec;
  const EncoderWeights& weights;
  const kernels::KernelSet& kernels;
  Workspace& work;
  Crew::Shared& shared;
  const Slab& slab;
  float* out;  // [sequences, hidden]
};

// One thread's part of a slab.
class EncoderPass {
 public:
  EncoderPass(const SlabRun& run, Team& team)
      : r_(run), k_(run.kernels), w_(run.work), crew_(team, run.shared), hidden_(size(run.spec.hidden_dim)) {}

  void run() {
    crew_.share(r_.slab.sequences.size(), 1, [&](size_t begin, size_t end) {
      for (size_t s = begin; s < end; ++s) embed(s);
    });
    for (const EncoderLayer& layer : r_.weights.layers) {
      product(layer.qkv, w_.hidden, w_.qkv);
      attention(layer.qkv_bias);
      product(layer.output, w_.attended, w_.branch);
      add_and_normalise(layer.output_bias, layer.attention_norm);
      product(layer.up, w_.hidden, w_.gate_up);
      activate(layer.up_bias);
      product(layer.down, w_.activated, w_.branch);
      add_and_normalise(layer.down_bias, layer.ffn_norm);
    }
    crew_.share(r_.slab.sequences.size(), 1, [&](size_t begin, size_t end) {
      for (size_t s = begin; s < end; ++s) pool(s);
    });
  }

 private:
  template <class Body>
  void each_row(const Body& body) {
    crew_.share(r_.slab.rows, 8, [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) body(t);
    });
  }

  void round_row(Inputs& rows, size_t t, size_t columns) const {
    if (!w_.is_integer) return;
    k_.quantize_q8(rows.floats.row(t), round_up(columns, kernels::kBlock) / kernels::kBlock, rows.blocks.row(t));
  }

  void normalise(size_t t, const LayerNorm& norm) {
    float* x = w_.x.row(t);
    k_.layernorm(x, norm.gain.data(), norm.bias.data(), hidden_, r_.spec.norm_eps, x);
    std::copy(x, x + hidden_, w_.hidden.floats.row(t));
    round_row(w_.hidden, t, hidden_);
  }

  void embed(size_t s) {
    const std::vector<int32_t>& ids = r_.slab.sequences[s];
    for (size_t i = 0; i < ids.size(); ++i) {
      const size_t t = r_.slab.first_row[s] + i;
      float* x = w_.x.row(t);
      const StoredRows &words = r_.weights.words, &positions = r_.weights.positions;
      words.decode(size(ids[i]), 0, {x, hidden_});
      if (!r_.weights.token_type.empty()) k_.add(r_.weights.token_type.data(), x, hidden_);
      float* position = w_.branch.row(t);
      positions.decode(size(r_.spec.first_position) + i, 0, {position, hidden_});
      k_.add(position, x, hidden_);
      normalise(t, r_.weights.embedding_norm);
    }
  }

  void product(const Linear& matrix, const Inputs& x, const Rows<float>& y) {
    crew_.share(matrix.tile_rows(), matrix.pieces(crew_.size(), r_.slab.rows), [&](size_t begin, size_t end) {
      matrix.multiply(k_, x.view(), r_.slab.rows, begin, end, y.data, y.stride, w_.scratch(crew_.index()));
    });
  }

  void add_and_normalise(const std::vector<float>& bias, const LayerNorm& norm) {
    each_row([&](size_t t) {
      k_.add(bias.data(), w_.branch.row(t), hidden_);
      k_.add(w_.branch.row(t), w_.x.row(t), hidden_);
      normalise(t, norm);
    });
  }

  void activate(const std::vector<float>& bias) {
    const size_t ffn = size(r_.spec.ffn_dim);
    each_row([&](size_t t) {
      float* up = w_.gate_up.row(t);
      k_.add(bias.data(), up, ffn);
      k_.gelu(up, ffn);
      std::copy(up, up + ffn, w_.activated.floats.row(t));
      round_row(w_.activated, t, ffn);
    });
  }

  void attention(const std::vector<float>& bias) {
    each_row([&](size_t t) { k_.add(bias.data(), w_.qkv.row(t), 3 * hidden_); });
    const size_t heads = size(r_.spec.n_heads);
    crew_.share(r_.slab.blocks.size() * heads, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) attend(r_.slab.blocks[i / heads], i % heads);
    });
    if (w_.is_integer) each_row([&](size_t t) { round_row(w_.attended, t, hidden_); });
  }

  void attend(const std::pair<size_t, size_t>& block, size_t head) {
    const auto [s, first] = block;
    const size_t from = r_.slab.first_row[s], heads = size(r_.spec.n_heads);
    const FullAttention sequence = {.qkv = w_.qkv.row(from),
                                    .stride = w_.qkv.stride,
                                    .tokens = r_.slab.first_row[s + 1] - from,
                                    .heads = heads,
                                    .head_dim = hidden_ / heads,
                                    .out = w_.attended.floats.row(from),
                                    .out_stride = w_.attended.floats.stride};
    attend_fully(k_, sequence, head, first, w_.scratch(crew_.index()));
  }

  void pool(size_t s) {
    const size_t begin = r_.slab.first_row[s], end = r_.slab.first_row[s + 1];
    float* out = r_.out + s * hidden_;
    std::copy(w_.x.row(begin), w_.x.row(begin) + hidden_, out);
    if (r_.spec.pooling == spec::EncoderSpec::Pooling::kMean) {
      for (size_t t = begin + 1; t < end; ++t) k_.add(w_.x.row(t), out, hidden_);
    }
    // The mean's divisor falls out of the normalisation.
    double squares = 0;
    for (size_t d = 0; d < hidden_; ++d) squares += static_cast<double>(out[d]) * static_cast<double>(out[d]);
    const auto scale = static_cast<float>(1.0 / std::max(std::sqrt(squares), 1e-12));
    for (size_t d = 0; d < hidden_; ++d) out[d] *= scale;
  }

  const SlabRun& r_;
  const kernels::KernelSet& k_;
  Workspace& w_;
  Crew crew_;
  size_t hidden_;
};

class PackedEncoder final : public TextEncoder {
 public:
  PackedEncoder(std::shared_ptr<const formats::Checkpoint> checkpoint, spec::EncoderSpec spec, EncoderWeights weights,
                Workspace work, size_t slab_tokens, ThreadPool& pool)
      : checkpoint_(std::move(checkpoint)),
        spec_(std::move(spec)),
        weights_(std::move(weights)),
        work_(std::move(work)),
        slab_tokens_(slab_tokens),
        pool_(pool) {}

  const spec::EncoderSpec& spec() const override { return spec_; }

  Result<std::vector<float>> embed(std::span<const std::vector<int32_t>> sequences) const override {
    for (const std::vector<int32_t>& sequence : sequences) PHIAL_CHECKED(check(sequence));
    const size_t hidden = size(spec_.hidden_dim);
    std::vector<float> out(sequences.size() * hidden);
    for (size_t done = 0; done < sequences.size();) {
      const Slab slab = cut(sequences.subspan(done));
      Crew::Shared shared;
      const SlabRun run = {.spec = spec_,
                           .weights = weights_,
                           .kernels = kernels_,
                           .work = work_,
                           .shared = shared,
                           .slab = slab,
                           .out = out.data() + done * hidden};
      work_.reserve_scratch(scratch_floats(slab));
      pool_.run_team([&](Team& team) { EncoderPass(run, team).run(); });
      done += slab.sequences.size();
    }
    return out;
  }

 private:
  Status check(const std::vector<int32_t>& sequence) const {
    if (sequence.empty() || sequence.size() > size(spec_.max_tokens)) {
      return Error{Code::kOutOfRange,
                   "a text of " + std::to_string(sequence.size()) + " tokens, " + spec_.name + " embeds 1 to " +
                       std::to_string(spec_.max_tokens),
                   "cut it into passages"};
    }
    for (const int32_t id : sequence) {
      if (id < 0 || id >= spec_.vocab_size) {
        return Error{
            Code::kInvalid,
            "token id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(spec_.vocab_size),
            "the tokenizer does not belong to this model"};
      }
    }
    return ok();
  }

  // As many of the first sequences as fit one slab, at least one.
  Slab cut(std::span<const std::vector<int32_t>> sequences) const {
    Slab slab;
    slab.first_row.push_back(0);
    size_t count = 0;
    while (count < sequences.size() && slab.rows + sequences[count].size() <= slab_tokens_) {
      for (size_t q = 0; q < sequences[count].size(); q += kFullAttentionQueries) slab.blocks.emplace_back(count, q);
      slab.rows += sequences[count].size();
      slab.first_row.push_back(slab.rows);
      ++count;
    }
    slab.sequences = sequences.first(count);
    return slab;
  }

  size_t scratch_floats(const Slab& slab) const {
    const EncoderLayer& layer = weights_.layers.front();
    size_t most = full_attention_scratch(size(spec_.max_tokens), size(spec_.hidden_dim / spec_.n_heads));
    for (const Linear* linear : {&layer.qkv, &layer.output, &layer.up, &layer.down}) {
      most = std::max(most, linear->scratch_floats(slab.rows));
    }
    return most;
  }

  std::shared_ptr<const formats::Checkpoint> checkpoint_;
  spec::EncoderSpec spec_;
  EncoderWeights weights_;
  mutable Workspace work_;  // embed() has one caller at a time, as the pool has
  size_t slab_tokens_;
  ThreadPool& pool_;
  const kernels::KernelSet& kernels_ = kernels::active();
};

}  // namespace

Result<std::unique_ptr<TextEncoder>> TextEncoder::load(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                                       const spec::EncoderSpec& spec, Precision precision,
                                                       ThreadPool& pool) {
  PHIAL_CHECKED(spec::validate(spec));
  PHIAL_TRY(EncoderWeights weights, load_encoder_weights(*checkpoint, spec, precision, pool));
  const size_t slab_tokens = std::max(kSlabTokens, size(spec.max_tokens)), hidden = size(spec.hidden_dim);
  PHIAL_TRY(Workspace work, Workspace::make({.rows = slab_tokens,
                                             .hidden = hidden,
                                             .qkv = 3 * hidden,
                                             .attended = hidden,
                                             .ffn_in = size(spec.ffn_dim),
                                             .ffn_out = size(spec.ffn_dim),
                                             .half_rotary = 0,
                                             .is_integer = precision == Precision::kFast,
                                             .threads = pool.threads()}));
  return std::unique_ptr<TextEncoder>(std::make_unique<PackedEncoder>(std::move(checkpoint), spec, std::move(weights),
                                                                      std::move(work), slab_tokens, pool));
}

}  // namespace phial::model

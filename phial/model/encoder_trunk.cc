#include "phial/model/encoder_trunk.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "phial/kernels/kernels.h"
#include "phial/model/crew.h"
#include "phial/model/full_attention.h"
#include "phial/model/size.h"
#include "phial/model/workspace.h"
#include "phial/tensor/blocks.h"

namespace phial::model {
namespace {

constexpr size_t kSlabTokens = 512;

struct Slab {
  std::span<const EncoderInput> sequences;
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
  size_t first_sequence;  // of the slab, among all
  const TakeRows& take;
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
      for (size_t s = begin; s < end; ++s) {
        const size_t first = r_.slab.first_row[s];
        r_.take(r_.first_sequence + s, {w_.x.row(first), w_.x.stride, r_.slab.first_row[s + 1] - first});
      }
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
    const EncoderInput& input = r_.slab.sequences[s];
    const std::vector<float>& types = r_.weights.token_types;
    for (size_t i = 0; i < input.ids.size(); ++i) {
      const size_t t = r_.slab.first_row[s] + i;
      float* x = w_.x.row(t);
      const StoredRows &words = r_.weights.words, &positions = r_.weights.positions;
      words.decode(size(input.ids[i]), 0, {x, hidden_});
      if (!types.empty()) {
        const size_t type = i < input.second ? 0 : std::min<size_t>(1, types.size() / hidden_ - 1);
        k_.add(types.data() + type * hidden_, x, hidden_);
      }
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

  const SlabRun& r_;
  const kernels::KernelSet& k_;
  Workspace& w_;
  Crew crew_;
  size_t hidden_;
};

// As many of the first sequences as fit one slab, at least one.
Slab cut(std::span<const EncoderInput> sequences, size_t slab_tokens) {
  Slab slab;
  slab.first_row.push_back(0);
  size_t count = 0;
  while (count < sequences.size() && slab.rows + sequences[count].ids.size() <= slab_tokens) {
    for (size_t q = 0; q < sequences[count].ids.size(); q += kFullAttentionQueries) slab.blocks.emplace_back(count, q);
    slab.rows += sequences[count].ids.size();
    slab.first_row.push_back(slab.rows);
    ++count;
  }
  slab.sequences = sequences.first(count);
  return slab;
}

}  // namespace

Result<EncoderTrunk> EncoderTrunk::make(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                        const formats::LoraAdapter* adapter, const spec::EncoderSpec& spec,
                                        Precision precision, ThreadPool& pool) {
  PHIAL_CHECKED(spec::validate(spec));
  EncoderTrunk trunk(std::move(checkpoint), spec, pool);
  PHIAL_TRY(trunk.weights_, load_encoder_weights(*trunk.checkpoint_, adapter, spec, precision, pool));
  const size_t hidden = size(spec.hidden_dim);
  trunk.slab_tokens_ = std::max(kSlabTokens, size(spec.max_tokens));
  PHIAL_TRY(trunk.work_, Workspace::make({.rows = trunk.slab_tokens_,
                                          .hidden = hidden,
                                          .qkv = 3 * hidden,
                                          .attended = hidden,
                                          .ffn_in = size(spec.ffn_dim),
                                          .ffn_out = size(spec.ffn_dim),
                                          .half_rotary = 0,
                                          .is_integer = precision == Precision::kFast,
                                          .threads = pool.threads()}));
  return trunk;
}

Status EncoderTrunk::run(std::span<const EncoderInput> sequences, const TakeRows& take) const {
  for (const EncoderInput& sequence : sequences) PHIAL_CHECKED(check(sequence));
  for (size_t done = 0; done < sequences.size();) {
    const Slab slab = cut(sequences.subspan(done), slab_tokens_);
    Crew::Shared shared;
    const SlabRun run = {.spec = spec_,
                         .weights = weights_,
                         .kernels = kernels_,
                         .work = work_,
                         .shared = shared,
                         .slab = slab,
                         .first_sequence = done,
                         .take = take};
    work_.reserve_scratch(scratch_floats(slab.rows));
    pool_->run_team([&](Team& team) { EncoderPass(run, team).run(); });
    done += slab.sequences.size();
  }
  return ok();
}

Status EncoderTrunk::check(const EncoderInput& sequence) const {
  if (sequence.ids.empty() || sequence.ids.size() > size(spec_.max_tokens)) {
    return Error{Code::kOutOfRange,
                 "a text of " + std::to_string(sequence.ids.size()) + " tokens, " + spec_.name + " embeds 1 to " +
                     std::to_string(spec_.max_tokens),
                 "cut it into passages"};
  }
  for (const int32_t id : sequence.ids) {
    if (id < 0 || id >= spec_.vocab_size) {
      return Error{
          Code::kInvalid,
          "token id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(spec_.vocab_size),
          "the tokenizer does not belong to this model"};
    }
  }
  return ok();
}

size_t EncoderTrunk::scratch_floats(size_t rows) const {
  const EncoderLayer& layer = weights_.layers.front();
  size_t most = full_attention_scratch(size(spec_.max_tokens), size(spec_.hidden_dim / spec_.n_heads));
  for (const Linear* linear : {&layer.qkv, &layer.output, &layer.up, &layer.down}) {
    most = std::max(most, linear->scratch_floats(rows));
  }
  return most;
}

}  // namespace phial::model

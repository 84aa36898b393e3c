// Tile by tile: each is a sequence of its own. Then the features of all tiles become rows of tokens, two by two patches
// in one, which the projector takes in pieces.

#include "phial/model/clip.h"

#include <algorithm>
#include <utility>

#include "phial/formats/image_tiles.h"
#include "phial/kernels/kernels.h"
#include "phial/model/clip_weights.h"
#include "phial/model/crew.h"
#include "phial/model/full_attention.h"
#include "phial/model/size.h"
#include "phial/model/workspace.h"
#include "phial/tensor/blocks.h"

namespace phial::model {
namespace {

constexpr size_t kProjectedRows = 128;     // at a time
constexpr float kQuickGeluSlope = 1.702F;  // x * sigmoid(slope * x)

// What the threads of a team share.
struct ClipRun {
  const spec::VisionSpec& spec;
  const ClipWeights& weights;
  const kernels::KernelSet& kernels;
  Workspace& work;
  Crew::Shared& shared;
  std::span<const float> per_slope;  // 1 / kQuickGeluSlope, as often as an MLP is wide; for tiles
};

// One thread's way through phases over rows.
class RowPass {
 public:
  RowPass(const ClipRun& run, Team& team, size_t rows)
      : spec_(run.spec), weights_(run.weights), k_(run.kernels), w_(run.work), crew_(team, run.shared), rows_(rows) {}

 protected:
  template <class Body>
  void each_row(size_t grain, const Body& body) {
    crew_.share(rows_, grain, [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) body(t);
    });
  }

  void product(const Linear& matrix, const Activations& x, size_t rows, float* y, size_t y_stride) {
    crew_.share(matrix.tile_rows(), matrix.pieces(crew_.size(), rows), [&](size_t begin, size_t end) {
      matrix.multiply(k_, x, rows, begin, end, y, y_stride, w_.scratch(crew_.index()));
    });
  }

  void round_row(Inputs& rows, size_t t, size_t columns) const {
    if (!w_.is_integer) return;
    k_.quantize_q8(rows.floats.row(t), round_up(columns, kernels::kBlock) / kernels::kBlock, rows.blocks.row(t));
  }

  const spec::VisionSpec& spec_;
  const ClipWeights& weights_;
  const kernels::KernelSet& k_;
  Workspace& w_;
  Crew crew_;
  size_t rows_;
};

// A tile through the transformer; one row for the class token, one for each patch.
class TilePass : RowPass {
 public:
  TilePass(const ClipRun& run, Team& team)
      : RowPass(run, team, 1 + size(run.spec.patches()) * size(run.spec.patches())),
        hidden_(size(run.spec.hidden_dim)),
        ffn_(size(run.spec.ffn_dim)),
        per_slope_(run.per_slope) {}

  // `pixels`: [3, S, S]; `out`: [G * G, C].
  void run(const float* pixels, float* out) {
    embed(pixels);
    for (size_t i = 0; i < weights_.layers.size(); ++i) {
      const EncoderLayer& layer = weights_.layers[i];
      if (i == 0) each_row(8, [&](size_t t) { normalise(t, layer.attention_norm); });
      product(layer.qkv, w_.hidden.view(), rows_, w_.qkv.data, w_.qkv.stride);
      attention(layer.qkv_bias);
      product(layer.output, w_.attended.view(), rows_, w_.branch.data, w_.branch.stride);
      add_branch(layer.output_bias, &layer.ffn_norm);
      product(layer.up, w_.hidden.view(), rows_, w_.gate_up.data, w_.gate_up.stride);
      activate(layer.up_bias);
      product(layer.down, w_.activated.view(), rows_, w_.branch.data, w_.branch.stride);
      const bool is_last = i + 1 == weights_.layers.size();
      add_branch(layer.down_bias, is_last ? nullptr : &weights_.layers[i + 1].attention_norm);
    }
    crew_.share(rows_ - 1, 8, [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) std::copy_n(w_.x.row(t + 1), hidden_, out + t * hidden_);
    });
  }

 private:
  // The patches' pixels as rows of a product, channel by channel; then class token, positions and the first norm.
  void embed(const float* pixels) {
    const size_t across = size(spec_.patches()), side = size(spec_.patch_side), tile = size(spec_.image_side);
    crew_.share(rows_ - 1, 8, [&](size_t begin, size_t end) {
      for (size_t p = begin; p < end; ++p) {
        const float* corner = pixels + p / across * side * tile + p % across * side;
        float* to = w_.gate_up.row(p);
        for (size_t c = 0; c < 3; ++c) {
          for (size_t y = 0; y < side; ++y) to = std::copy_n(corner + (c * tile + y) * tile, side, to);
        }
      }
    });
    const Activations patches = {.floats = w_.gate_up.data, .float_stride = w_.gate_up.stride};
    product(weights_.patch, patches, rows_ - 1, w_.x.row(1), w_.x.stride);
    each_row(8, [&](size_t t) {
      float* x = w_.x.row(t);
      if (t == 0) std::ranges::copy(weights_.class_token, x);
      k_.add(weights_.positions.data() + t * hidden_, x, hidden_);
      const LayerNorm& norm = weights_.embedding_norm;
      k_.layernorm(x, norm.gain.data(), norm.bias.data(), hidden_, spec_.norm_eps, x);
    });
  }

  void normalise(size_t t, const LayerNorm& norm) {
    k_.layernorm(w_.x.row(t), norm.gain.data(), norm.bias.data(), hidden_, spec_.norm_eps, w_.hidden.floats.row(t));
    round_row(w_.hidden, t, hidden_);
  }

  void add_branch(const std::vector<float>& bias, const LayerNorm* next) {
    each_row(8, [&](size_t t) {
      k_.add(bias.data(), w_.branch.row(t), hidden_);
      k_.add(w_.branch.row(t), w_.x.row(t), hidden_);
      if (next != nullptr) normalise(t, *next);
    });
  }

  void attention(const std::vector<float>& bias) {
    each_row(8, [&](size_t t) { k_.add(bias.data(), w_.qkv.row(t), 3 * hidden_); });
    const size_t heads = size(spec_.n_heads), blocks = round_up(rows_, kFullAttentionQueries) / kFullAttentionQueries;
    const FullAttention tile = {.qkv = w_.qkv.data,
                                .stride = w_.qkv.stride,
                                .tokens = rows_,
                                .heads = heads,
                                .head_dim = hidden_ / heads,
                                .out = w_.attended.floats.data,
                                .out_stride = w_.attended.floats.stride};
    crew_.share(blocks * heads, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        attend_fully(k_, tile, i % heads, i / heads * kFullAttentionQueries, w_.scratch(crew_.index()));
      }
    });
    if (w_.is_integer) each_row(8, [&](size_t t) { round_row(w_.attended, t, hidden_); });
  }

  // x * sigmoid(slope * x) = silu(slope * x) / slope.
  void activate(const std::vector<float>& bias) {
    each_row(8, [&](size_t t) {
      float* up = w_.gate_up.row(t);
      for (size_t d = 0; d < ffn_; ++d) up[d] = (up[d] + bias[d]) * kQuickGeluSlope;
      k_.silu_mul(up, per_slope_.data(), ffn_, w_.activated.floats.row(t));
      round_row(w_.activated, t, ffn_);
    });
  }

  size_t hidden_, ffn_;
  std::span<const float> per_slope_;
};

// Some rows of a picture's tokens through the projector.
class ProjectorPass : RowPass {
 public:
  ProjectorPass(const ClipRun& run, Team& team, const spec::TileGrid& grid, std::span<const float> features,
                size_t first, size_t rows)
      : RowPass(run, team, rows), grid_(grid), features_(features), first_(first) {}

  // `out`: [rows, D].
  void run(float* out) {
    const size_t hidden = size(spec_.hidden_dim), width = size(spec_.output_dim);
    each_row(4, [&](size_t t) {
      merge(first_ + t, w_.hidden.floats.row(t));
      round_row(w_.hidden, t, 4 * hidden);
    });
    product(weights_.project_in, w_.hidden.view(), rows_, w_.gate_up.data, w_.gate_up.stride);
    each_row(4, [&](size_t t) {
      float* middle = w_.gate_up.row(t);
      k_.add(weights_.project_in_bias.data(), middle, width);
      k_.gelu(middle, width);
      std::copy_n(middle, width, w_.activated.floats.row(t));
      round_row(w_.activated, t, width);
    });
    product(weights_.project_out, w_.activated.view(), rows_, out, width);
    each_row(4, [&](size_t t) { k_.add(weights_.project_out_bias.data(), out + t * width, width); });
  }

 private:
  // Token `i` of the picture: the page's rows, the separator, the rows of the whole view; each row ends in a separator.
  void merge(size_t i, float* out) const {
    const size_t side = size(spec_.tokens()), row = size(grid_.cols) * side + 1, page = size(grid_.rows) * side * row;
    if (i == page) {
      std::ranges::copy(weights_.between, out);
    } else if (i < page) {
      const size_t y = i / row, x = i % row;
      merge_patches(1 + y / side * size(grid_.cols) + x / side, y % side, x % side, x + 1 == row, out);
    } else {
      const size_t j = i - page - 1, y = j / (side + 1), x = j % (side + 1);
      merge_patches(0, y, x, x == side, out);
    }
  }

  void merge_patches(size_t tile, size_t y, size_t x, bool is_row_end, float* out) const {
    if (is_row_end) {
      std::ranges::copy(weights_.row_end, out);
      return;
    }
    const size_t across = size(spec_.patches()), hidden = size(spec_.hidden_dim);
    for (const size_t dy : {size_t{0}, size_t{1}}) {
      const size_t patch = (tile * across + 2 * y + dy) * across + 2 * x;
      out = std::copy_n(features_.data() + patch * hidden, 2 * hidden, out);
    }
  }

  const spec::TileGrid& grid_;
  std::span<const float> features_;
  size_t first_;
};

WorkspaceShape tile_shape(const spec::VisionSpec& spec, Precision precision, int threads) {
  const size_t hidden = size(spec.hidden_dim), ffn = size(spec.ffn_dim), side = size(spec.patch_side);
  return {.rows = 1 + size(spec.patches()) * size(spec.patches()),
          .hidden = hidden,
          .qkv = 3 * hidden,
          .attended = hidden,
          .ffn_in = std::max(ffn, 3 * side * side),  // patches' pixels stand there first
          .ffn_out = ffn,
          .half_rotary = 0,
          .is_integer = precision == Precision::kFast,
          .threads = threads};
}

WorkspaceShape projector_shape(const spec::VisionSpec& spec, Precision precision, int threads) {
  return {.rows = kProjectedRows,
          .hidden = 4 * size(spec.hidden_dim),
          .qkv = 0,
          .attended = 0,
          .ffn_in = size(spec.output_dim),
          .ffn_out = size(spec.output_dim),
          .half_rotary = 0,
          .is_integer = precision == Precision::kFast,
          .threads = threads};
}

class PackedImageEncoder final : public ImageEncoder {
 public:
  PackedImageEncoder(std::shared_ptr<const formats::Checkpoint> checkpoint, const spec::VisionSpec& spec,
                     ClipWeights weights, Workspace tile_work, Workspace projector_work, ThreadPool& pool)
      : checkpoint_(std::move(checkpoint)),
        spec_(spec),
        weights_(std::move(weights)),
        tile_work_(std::move(tile_work)),
        projector_work_(std::move(projector_work)),
        pool_(pool) {}

  const spec::VisionSpec& spec() const override { return spec_; }

  Result<std::vector<float>> features(std::span<const float> pixels, const std::stop_token& cancel) const override {
    const size_t in = 3 * size(spec_.image_side) * size(spec_.image_side);
    const size_t out = size(spec_.patches()) * size(spec_.patches()) * size(spec_.hidden_dim);
    std::vector<float> all(pixels.size() / in * out);
    tile_work_.reserve_scratch(tile_scratch());
    for (size_t tile = 0; tile < pixels.size() / in; ++tile) {
      if (cancel.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
      Crew::Shared shared;
      const ClipRun run = {spec_, weights_, kernels_, tile_work_, shared, per_slope_};
      pool_.run_team([&](Team& team) { TilePass(run, team).run(pixels.data() + tile * in, all.data() + tile * out); });
    }
    return all;
  }

  Result<std::vector<float>> encode(const spec::TileGrid& grid, const formats::Image& page,
                                    const std::stop_token& cancel) const override {
    const std::vector<float> pixels = formats::tile_pixels(page, spec_.image_side, {spec_.mean, spec_.deviation});
    PHIAL_TRY(const std::vector<float> seen, features(pixels, cancel));
    const size_t tokens = size(spec::image_tokens(spec_, grid)), width = size(spec_.output_dim);
    std::vector<float> out(tokens * width);
    projector_work_.reserve_scratch(std::max(weights_.project_in.scratch_floats(kProjectedRows),
                                             weights_.project_out.scratch_floats(kProjectedRows)));
    for (size_t first = 0; first < tokens; first += kProjectedRows) {
      Crew::Shared shared;
      const ClipRun run = {spec_, weights_, kernels_, projector_work_, shared, {}};
      const size_t rows = std::min(kProjectedRows, tokens - first);
      pool_.run_team(
          [&](Team& team) { ProjectorPass(run, team, grid, seen, first, rows).run(out.data() + first * width); });
    }
    return out;
  }

 private:
  size_t tile_scratch() const {
    const size_t rows = 1 + size(spec_.patches()) * size(spec_.patches());
    size_t most = std::max(full_attention_scratch(rows, size(spec_.hidden_dim / spec_.n_heads)),
                           weights_.patch.scratch_floats(rows));
    for (const EncoderLayer& layer : weights_.layers) {
      for (const Linear* linear : {&layer.qkv, &layer.output, &layer.up, &layer.down}) {
        most = std::max(most, linear->scratch_floats(rows));
      }
    }
    return most;
  }

  std::shared_ptr<const formats::Checkpoint> checkpoint_;
  spec::VisionSpec spec_;
  ClipWeights weights_;
  mutable Workspace tile_work_, projector_work_;  // one caller at a time, as the pool has
  ThreadPool& pool_;
  const kernels::KernelSet& kernels_ = kernels::active();
  std::vector<float> per_slope_ = std::vector<float>(size(spec_.ffn_dim), 1.0F / kQuickGeluSlope);
};

}  // namespace

Result<uint64_t> ImageEncoder::bytes(const formats::Checkpoint& checkpoint, const spec::VisionSpec& spec,
                                     Precision precision, int threads) {
  PHIAL_TRY(const uint64_t weights, clip_weights_bytes(checkpoint, spec, precision));
  return weights + Workspace::bytes(tile_shape(spec, precision, threads)) +
         Workspace::bytes(projector_shape(spec, precision, threads));
}

Result<std::unique_ptr<ImageEncoder>> ImageEncoder::load(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                                         const spec::VisionSpec& spec, Precision precision,
                                                         ThreadPool& pool) {
  PHIAL_CHECKED(spec::validate(spec));
  auto weights = load_clip_weights(*checkpoint, spec, precision, pool);
  if (!weights) return std::move(weights).error().in(checkpoint->path().string());
  PHIAL_TRY(Workspace tile_work, Workspace::make(tile_shape(spec, precision, pool.threads())));
  PHIAL_TRY(Workspace projector_work, Workspace::make(projector_shape(spec, precision, pool.threads())));
  return std::unique_ptr<ImageEncoder>(std::make_unique<PackedImageEncoder>(
      std::move(checkpoint), spec, *std::move(weights), std::move(tile_work), std::move(projector_work), pool));
}

}  // namespace phial::model

#include "phial/train/coordinate_check.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "phial/base/random.h"
#include "phial/spec/mup.h"
#include "phial/train/network.h"
#include "phial/train/optimizer.h"
#include "phial/train/torch_error.h"

namespace phial::train {
namespace {

constexpr int kHeadDim = 16, kVocab = 128, kTokens = 64, kRows = 8;
constexpr int kMaxWidth = 65536;

spec::DecoderSpec spec_of(int width, const CoordinateCheckOptions& options) {
  spec::DecoderSpec spec;
  spec.architecture = "phi3";
  spec.n_layers = options.layers;
  spec.hidden_dim = width;
  spec.ffn_dim = 4 * width;
  spec.n_heads = spec.n_kv_heads = width / kHeadDim;
  spec.head_dim = spec.rope_dims = kHeadDim;
  spec.vocab_size = kVocab;
  spec.context = kTokens;
  if (options.small) {
    spec.architecture = "phi3small";
    spec.norm = spec::NormKind::kLayer;
    spec.activation = spec::Activation::kGeGelu;
    spec.gegelu_limit = 20;
    spec.block_sparse = {.block = 8, .local_blocks = 2, .stride = 2, .dense_every = 2};
    spec.has_attention_bias = spec.has_output_bias = spec.has_ffn_bias = true;
  }
  return spec;
}

spec::MupBase base_of(const spec::DecoderSpec& spec) {
  return {.hidden_dim = spec.hidden_dim, .ffn_dim = spec.ffn_dim, .n_heads = spec.n_heads, .head_dim = spec.head_dim};
}

// Random tokens, some of them far more frequent than others: without anything that all rows have in common the output
// matrix would learn nothing that adds up over the width. The same for every width and step.
Batch random_batch(uint64_t seed) {
  Random random(seed);
  const at::Tensor tokens = at::empty({kRows, kTokens + 1}, at::kLong);
  for (int64_t i = 0; i < tokens.numel(); ++i)
    tokens.data_ptr<int64_t>()[i] = static_cast<int64_t>(kVocab * std::pow(random.uniform(), 3));
  const at::Tensor ids = tokens.slice(1, 0, kTokens).contiguous();
  return {.ids = ids,
          .targets = tokens.slice(1, 1).contiguous(),
          .positions = at::arange(kTokens, at::kLong).expand({kRows, kTokens}).contiguous(),
          .documents = at::zeros_like(ids),
          .one_document_a_row = true};
}

// [step][place], of one width and seed, steps 0 (before training) to options.steps.
std::vector<std::vector<double>> sizes_of(int width, uint64_t seed, const CoordinateCheckOptions& options) {
  spec::DecoderSpec spec = spec_of(width, options);
  std::optional<spec::MupBase> base;
  if (options.mup) {
    base = base_of(spec_of(*std::ranges::min_element(options.widths), options));
    spec = with_mup(spec, *base);
  }
  // Large enough that the narrowest model's activations begin near 1; what begins at zero hides nothing at first.
  const spec::InitRule init = {.sigma = 1 / std::sqrt(static_cast<double>(*std::ranges::min_element(options.widths))),
                               .by_depth = false,
                               .zero_head = options.mup};
  Network network(spec, new_parameters(spec, base, init, seed));
  AdamW optimizer(network.parameters(), spec, base, {.weight_decay = 0, .clip = 0});
  const Batch batch = random_batch(seed);
  std::vector<std::vector<double>> sizes;
  at::Tensor first_logits;
  for (int step = 0;; ++step) {
    std::vector<double>& here = sizes.emplace_back();
    {
      const at::NoGradGuard no_grad;
      std::vector<at::Tensor> outputs;
      network.hidden(batch, &outputs);
      const at::Tensor logits = network.logits(batch);
      if (step == 0) first_logits = logits;
      outputs.push_back(logits - first_logits);
      for (const at::Tensor& output : outputs) here.push_back(output.abs().mean().item<double>());
    }
    if (step == options.steps) return sizes;
    (network.loss(batch).objective / (kRows * kTokens)).backward();
    optimizer.step(options.lr, 0);
    optimizer.clear_gradients();
  }
}

double slope_of(const std::vector<int>& widths, const std::vector<double>& sizes) {
  double x_mean = 0, y_mean = 0, xy = 0, xx = 0;
  const auto n = static_cast<double>(widths.size());
  for (size_t i = 0; i < widths.size(); ++i) {
    x_mean += std::log(widths[i]) / n;
    y_mean += std::log(sizes[i]) / n;
  }
  for (size_t i = 0; i < widths.size(); ++i) {
    const double x = std::log(widths[i]) - x_mean;
    xy += x * (std::log(sizes[i]) - y_mean);
    xx += x * x;
  }
  return xy / xx;
}

std::string place_name(size_t place, int layers) {
  if (place < static_cast<size_t>(layers)) return "layer " + std::to_string(place);
  return place == static_cast<size_t>(layers) ? "norm" : "logits'";
}

Result<CoordinateCheck> measured(const CoordinateCheckOptions& options) {
  CoordinateCheck check;
  const size_t places = static_cast<size_t>(options.layers) + 2;
  for (int step = 0; step <= options.steps; ++step) {
    for (size_t place = 0; place < places; ++place) {
      check.coordinates.push_back(
          {place_name(place, options.layers), step, std::vector<double>(options.widths.size())});
    }
  }
  for (size_t w = 0; w < options.widths.size(); ++w) {
    for (int s = 0; s < options.seeds; ++s) {
      const auto sizes = sizes_of(options.widths[w], options.seed + static_cast<uint64_t>(s), options);
      for (Coordinate& c : check.coordinates) {
        const auto place = static_cast<size_t>(&c - check.coordinates.data()) % places;
        c.sizes[w] += sizes[static_cast<size_t>(c.step)][place] / options.seeds;
      }
    }
  }
  for (Coordinate& c : check.coordinates) {
    const bool have_slope = std::ranges::all_of(c.sizes, [](double size) { return size > 0 && std::isfinite(size); });
    // Before the first step logits have not changed.
    const bool is_change_before = c.step == 0 && c.place == place_name(places - 1, options.layers);
    if (!have_slope && !is_change_before) {
      return Error{Code::kOutOfRange,
                   "a size of " + c.place + " after step " + std::to_string(c.step) + " is zero or not finite",
                   "take another learning rate"};
    }
    if (have_slope) c.slope = slope_of(options.widths, c.sizes);
    if (c.step < 2) continue;
    check.largest_slope = std::max(check.largest_slope, c.slope);
    check.smallest_slope = std::min(check.smallest_slope, c.slope);
  }
  return check;
}

}  // namespace

Result<CoordinateCheck> check_coordinates(const CoordinateCheckOptions& options) {
  if (options.widths.size() < 2)
    return Error{Code::kInvalid, "fewer than two widths have no slope", "name two or more"};
  for (const int width : options.widths) {
    if (width <= 0 || width % kHeadDim != 0) {
      return Error{Code::kInvalid, "a width of " + std::to_string(width) + " is no multiple of a head's 16",
                   "take 32, 64, 128, ..."};
    }
    if (width > kMaxWidth) {
      return Error{Code::kInvalid, "a width of " + std::to_string(width) + " is above " + std::to_string(kMaxWidth),
                   "take smaller ones"};
    }
    if (std::ranges::count(options.widths, width) > 1) {
      return Error{Code::kInvalid, "the width " + std::to_string(width) + " is named twice", "name each once"};
    }
  }
  at::set_num_threads(1);  // the matrices are too small for more
  try {
    return measured(options);
  } catch (const std::exception& thrown) {  // libtorch's, at the room's door
    return torch_error(thrown);
  }
}

}  // namespace phial::train

#include <cmath>
#include <utility>

#include "phial/spec/fields.h"
#include "phial/spec/spec.h"

namespace phial::spec {
namespace {

Error wrong(const std::string& name, const std::string& what) {
  return Error{Code::kCorrupt, name + ": " + what, "download the model again, or convert it anew"};
}

Status in_range(const std::string& name, const char* what, int value, int low, int high) {
  if (value >= low && value <= high) return ok();
  return wrong(name,
               std::to_string(value) + " " + what + ", wanted " + std::to_string(low) + " to " + std::to_string(high));
}

Status valid_factors(const std::string& name, const char* what, const std::vector<float>& factors, int rope_dims) {
  if (factors.size() != static_cast<size_t>(rope_dims / 2)) {
    return wrong(name, std::to_string(factors.size()) + " " + what + ", wanted " + std::to_string(rope_dims / 2) +
                           " (half of " + std::to_string(rope_dims) + " rotary dimensions)");
  }
  for (const float factor : factors) {
    if (!(factor > 0) || !std::isfinite(factor)) return wrong(name, std::string(what) + " that are not positive");
  }
  return ok();
}

bool usable_scale(float value) { return value > 0 && std::isfinite(value); }

// Lists of blocks are built for the whole context, head by head.
constexpr int64_t kMaxHeadBlocks = int64_t{1} << 20;

Status valid_block_sparse(const DecoderSpec& spec) {
  const std::string& name = spec.architecture;
  const BlockSparse& sparse = spec.block_sparse;
  PHIAL_CHECKED(in_range(name, "positions in a sparse block", sparse.block, 1, kMaxContext));
  PHIAL_CHECKED(in_range(name, "local blocks", sparse.local_blocks, 1, kMaxContext));
  PHIAL_CHECKED(in_range(name, "as the stride of sparse blocks", sparse.stride, 1, kMaxContext));
  PHIAL_CHECKED(in_range(name, "layers from one dense layer to the next", sparse.dense_every, 0, kMaxLayers));
  const auto unsupported = [&](const std::string& what) {
    return Error{Code::kUnsupported, name + ": " + what, "use another model"};
  };
  if (spec.n_heads / spec.n_kv_heads > kMaxSparseGroup) {
    return unsupported("block-sparse attention with " + std::to_string(spec.n_heads / spec.n_kv_heads) +
                       " heads a key-value head is not supported, at most " + std::to_string(kMaxSparseGroup) + " are");
  }
  const int64_t blocks = int64_t{spec.context} / sparse.block + 1;
  if (blocks * spec.n_heads > kMaxHeadBlocks) {
    return unsupported("block-sparse attention over " + std::to_string(blocks) + " blocks for " +
                       std::to_string(spec.n_heads) + " heads is not supported, their product may be " +
                       std::to_string(kMaxHeadBlocks));
  }
  if (spec.sliding_window > 0) return unsupported("a sliding window beside block-sparse attention is not supported");
  return ok();
}

}  // namespace

float attention_scale(const DecoderSpec& spec) {
  if (spec.attention_scale != 0) return spec.attention_scale;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(spec.head_dim)));
}

Status validate(const DecoderSpec& spec) {
  const std::string& name = spec.architecture;
  PHIAL_CHECKED(in_range(name, "layers", spec.n_layers, 1, kMaxLayers));
  PHIAL_CHECKED(in_range(name, "hidden dimensions", spec.hidden_dim, 1, kMaxWidth));
  PHIAL_CHECKED(in_range(name, "feed-forward dimensions", spec.ffn_dim, 1, kMaxWidth));
  PHIAL_CHECKED(in_range(name, "heads", spec.n_heads, 1, kMaxHeads));
  PHIAL_CHECKED(in_range(name, "key-value heads", spec.n_kv_heads, 1, kMaxHeads));
  PHIAL_CHECKED(in_range(name, "dimensions a head", spec.head_dim, 2, kMaxHeadDim));
  PHIAL_CHECKED(in_range(name, "words in the vocabulary", spec.vocab_size, 1, kMaxVocab));
  PHIAL_CHECKED(in_range(name, "positions", spec.context, 1, kMaxContext));
  PHIAL_CHECKED(in_range(name, "keys in the sliding window", spec.sliding_window, 0, INT32_MAX));
  PHIAL_CHECKED(in_range(name, "rotary dimensions", spec.rope_dims, 2, spec.head_dim));
  if (spec.n_heads % spec.n_kv_heads != 0) {
    return wrong(name, std::to_string(spec.n_heads) + " heads cannot share " + std::to_string(spec.n_kv_heads) +
                           " key-value heads evenly");
  }
  if (spec.n_heads * spec.head_dim > kMaxWidth) {
    return wrong(name, std::to_string(spec.n_heads) + " heads of " + std::to_string(spec.head_dim) +
                           " dimensions, wanted at most " + std::to_string(kMaxWidth) + " in all");
  }
  if (spec.rope_dims % 2 != 0) {
    return wrong(name, std::to_string(spec.rope_dims) + " rotary dimensions, wanted an even number");
  }
  if (!usable_scale(spec.rope_theta)) return wrong(name, "a rotary base that is not a positive number");
  if (!usable_scale(spec.norm_eps)) return wrong(name, "a norm epsilon that is not a positive number");
  if (spec.gegelu_limit != 0 && !usable_scale(spec.gegelu_limit)) {
    return wrong(name, "a limit of its activation that is not a positive number");
  }
  if (spec.attention_scale != 0 && !usable_scale(spec.attention_scale)) {
    return wrong(name, "a scale of attention that is not a positive number");
  }
  if (!usable_scale(spec.embedding_multiplier) || !usable_scale(spec.logit_divisor)) {
    return wrong(name, "a multiplier of embeddings or logits that is not a positive number");
  }
  for (const int32_t id : spec.masked_ids) PHIAL_CHECKED(in_range(name, "as a masked id", id, 0, spec.vocab_size - 1));
  if (spec.block_sparse.active()) PHIAL_CHECKED(valid_block_sparse(spec));
  if (!spec.rope_divisors.empty()) {
    PHIAL_CHECKED(valid_factors(name, "rotary divisors", spec.rope_divisors, spec.rope_dims));
  }
  if (!spec.long_rope.long_factors.empty() || !spec.long_rope.short_factors.empty()) {
    PHIAL_CHECKED(valid_factors(name, "long rotary factors", spec.long_rope.long_factors, spec.rope_dims));
    PHIAL_CHECKED(valid_factors(name, "short rotary factors", spec.long_rope.short_factors, spec.rope_dims));
    PHIAL_CHECKED(in_range(name, "original positions", spec.long_rope.original_context, 1, kMaxContext));
    if (!usable_scale(spec.long_rope.short_attention_factor) || !usable_scale(spec.long_rope.long_attention_factor)) {
      return wrong(name, "an attention factor that is not a positive number");
    }
  }
  return ok();
}

Status validate(const EncoderSpec& spec) {
  const std::string& name = spec.name;
  PHIAL_CHECKED(in_range(name, "layers", spec.n_layers, 1, kMaxLayers));
  PHIAL_CHECKED(in_range(name, "hidden dimensions", spec.hidden_dim, 1, kMaxWidth));
  PHIAL_CHECKED(in_range(name, "feed-forward dimensions", spec.ffn_dim, 1, kMaxWidth));
  PHIAL_CHECKED(in_range(name, "heads", spec.n_heads, 1, kMaxHeads));
  PHIAL_CHECKED(in_range(name, "words in the vocabulary", spec.vocab_size, 1, kMaxVocab));
  PHIAL_CHECKED(in_range(name, "positions", spec.max_positions, 1, kMaxContext));
  PHIAL_CHECKED(in_range(name, "token types", spec.token_types, 0, kMaxVocab));
  PHIAL_CHECKED(in_range(name, "as the row of the first position", spec.first_position, 0, spec.max_positions - 1));
  PHIAL_CHECKED(in_range(name, "tokens a text", spec.max_tokens, 1, spec.max_positions - spec.first_position));
  if (spec.hidden_dim % spec.n_heads != 0) {
    return wrong(name, std::to_string(spec.n_heads) + " heads do not divide " + std::to_string(spec.hidden_dim) +
                           " hidden dimensions");
  }
  if (!usable_scale(spec.norm_eps)) return wrong(name, "a norm epsilon that is not a positive number");
  return ok();
}

}  // namespace phial::spec

// The spec of a checkpoint: what its metadata says, completed by what only its tensors say.

#include <string>
#include <utility>

#include "phial/model/decoder.h"
#include "phial/model/tensor_finder.h"

namespace phial::model {
namespace {

// LongRoPE and Llama-3 factors of GGUF are tensors.
Status read_factor_tensors(const formats::Checkpoint& checkpoint, spec::DecoderSpec& spec) {
  TensorFinder find(checkpoint);
  const auto half = static_cast<uint64_t>(spec.rope_dims / 2);
  const bool has_long = find.has("rope_factors_long.weight"), has_short = find.has("rope_factors_short.weight");
  if (has_long || has_short) {
    PHIAL_TRY(spec.long_rope.long_factors, find.vector("rope_factors_long.weight", half));
    PHIAL_TRY(spec.long_rope.short_factors, find.vector("rope_factors_short.weight", half));
  } else {
    const std::string* type = find_string(checkpoint.metadata(), spec.architecture + ".rope.scaling.type");
    const auto factor = find_number(checkpoint.metadata(), spec.architecture + ".rope.scaling.attn_factor");
    if ((type != nullptr && *type == "longrope") || (factor && *factor != 1)) {
      return Error{Code::kCorrupt,
                   checkpoint.path().string() +
                       ": the tensors rope_factors_long.weight and rope_factors_short.weight " +
                       "are missing, and its metadata asks for them",
                   "download the model again"};
    }
    spec.long_rope = {};
  }
  if (find.has("rope_freqs.weight")) {
    PHIAL_TRY(spec.rope_divisors, find.vector("rope_freqs.weight", half));
  }
  return ok();
}

}  // namespace

Result<spec::DecoderSpec> Decoder::read_spec(const formats::Checkpoint& checkpoint, int window_extra) {
  if (window_extra < 0 || window_extra > 1) {
    return Error{Code::kInvalid, "window_extra is " + std::to_string(window_extra) + ", wanted 0 or 1", ""};
  }
  const bool is_gguf = checkpoint.kind() == formats::CheckpointKind::kGguf;
  auto read =
      is_gguf ? spec::decoder_from_gguf(checkpoint.metadata()) : spec::decoder_from_config(checkpoint.metadata());
  if (!read) return std::move(read).error().in(checkpoint.path().string());
  spec::DecoderSpec spec = *std::move(read);
  if (is_gguf) {
    PHIAL_CHECKED(read_factor_tensors(checkpoint, spec));
    // The metadata may count the tokenizer's words; the rows of the embedding are what ids may name.
    PHIAL_TRY(const formats::Tensor* embedding, checkpoint.need("token_embd.weight"));
    const uint64_t rows = embedding->shape.empty() ? 0 : embedding->shape.front();
    spec.vocab_size = rows <= INT32_MAX ? static_cast<int>(rows) : 0;
    spec.tied_output = checkpoint.find("output.weight") == nullptr;
    // Only the tensors tell whether a Llama has biases; the converter writes them where the configuration had them.
    spec.has_attention_bias = spec.has_attention_bias || checkpoint.find("blk.0.attn_q.bias") != nullptr;
    spec.has_output_bias = spec.has_output_bias || checkpoint.find("blk.0.attn_output.bias") != nullptr;
  } else if (spec.architecture == "phi3small") {
    spec.tied_output = checkpoint.find("lm_head.weight") == nullptr;  // which configurations do not tell
  } else if (checkpoint.find("lm_head.weight") == nullptr && !find_bool(checkpoint.metadata(), "tie_word_embeddings")) {
    spec.tied_output = true;
  }
  if (spec.sliding_window > 0) spec.sliding_window += window_extra;
  PHIAL_CHECKED(spec::validate(spec));
  return spec;
}

}  // namespace phial::model

// What the tensors of a decoder are called in Hugging Face folders and in GGUF files.
#pragma once

#include <string>

namespace phial::model {

// Without the layer's prefix and ".weight".
struct TensorNames {
  const char* embedding;
  const char* final_norm;
  const char* head;
  const char* layers;  // prefix before the layer's number
  const char *attention_norm, *qkv, *q, *k, *v, *output;
  const char *ffn_norm, *gate_up, *gate, *up, *down;
};

inline constexpr TensorNames kHuggingFaceNames = {.embedding = "model.embed_tokens",
                                                  .final_norm = "model.norm",
                                                  .head = "lm_head",
                                                  .layers = "model.layers.",
                                                  .attention_norm = "input_layernorm",
                                                  .qkv = "self_attn.qkv_proj",
                                                  .q = "self_attn.q_proj",
                                                  .k = "self_attn.k_proj",
                                                  .v = "self_attn.v_proj",
                                                  .output = "self_attn.o_proj",
                                                  .ffn_norm = "post_attention_layernorm",
                                                  .gate_up = "mlp.gate_up_proj",
                                                  .gate = "mlp.gate_proj",
                                                  .up = "mlp.up_proj",
                                                  .down = "mlp.down_proj"};

// Of Phi-3-small.
inline constexpr TensorNames kHuggingFaceSmallNames = [] {
  TensorNames names = kHuggingFaceNames;
  names.final_norm = "model.final_layernorm";
  names.qkv = "self_attn.query_key_value";
  names.output = "self_attn.dense";
  names.gate_up = "mlp.up_proj";
  return names;
}();

// GGUF has no name of its own for gate and up in one: "phi3" calls it ffn_up.
inline constexpr TensorNames kGgufNames = {.embedding = "token_embd",
                                           .final_norm = "output_norm",
                                           .head = "output",
                                           .layers = "blk.",
                                           .attention_norm = "attn_norm",
                                           .qkv = "attn_qkv",
                                           .q = "attn_q",
                                           .k = "attn_k",
                                           .v = "attn_v",
                                           .output = "attn_output",
                                           .ffn_norm = "ffn_norm",
                                           .gate_up = "ffn_up",
                                           .gate = "ffn_gate",
                                           .up = "ffn_up",
                                           .down = "ffn_down"};

inline const TensorNames& names_of(bool is_gguf, const std::string& architecture) {
  if (is_gguf) return kGgufNames;
  return architecture == "phi3small" ? kHuggingFaceSmallNames : kHuggingFaceNames;
}

}  // namespace phial::model

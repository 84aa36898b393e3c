// The blueprint: what a model is, as plain data. Inference, training and quantisation read the same one.
//
// Source: docs/sources.md; the Phi-3 technical report (arXiv 2404.14219), the published configurations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/spec/block_sparse.h"

namespace phial::spec {

// silu(gate) * up; gelu(gate) * up; g * sigmoid(1.702 g) * (u + 1), where g and u are gate and up within gegelu_limit.
enum class Activation { kSwiGlu, kGeGlu, kGeGelu };
enum class NormKind { kRms, kLayer };

// Rotary tables with two sets of divisors (LongRoPE, arXiv 2402.13753). Empty factors: plain rotary embedding.
struct LongRope {
  std::vector<float> short_factors, long_factors;  // [rope_dims / 2], or both empty
  int original_context = 0;                        // O: sequences longer than this use the long factors throughout
  float short_attention_factor = 1, long_attention_factor = 1;  // multiply cos and sin

  bool active() const { return !long_factors.empty(); }
};

// Which set of rotary factors a sequence uses. Decided once a sequence: all positions share it.
enum class RopeTable { kShort, kLong };

// How the table is chosen (docs/sources.md, LongRoPE).
enum class RopePolicy { kDynamic, kAlwaysLong, kAlwaysShort };

struct DecoderSpec {
  std::string architecture;  // "phi3", "phi3small", "llama", "mistral", "qwen2"
  std::string name;          // for people: "Phi-3-mini-4k-instruct", or the architecture
  int n_layers = 0;
  int hidden_dim = 0;
  int ffn_dim = 0;
  int n_heads = 0;
  int n_kv_heads = 0;
  int head_dim = 0;
  int vocab_size = 0;
  int context = 0;         // max_position_embeddings
  int sliding_window = 0;  // keys a query sees, itself included; 0: all. Already holds window_extra.
  float rope_theta = 10000;
  int rope_dims = 0;  // rotated leading dimensions of a head; head_dim for all of Phi-3
  LongRope long_rope;
  std::vector<float> rope_divisors;  // [rope_dims / 2]: what frequencies are divided by (linear, Llama 3); empty: 1
  float norm_eps = 1e-5F;
  NormKind norm = NormKind::kRms;
  Activation activation = Activation::kSwiGlu;
  float gegelu_limit = 0;              // 0: none. gate <= limit, |up| <= limit
  float embedding_multiplier = 1;      // muP (arXiv 2203.03466): embeddings are multiplied by it,
  float logit_divisor = 1;             // logits divided,
  float attention_scale = 0;           // and scores of attention multiplied; 0: 1 / sqrt(head_dim)
  BlockSparse block_sparse;            // which keys a query sees beside the causal rule
  std::vector<int32_t> masked_ids;     // ids that are never an answer: their logits are the lowest finite number
  bool tied_output = false;            // the output matrix is the embedding
  bool rotary_pairs_adjacent = false;  // GGUF "llama": q and k rows are stored permuted
  bool has_attention_bias = false;     // q, k, v carry a bias (Qwen2)
  bool has_output_bias = false;        // so does the attention's output matrix
  bool has_ffn_bias = false;           // so do the two of the feed-forward part
};

// A BERT-like encoder for sentence embeddings.
struct EncoderSpec {
  std::string name;
  int n_layers = 0, hidden_dim = 0, ffn_dim = 0, n_heads = 0, vocab_size = 0;
  int max_positions = 0;   // rows of the position table
  int first_position = 0;  // row of a sequence's first token (RoBERTa: padding id + 1)
  int token_types = 0;     // rows of the token type table; type 0 is used
  int max_tokens = 0;      // longest input, [CLS] and [SEP] included (sentence_bert_config), else max_positions
  float norm_eps = 1e-12F;
  enum class Pooling { kMean, kCls } pooling = Pooling::kMean;
};

// From GGUF metadata or config.json (Checkpoint::metadata). kUnsupported names an architecture that Phial does not run;
// kCorrupt a field that is missing or impossible. LongRoPE factors that stand in tensors (GGUF) are filled in by
// model/weights.
Result<DecoderSpec> decoder_from_gguf(const Json& metadata);
Result<DecoderSpec> decoder_from_config(const Json& config);
Result<EncoderSpec> encoder_from_config(const Json& config);
// What sentence-transformers keeps beside config.json; null: there is no such file.
struct EncoderSideFiles {
  Json sentence_bert = nullptr;     // sentence_bert_config.json: max_seq_length, in files before version 6
  Json tokenizer_config = nullptr;  // tokenizer_config.json: model_max_length, which holds where the former is silent
  Json pooling = nullptr;           // 1_Pooling/config.json
};
Result<EncoderSpec> encoder_from_configs(const Json& config, const EncoderSideFiles& beside);

// What scores of attention are multiplied by.
float attention_scale(const DecoderSpec& spec);

// In words what is wrong: "phi3: 32 heads cannot share 5 key-value heads evenly".
Status validate(const DecoderSpec& spec);
Status validate(const EncoderSpec& spec);

}  // namespace phial::spec

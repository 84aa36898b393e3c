// The decoder of a spec as torch computes it, for training: the same arithmetic as model/decoder, with gradients.
//
// Shapes: B rows of T tokens, packed documents (train/batch.h); D width, V vocabulary. With kBf16 the matrix products
// and attention are computed in bfloat16; weights, the residual stream, norms, rotary angles and the loss stay f32.
// Weights and what is differentiated are on the device of the options; batches are on the CPU, and so is what is not
// differentiable, but for sums of a loss.
// Source: Phi-3 technical report (arXiv 2404.14219), section 2; docs/sources.md. Threads: one caller.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "phial/spec/rope.h"
#include "phial/spec/spec.h"
#include "phial/train/batch.h"
#include "phial/train/block_sparse_attention.h"
#include "phial/train/cross_entropy.h"
#include "phial/train/lora.h"
#include "phial/train/packed_attention.h"
#include "phial/train/parameters.h"
#include "phial/train/torch.h"
#include "phial/train/vision_network.h"

namespace phial::train {

enum class Compute { kF32, kBf16 };

struct NetworkOptions {
  Compute compute = Compute::kF32;
  bool recompute_layers = false;  // activation checkpointing: a layer's inside is computed again for its gradients
  at::Device device = at::kCPU;   // train/device.h
};

class Network {
 public:
  // Promise: `parameters` are those of spec::decoder_tensors(spec), `adapter` is one for them (train/lora.h) or empty.
  // With an adapter the parameters themselves get no gradients. `vision`: not null for a network that sees, whose
  // parameters include those of spec::vision_tensors(*vision); parameters whose rate is 0 get no gradients. On another
  // device than the CPU parameters are the network's own copies.
  Network(spec::DecoderSpec spec, std::vector<Parameter> parameters, NetworkOptions options = {},
          std::vector<Parameter> adapter = {}, LoraOptions lora = {}, const spec::VisionSpec* vision = nullptr);

  const spec::DecoderSpec& spec() const { return spec_; }
  const VisionNetwork* vision() const { return vision_ ? &*vision_ : nullptr; }  // null: it sees nothing
  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  // What training changes: the adapter if there is one, else all parameters that have a rate.
  std::vector<Parameter>& trained() { return trained_; }
  const LoraOptions& lora() const { return lora_; }
  const NetworkOptions& options() const { return options_; }
  const at::Device& device() const { return options_.device; }
  // What the output is multiplied with: the head, or the embedding. [V, D].
  const at::Tensor& head() const { return head_; }

  // [B, T, D] behind the last norm. If `outputs` is given it gets every layer's output and what is returned.
  at::Tensor hidden(const Batch& batch, std::vector<at::Tensor>* outputs = nullptr) const;
  // [B, T, V] in f32, all at once: for tests and small models.
  at::Tensor logits(const Batch& batch) const;
  CrossEntropy loss(const Batch& batch, double z_loss = 0) const;
  // [B, T], f32: of each target, 0 where it does not count; not differentiable.
  at::Tensor target_log_probabilities(const Batch& batch) const {
    return target_log_probabilities(batch, hidden(batch));
  }
  // The same of what hidden() returned.
  at::Tensor target_log_probabilities(const Batch& batch, const at::Tensor& hidden) const;
  // [B, T]: whether a target that counts is the likeliest token.
  at::Tensor targets_are_best(const Batch& batch, const at::Tensor& hidden) const;
  // [B, T], f32: KL(this || other), in nats, of what both make of the token that each target is, 0 where it does not
  // count; `hidden` is this one's, its rows in any shape.
  at::Tensor divergences(const Batch& batch, const at::Tensor& hidden, const Network& other) const;
  // How what hidden() returns becomes probabilities.
  CrossEntropyOptions output_options() const;

 private:
  struct Linear {
    at::Tensor weight, bias;  // bias undefined: none
    at::Tensor a, b;          // of the adapter; undefined: none
  };
  struct Layer {
    Linear attention_norm, ffn_norm;
    Linear qkv, query, key, value, output;  // qkv, or the three
    Linear gate_up, gate, up, down;         // gate_up, or the two
  };
  // What all layers of a pass share.
  struct Pass {
    at::Tensor cos, sin;                            // [B, 1, T, rope_dims / 2]
    at::Tensor mask;                                // train/attention_mask.h
    std::shared_ptr<const BlockSparsePlan> sparse;  // of block-sparse layers; null: they see all, as dense ones do
    std::shared_ptr<const BlockSparsePlan> dense;   // of dense layers; null: by libtorch, with the mask if there is one
    std::optional<PackedDocuments> documents;       // dense layers on CUDA see these, instead of by a mask
    int64_t rows = 0, tokens = 0;
  };

  // cos and sin of every position of the batch, as spec/rope has them.
  std::pair<at::Tensor, at::Tensor> rotary_tensors(const Batch& batch) const;
  at::Tensor embedded(const Batch& batch) const;
  at::Tensor as_logits(const at::Tensor& rows) const;
  Linear take(const std::string& name) const;
  Pass pass_of(const Batch& batch) const;
  std::shared_ptr<const BlockSparsePlan> dense_plan(const Batch& batch) const;
  at::Tensor multiply(const at::Tensor& x, const Linear& linear) const;
  // In `type`, or for a norm of layers in f32.
  at::Tensor normalise(const at::Tensor& x, const Linear& norm, at::ScalarType type) const;
  std::vector<at::Tensor> queries_keys_values(const at::Tensor& x, const Layer& layer, const Pass& pass) const;
  at::Tensor attend(const at::Tensor& x, const Layer& layer, const Pass& pass, bool is_sparse) const;
  at::Tensor feed_forward(const at::Tensor& x, const Layer& layer) const;
  at::Tensor layer(const at::Tensor& x, size_t index, const Pass& pass) const;

  spec::DecoderSpec spec_;
  std::vector<Parameter> parameters_, adapter_, trained_;
  NetworkOptions options_;
  LoraOptions lora_;
  at::ScalarType compute_;
  at::Tensor embedding_, head_;
  std::optional<VisionNetwork> vision_;
  Linear final_norm_;
  std::vector<Layer> layers_;
  struct RotaryTensors {
    at::Tensor cos, sin;  // [positions, rope_dims / 2]
  };
  mutable std::map<spec::RopeTable, RotaryTensors> rotary_;  // as far as they were needed yet
};

}  // namespace phial::train

// Maximal update parametrisation (muP) for Adam: what of a decoder's training changes with its width, so that the
// learning rate found on a narrow model serves a wide one of the same depth.
//
// m is how many times wider a tensor's input is than in the base model.
//
//   tensor                  init           rate     weight decay   forwards
//   embedding               sigma          1        1              times embedding_multiplier
//   hidden matrix           sigma/sqrt(m)  1/m      m              -
//   norm gains, biases      1 and 0        1        0              -
//   output matrix           sigma          1        1              logits divided by m
//   scores of attention                                            times sqrt(head_dim of the base) / head_dim
//
// Rates multiply the learning rate, decays the weight decay that the rate multiplies in turn: their product does not
// change with the width. An output matrix that is the embedding is held to the embedding's rules. Depth does not
// transfer. Source: Tensor Programs V (arXiv 2203.03466), table 8; docs/sources.md.
#pragma once

#include <optional>

#include "phial/spec/spec.h"
#include "phial/spec/tensors.h"

namespace phial::spec {

// The widths of the narrow model that learning rates are tuned on. No heads: as many as hidden_dim has in proportion,
// whether that is a whole number or not.
struct MupBase {
  int hidden_dim = 0, ffn_dim = 0, n_heads = 0, head_dim = 0;
};

struct InitRule {
  double sigma = 0.02;      // standard deviation of the base model's matrices
  bool by_depth = true;     // what adds to the residual stream begins smaller by sqrt(2 layers)
  bool zero_head = false;   // an output matrix of its own begins at zero
  bool zero_query = false;  // so do the queries, where they have a matrix of their own
};

struct TensorRule {
  double init_std = 0;  // gains begin at 1, whatever this says
  double rate = 1;      // multiplies the learning rate
  double decay = 0;     // multiplies the weight decay
};

// Without a base: the standard parametrisation, in which nothing depends on the width.
TensorRule tensor_rule(const DecoderSpec& spec, const std::optional<MupBase>& base, const InitRule& init,
                       TensorRole role);

// `spec` with the divisor of logits and the scale of attention that the base asks for. `attention_constant`: c in
// c / head_dim; 0: sqrt(base.head_dim), which leaves the base model's own scale as it was.
DecoderSpec with_mup(DecoderSpec spec, const MupBase& base, double attention_constant = 0);

}  // namespace phial::spec

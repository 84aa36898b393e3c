// Phi-3-vision's eye as torch computes it, for training: the same arithmetic as model/clip, with gradients.
//
// Shapes: S pixels a tile's side, G patches a side, C the encoder's width, D the decoder's. With bf16 the matrix
// products and attention are computed in it; patches' pixels, the residual stream and norms stay f32.
// Source: CLIP (arXiv 2103.00020) and the published code of Phi-3-vision, docs/sources.md. Threads: one caller.
#pragma once

#include <string>
#include <vector>

#include "phial/spec/vision.h"
#include "phial/train/batch.h"
#include "phial/train/parameters.h"
#include "phial/train/torch.h"

namespace phial::train {

class VisionNetwork {
 public:
  // Promise: among `parameters` are those of spec::vision_tensors(spec). `recompute_layers`: activation checkpointing.
  VisionNetwork(const spec::VisionSpec& spec, const std::vector<Parameter>& parameters, at::ScalarType compute,
                bool recompute_layers);

  const spec::VisionSpec& spec() const { return spec_; }

  // tiles [n, 3, S, S] -> [n, G * G, C].
  at::Tensor features(const at::Tensor& tiles) const;
  // The rows of all pictures, one picture's after another's: [N, D]. Promise: there is one.
  at::Tensor rows(const std::vector<BatchPicture>& pictures) const;

 private:
  struct Linear {
    at::Tensor weight, bias;
  };
  struct Layer {
    Linear attention_norm, ffn_norm;
    Linear query, key, value, output, up, down;
  };

  at::Tensor multiply(const at::Tensor& x, const Linear& linear) const;
  at::Tensor normalise(const at::Tensor& x, const Linear& norm) const;
  at::Tensor attend(const at::Tensor& x, const Layer& layer) const;
  at::Tensor layer(const at::Tensor& x, const Layer& layer) const;
  at::Tensor embed(const at::Tensor& tiles) const;
  at::Tensor with_row_ends(const at::Tensor& grid) const;

  spec::VisionSpec spec_;
  at::ScalarType compute_;
  bool recompute_layers_;
  at::Tensor patch_, class_token_, positions_, row_end_, between_;
  Linear embedding_norm_, project_in_, project_out_;
  std::vector<Layer> layers_;
};

}  // namespace phial::train

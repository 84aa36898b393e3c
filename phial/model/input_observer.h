// Sees the inputs of a decoder's matrices while it runs: what calibration of a quantizer is made of. See
// Decoder::observe.
#pragma once

#include <cstddef>

namespace phial::model {

// Matrices that share their inputs: q, k and v; the attention's output; gate and up; down; the output matrix.
enum class InputsOf { kQkv, kAttentionOutput, kGateUp, kDown, kHead };

class InputObserver {
 public:
  virtual ~InputObserver() = default;

  // rows: [tokens, columns], `stride` apart, as the matrices of `layer` get them; they change after the call. `layer`
  // of kHead is the number of layers. Called by one thread at a time, in the order of the network.
  virtual void see(int layer, InputsOf which, const float* rows, size_t stride, size_t tokens, size_t columns) = 0;
};

}  // namespace phial::model

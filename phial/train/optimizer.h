// AdamW over a network's parameters, each with the rate and decay that its class asks for (spec/mup), and clipping.
//
// Source: AdamW (arXiv 1711.05101): decay is decoupled, p -= rate * decay * p. Moments are f32. Threads: one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "phial/spec/mup.h"
#include "phial/spec/spec.h"
#include "phial/train/parameters.h"
#include "phial/train/torch.h"
#include "phial/train/world.h"

namespace phial::train {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double weight_decay = 0.1;  // of matrices and the embedding; not of gains and biases
  double clip = 1.0;          // largest norm of all gradients together; 0: any
};

class AdamW {
 public:
  struct State {
    at::Tensor mean, square;  // first and second moments, [owned values]
  };

  // Keeps a handle to every parameter. `base`: of muP, or none. `owned`: of each parameter, the values in a row that it
  // steps; empty: all of all.
  AdamW(const std::vector<Parameter>& parameters, const spec::DecoderSpec& spec,
        const std::optional<spec::MupBase>& base, const AdamWOptions& options, std::vector<RankShare> owned = {});

  // The sum of squares of all gradients of owned values together, in double.
  double gradient_squares() const;
  // Its root: their norm.
  double gradient_norm() const;
  // One step with this learning rate; gradients of norm `norm` are scaled down to `clip`. They stay as they are scaled.
  // Values without a gradient are not touched, nor are their moments.
  void step(double rate, double norm);
  void clear_gradients();

  int64_t steps() const { return steps_; }
  // For checkpoints, in the order of the parameters.
  std::vector<State>& states() { return states_; }
  const std::vector<RankShare>& owned() const { return owned_; }
  bool owns_all() const { return owns_all_; }
  void set_steps(int64_t steps) { steps_ = steps; }

 private:
  struct Group {
    spec::TensorRule rule;
    std::vector<size_t> members;
  };

  at::Tensor owned_of(const at::Tensor& whole, size_t parameter) const;

  AdamWOptions options_;
  std::vector<at::Tensor> values_;
  std::vector<RankShare> owned_;
  bool owns_all_ = true;
  std::vector<State> states_;
  std::vector<Group> groups_;
  int64_t steps_ = 0;
};

}  // namespace phial::train

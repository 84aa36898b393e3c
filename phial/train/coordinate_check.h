// Whether activations keep their size as a model grows wider, as muP says they do: small decoders of several widths are
// trained for some steps on the same random tokens, and what each layer puts out is measured. Narrower ones than 64
// differ from each other by chance.
//
// Source: Tensor Programs V (arXiv 2203.03466), appendix D.1. Threads: one run a process. No header of libtorch is
// needed to call it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/result.h"

namespace phial::train {

struct CoordinateCheckOptions {
  std::vector<int> widths = {64, 128, 256};  // hidden_dim; heads of 16, feed-forward 4 times as wide
  bool mup = true;                           // with the narrowest as the base
  bool small = false;  // Phi-3-small's block instead of Phi-3-mini's; the output matrix is its own in both, because
                       // logits of an embedding that serves as one begin large and shrink with the width
  int layers = 2, steps = 4;
  int seeds = 2;  // measured with each, and averaged
  double lr = 5e-3;
  uint64_t seed = 0;
};

// The mean size of what one place puts out, width by width, after `step` steps.
struct Coordinate {
  std::string place;  // "layer 0", ..., "norm"; "logits'", the change of logits since the beginning: what they are then
                      // shrinks with the width under muP, and means nothing
  int step = 0;
  std::vector<double> sizes;  // of each width: mean of absolute values
  double slope = 0;           // of log(size) against log(width), least squares
};

struct CoordinateCheck {
  std::vector<Coordinate> coordinates;
  double largest_slope = 0;   // after two steps or more: how fast anything grows
  double smallest_slope = 0;  // and shrinks
};

// Errors: kInvalid for fewer than two widths, equal ones, or one that is no multiple of a head or above 65536;
// kOutOfRange if a size is zero or not finite, so that it has no slope.
Result<CoordinateCheck> check_coordinates(const CoordinateCheckOptions& options);

// Within this, a slope counts as flat.
inline constexpr double kFlatSlope = 0.1;

}  // namespace phial::train

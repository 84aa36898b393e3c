#include "phial/quantize/report.h"

namespace phial::quantize {

uint64_t Report::weights() const {
  uint64_t sum = 0;
  for (const TensorReport& tensor : tensors) sum += tensor.weights;
  return sum;
}

double Report::bits_per_weight() const {
  uint64_t bytes = 0;
  for (const TensorReport& tensor : tensors) bytes += tensor.bytes;
  return 8.0 * static_cast<double>(bytes) / static_cast<double>(weights());
}

Deviation Report::deviation() const {
  Deviation sum;
  for (const TensorReport& tensor : tensors) sum.add(tensor.deviation);
  return sum;
}

}  // namespace phial::quantize

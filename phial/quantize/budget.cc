#include "phial/quantize/budget.h"

#include <optional>
#include <queue>
#include <tuple>

#include "phial/base/check.h"

namespace phial::quantize {
namespace {

// From what a matrix has to a larger offer. The most loss a byte comes first, of equal ones the first matrix.
struct Step {
  double gain = 0;  // loss a byte
  size_t matrix = 0, offer = 0;
  bool operator<(const Step& other) const { return std::tie(gain, other.matrix) < std::tie(other.gain, matrix); }
};

// The larger offer within `most_more` bytes that spends them best; none if none loses less.
std::optional<Step> best_step(std::span<const Offer> offers, size_t matrix, size_t from, uint64_t most_more) {
  std::optional<Step> best;
  for (size_t to = from + 1; to < offers.size(); ++to) {
    const uint64_t more = offers[to].bytes - offers[from].bytes;
    if (more > most_more) break;
    const double gain = (offers[from].loss - offers[to].loss) / static_cast<double>(more);
    if (gain > (best ? best->gain : 0)) best = Step{gain, matrix, to};
  }
  return best;
}

}  // namespace

uint64_t least_bytes(std::span<const std::vector<Offer>> matrices) {
  uint64_t sum = 0;
  for (const auto& offers : matrices) sum += offers.front().bytes;
  return sum;
}

Spending spend(std::span<const std::vector<Offer>> matrices, uint64_t most_bytes) {
  Spending spending = {.taken = std::vector<size_t>(matrices.size(), 0), .bytes = least_bytes(matrices)};
  PHIAL_CHECK(spending.bytes <= most_bytes);
  std::priority_queue<Step> steps;
  const auto push = [&](size_t matrix) {
    const auto step = best_step(matrices[matrix], matrix, spending.taken[matrix], most_bytes - spending.bytes);
    if (step) steps.push(*step);
  };
  for (size_t i = 0; i < matrices.size(); ++i) push(i);
  while (!steps.empty()) {
    const Step step = steps.top();
    steps.pop();
    size_t& taken = spending.taken[step.matrix];
    const uint64_t more = matrices[step.matrix][step.offer].bytes - matrices[step.matrix][taken].bytes;
    if (more <= most_bytes - spending.bytes) {
      taken = step.offer;
      spending.bytes += more;
    }
    push(step.matrix);  // the next, or what still fits
  }
  return spending;
}

}  // namespace phial::quantize

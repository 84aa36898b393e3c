#include "phial/rag/word_scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace phial::rag {
namespace {

constexpr double kSaturation = 1.2;  // BM25's k1 and b, as everywhere
constexpr double kLengthShare = 0.75;
constexpr double kNeighbourShare = 0.5;

// Each row's value and its share of the neighbours' within the same document.
std::vector<double> with_neighbours(const std::vector<double>& own, const VectorIndex& index) {
  std::vector<double> sums = own;
  for (size_t row = 0; row + 1 < own.size(); ++row) {
    if (index.content(row) != index.content(row + 1)) continue;
    sums[row] += kNeighbourShare * own[row + 1];
    sums[row + 1] += kNeighbourShare * own[row];
  }
  return sums;
}

}  // namespace

Result<std::vector<double>> word_scores(Store& store, const VectorIndex& index, std::span<const std::string> terms) {
  const size_t rows = index.size();
  std::vector<double> scores(rows);
  std::vector<double> own(rows);
  for (size_t row = 0; row < rows; ++row) own[row] = static_cast<double>(index.bytes(row));
  std::vector<double> penalties = with_neighbours(own, index);
  const double mean = std::reduce(penalties.begin(), penalties.end()) / static_cast<double>(rows);
  for (double& length : penalties) length = kSaturation * (1 - kLengthShare + kLengthShare * length / mean);

  for (const std::string& term : terms) {
    std::fill(own.begin(), own.end(), 0.0);
    PHIAL_TRY(const auto places, store.find_word(term));
    for (const Store::WordPlace& place : places) {
      // Another process may have added it since the index was read.
      if (const auto row = index.row_of(place.passage)) own[*row] = static_cast<double>(place.times);
    }
    const std::vector<double> counts = with_neighbours(own, index);
    const auto passages =
        static_cast<double>(std::count_if(counts.begin(), counts.end(), [](double count) { return count > 0; }));
    const double weight = std::log(1 + (static_cast<double>(rows) - passages + 0.5) / (passages + 0.5));
    for (size_t row = 0; row < rows; ++row) {
      if (counts[row] > 0) scores[row] += weight * counts[row] * (kSaturation + 1) / (counts[row] + penalties[row]);
    }
  }
  return scores;
}

}  // namespace phial::rag

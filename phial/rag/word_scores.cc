#include "phial/rag/word_scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace phial::rag {
namespace {

constexpr double kSaturation = 1.2;  // BM25's k1 and b, as everywhere
constexpr double kLengthShare = 0.75;
// Of the next passage on either side, and of the one behind it.
constexpr double kNeighbourShares[] = {0.5, 0.25};

// Each row's value and its share of the neighbours' within the same document.
std::vector<double> with_neighbours(const std::vector<double>& own, const VectorIndex& index) {
  std::vector<double> sums = own;
  for (size_t row = 0; row < own.size(); ++row) {
    size_t next = row + 1;
    for (const double share : kNeighbourShares) {
      if (next == own.size() || index.content(next) != index.content(row)) break;
      sums[row] += share * own[next];
      sums[next] += share * own[row];
      ++next;
    }
  }
  return sums;
}

}  // namespace

Result<std::vector<double>> word_scores(Store& store, const VectorIndex& index, std::span<const QueryTerm> terms) {
  const size_t rows = index.size();
  std::vector<double> scores(rows);
  std::vector<double> own(rows);
  for (size_t row = 0; row < rows; ++row) own[row] = static_cast<double>(index.bytes(row));
  std::vector<double> penalties = with_neighbours(own, index);
  const double mean = std::reduce(penalties.begin(), penalties.end()) / static_cast<double>(rows);
  for (double& length : penalties) length = kSaturation * (1 - kLengthShare + kLengthShare * length / mean);

  for (const QueryTerm& term : terms) {
    std::fill(own.begin(), own.end(), 0.0);
    PHIAL_TRY(const auto places, store.find_word(term.text));
    for (const Store::WordPlace& place : places) {
      // Another process may have added it since the index was read.
      if (const auto row = index.row_of(place.passage)) own[*row] = static_cast<double>(place.times);
    }
    const std::vector<double> counts = with_neighbours(own, index);
    const auto passages =
        static_cast<double>(std::count_if(counts.begin(), counts.end(), [](double count) { return count > 0; }));
    const double weight = term.share * std::log(1 + (static_cast<double>(rows) - passages + 0.5) / (passages + 0.5));
    for (size_t row = 0; row < rows; ++row) {
      if (counts[row] > 0) scores[row] += weight * counts[row] * (kSaturation + 1) / (counts[row] + penalties[row]);
    }
  }
  return scores;
}

}  // namespace phial::rag

#include "phial/train/batch.h"

#include "phial/base/check.h"

namespace phial::train {

std::vector<DocumentInBatch> documents_in(const Batch& batch) {
  const at::Tensor all_positions = batch.positions.contiguous(), all_documents = batch.documents.contiguous();
  const auto positions = all_positions.accessor<int64_t, 2>(), numbers = all_documents.accessor<int64_t, 2>();
  std::vector<DocumentInBatch> found;
  for (int64_t row = 0; row < positions.size(0); ++row) {
    for (int64_t t = 0; t < positions.size(1); ++t) {
      const int64_t number = numbers[row][t];
      if (t == 0 || number != numbers[row][t - 1] || positions[row][t] != positions[row][t - 1] + 1) {
        PHIAL_CHECK(number < 0 || positions[row][t] == 0);
        found.push_back({.row = row, .first = t, .number = number});
      }
      ++found.back().tokens;
    }
  }
  return found;
}

}  // namespace phial::train

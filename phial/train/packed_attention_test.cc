#include "phial/train/packed_attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phial::train {
namespace {

using testing::ElementsAre;

// Two rows: documents of 3 and 2 tokens, then of 1 and 2 with two tokens that fill the row up.
Batch two_rows() {
  Batch batch;
  batch.positions = at::tensor({0, 1, 2, 0, 1, 0, 0, 1, 0, 0}, at::kLong).view({2, 5});
  batch.documents = at::tensor({0, 0, 0, 1, 1, 0, 1, 1, -1, -1}, at::kLong).view({2, 5});
  return batch;
}

TEST(PackedDocuments, BeginWhereTheBatchHasThemAndTheLastEndsIt) {
  const PackedDocuments found = packed_documents(two_rows(), at::kCPU);
  const auto* const ends = found.ends.const_data_ptr<int32_t>();
  EXPECT_THAT(std::vector<int32_t>(ends, ends + found.ends.numel()), ElementsAre(0, 3, 5, 6, 8, 9, 10));
  EXPECT_EQ(found.longest, 3);
}

TEST(PackedDocuments, ARowIsNotPartOfTheNext) {
  Batch batch;
  batch.positions = at::arange(4, at::kLong).repeat({2, 1});
  batch.documents = at::zeros({2, 4}, at::kLong);
  const PackedDocuments found = packed_documents(batch, at::kCPU);
  EXPECT_TRUE(at::equal(found.ends, at::tensor({0, 4, 8}, at::kInt)));
  EXPECT_EQ(found.longest, 4);
}

}  // namespace
}  // namespace phial::train

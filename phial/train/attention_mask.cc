#include "phial/train/attention_mask.h"

namespace phial::train {

using at::indexing::None;
using at::indexing::Slice;

at::Tensor attention_mask(const spec::DecoderSpec& spec, const Batch& batch) {
  const bool has_window = spec.sliding_window > 0 && batch.positions.max().item<int64_t>() >= spec.sliding_window;
  if (batch.one_document_a_row && !has_window) return {};

  const auto of_queries = [](const at::Tensor& rows) { return rows.index({Slice(), Slice(), None}); };
  const auto of_keys = [](const at::Tensor& rows) { return rows.index({Slice(), None, Slice()}); };
  const at::Tensor positions = batch.positions.to(at::kInt);  // [B, T, T] of them below: half the memory
  const at::Tensor distance = of_queries(positions) - of_keys(positions);
  at::Tensor allowed = (distance >= 0) & (of_queries(batch.documents) == of_keys(batch.documents));
  if (has_window) allowed = allowed & (distance < spec.sliding_window);
  return allowed.unsqueeze(1);
}

}  // namespace phial::train

#include "phial/train/attention_mask.h"

#include "phial/train/device.h"

namespace phial::train {

using at::indexing::None;
using at::indexing::Slice;

bool has_window(const spec::DecoderSpec& spec, const Batch& batch) {
  return spec.sliding_window > 0 && batch.positions.max().item<int64_t>() >= spec.sliding_window;
}

at::Tensor attention_mask(const spec::DecoderSpec& spec, const Batch& batch, const at::Device& device) {
  const bool is_narrow = has_window(spec, batch);
  if (batch.one_document_a_row && !is_narrow) return {};

  const auto of_queries = [](const at::Tensor& rows) { return rows.index({Slice(), Slice(), None}); };
  const auto of_keys = [](const at::Tensor& rows) { return rows.index({Slice(), None, Slice()}); };
  const at::Tensor positions = moved(batch.positions.to(at::kInt), device);  // [B, T, T] of them: half the memory
  const at::Tensor documents = moved(batch.documents, device);
  const at::Tensor distance = of_queries(positions) - of_keys(positions);
  at::Tensor allowed = (distance >= 0) & (of_queries(documents) == of_keys(documents));
  if (is_narrow) allowed = allowed & (distance < spec.sliding_window);
  return allowed.unsqueeze(1);
}

}  // namespace phial::train

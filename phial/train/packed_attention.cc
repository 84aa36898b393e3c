#include "phial/train/packed_attention.h"

#include <ATen/ops/_flash_attention_forward.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "phial/train/device.h"

namespace phial::train {

bool can_attend_packed(const spec::DecoderSpec& spec, const at::Device& device, at::ScalarType compute) {
  return device.is_cuda() && compute == at::kBFloat16 && spec.head_dim % 8 == 0 && spec.head_dim <= 256;
}

PackedDocuments packed_documents(const Batch& batch, const at::Device& device) {
  const int64_t tokens = batch.documents.size(1);
  PackedDocuments packed;
  std::vector<int32_t> ends;
  for (const DocumentInBatch& document : documents_in(batch)) {
    ends.push_back(static_cast<int32_t>(document.row * tokens + document.first));
    packed.longest = std::max(packed.longest, document.tokens);
  }
  ends.push_back(static_cast<int32_t>(batch.documents.numel()));
  packed.ends = moved(at::tensor(at::ArrayRef<int32_t>(ends), at::kInt), device);
  return packed;
}

at::Tensor packed_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                            const PackedDocuments& documents, int64_t window, double scale) {
  const auto as_one_row = [](const at::Tensor& heads) { return heads.transpose(1, 2).flatten(0, 1); };  // [B T, H, E]
  const auto before = window > 0 ? std::optional<int64_t>(window - 1) : std::nullopt;
  const auto after = window > 0 ? std::optional<int64_t>(0) : std::nullopt;
  const at::Tensor mixed = std::get<0>(at::_flash_attention_forward(
      as_one_row(queries), as_one_row(keys), as_one_row(values), documents.ends, documents.ends, documents.longest,
      documents.longest, /*dropout_p=*/0.0, /*is_causal=*/true, /*return_debug_mask=*/false, std::optional(scale),
      before, after));
  return mixed.view({queries.size(0), queries.size(2), queries.size(1), queries.size(3)}).transpose(1, 2);
}

}  // namespace phial::train

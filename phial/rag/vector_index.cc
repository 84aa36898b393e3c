#include "phial/rag/vector_index.h"

#include <algorithm>
#include <cstring>

#include "phial/kernels/kernels.h"

namespace phial::rag {

Status VectorIndex::refresh(Store& store, const std::stop_token& cancel) {
  PHIAL_TRY(const int64_t version, store.data_version());
  if (version == version_) return ok();
  dim_ = static_cast<size_t>(store.embedder().dim);
  PHIAL_TRY(const auto present, store.content_ids());
  drop_missing(present);
  const int64_t newest = contents_.empty() ? 0 : contents_.back();
  PHIAL_CHECKED(store.visit_vectors(newest, [&](const Store::DocumentVectors& document) -> Status {
    if (cancel.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
    const size_t old_size = rows_.size();
    rows_.resize(old_size + document.passages.size() * dim_);
    if (!document.rows.empty()) std::memcpy(rows_.data() + old_size, document.rows.data(), document.rows.size());
    passages_.insert(passages_.end(), document.passages.begin(), document.passages.end());
    bytes_.insert(bytes_.end(), document.bytes.begin(), document.bytes.end());
    contents_.insert(contents_.end(), document.passages.size(), document.content_id);
    return ok();
  }));
  version_ = version;
  return ok();
}

void VectorIndex::drop_missing(const std::vector<int64_t>& present) {
  size_t kept = 0;
  for (size_t row = 0; row < passages_.size(); ++row) {
    if (!std::binary_search(present.begin(), present.end(), contents_[row])) continue;
    if (kept != row) {
      std::copy_n(rows_.begin() + static_cast<ptrdiff_t>(row * dim_), dim_,
                  rows_.begin() + static_cast<ptrdiff_t>(kept * dim_));
      passages_[kept] = passages_[row];
      contents_[kept] = contents_[row];
      bytes_[kept] = bytes_[row];
    }
    ++kept;
  }
  rows_.resize(kept * dim_);
  passages_.resize(kept);
  contents_.resize(kept);
  bytes_.resize(kept);
}

// Ids grow, and a document's passages are written together.
std::optional<size_t> VectorIndex::row_of(int64_t passage) const {
  const auto found = std::lower_bound(passages_.begin(), passages_.end(), passage);
  if (found == passages_.end() || *found != passage) return std::nullopt;
  return static_cast<size_t>(found - passages_.begin());
}

std::vector<float> VectorIndex::cosines(std::span<const float> query) const {
  std::vector<float> scores(size());
  if (scores.empty() || query.size() != dim_) return scores;
  kernels::active().scores_f16(query.data(), dim_, 1, {rows_.data(), dim_, size()}, dim_, 1.0F, scores.data(), size());
  return scores;
}

}  // namespace phial::rag

// All vectors of a library in memory as float16, scanned exactly, with the lengths and order of the passages.
//
// A hundred thousand passages of 384 dimensions are 77 MB, and a scan reads them once. refresh() takes over only what
// changed since the last one.
// Threads: refresh() alone; cosines() from any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "phial/base/result.h"
#include "phial/rag/store.h"

namespace phial::rag {

class VectorIndex {
 public:
  // kCancelled between documents; what was read stays, and the next call goes on behind it.
  Status refresh(Store& store, const std::stop_token& cancel = {});

  size_t size() const { return passages_.size(); }
  int64_t passage(size_t row) const { return passages_[row]; }
  int64_t content(size_t row) const { return contents_[row]; }  // rows of one document lie together, in its order
  uint32_t bytes(size_t row) const { return bytes_[row]; }      // of the passage's text
  std::optional<size_t> row_of(int64_t passage) const;

  // The cosine of `query` ([dim], of length 1) with each row.
  std::vector<float> cosines(std::span<const float> query) const;

 private:
  void drop_missing(const std::vector<int64_t>& present);

  int64_t version_ = -1;
  size_t dim_ = 0;
  std::vector<uint16_t> rows_;     // [size(), dim]
  std::vector<int64_t> passages_;  // [size()], ascending
  std::vector<int64_t> contents_;  // [size()], ascending
  std::vector<uint32_t> bytes_;    // [size()]
};

}  // namespace phial::rag

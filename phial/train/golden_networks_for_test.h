// Networks of the models under testdata/golden, and rows of tokens for them. For tests.
#pragma once

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <span>
#include <string>

#include "phial/model/golden_files.h"
#include "phial/train/network.h"
#include "phial/train/start_model.h"

namespace phial::train {

// One document from position 0, without targets.
inline Batch one_row(std::span<const int32_t> ids, spec::RopeTable table = spec::RopeTable::kShort) {
  const at::Tensor row = at::tensor(at::ArrayRef<int32_t>(ids.data(), ids.size())).to(at::kLong).unsqueeze(0);
  return {.ids = row,
          .targets = at::full_like(row, kIgnored),
          .positions = at::arange(row.size(1), at::kLong).unsqueeze(0),
          .documents = at::zeros_like(row),
          .one_document_a_row = true,
          .table = table};
}

inline Network load_network(const std::filesystem::path& folder, NetworkOptions options = {}) {
  // Else MKL takes fewer threads when the machine is busy, and sums are cut elsewhere.
  at::set_num_threads(1);
  const auto checkpoint = model::open_model(folder);
  const auto spec = spec::decoder_from_config(checkpoint->metadata());
  EXPECT_TRUE(spec) << (spec ? "" : spec.error().text());
  const auto start = open_start_model("", folder.string());
  EXPECT_TRUE(start) << (start ? "" : start.error().text());
  auto parameters = load_parameters(*start);
  EXPECT_TRUE(parameters) << (parameters ? "" : parameters.error().text());
  return {*spec, *std::move(parameters), options, {}, {}, start->vision ? &*start->vision : nullptr};
}

}  // namespace phial::train

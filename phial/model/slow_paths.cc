#include "phial/model/slow_paths.h"

#include <cstdio>
#include <map>
#include <string>
#include <string_view>

namespace phial::model {
namespace {

// A layout that reads this much more than what is stored is a makeshift, not a layout made for the type (Q4_K in tiles
// takes 1.11 times its bytes, Q6_K widened to 8 bits 1.30 times).
constexpr double kMakeshiftFrom = 1.25;
// Worth telling a person who only wants an answer: a tenth more to read for every token.
constexpr double kTellFrom = 0.1;

// The matrices of one stored type that are read by a makeshift.
struct Group {
  uint64_t matrices = 0, stored_bytes = 0, read_bytes = 0;
  bool is_unpacked = false;
};

std::string count_text(uint64_t n) { return std::to_string(n) + (n == 1 ? " matrix is" : " matrices are"); }

SlowPath told(std::string_view type, const Group& group, uint64_t all_stored_bytes) {
  SlowPath path;
  path.what = count_text(group.matrices) + " stored as " + std::string(type);
  if (group.is_unpacked) {
    path.what +=
        " and decoded anew for every use, in exact precision and too large to unpack: --precision fast does not";
    path.matters = true;
    return path;
  }
  const auto stored = static_cast<double>(group.stored_bytes), read = static_cast<double>(group.read_bytes);
  char times[32];
  std::snprintf(times, sizeof times, "%.2f", read / stored);
  path.what +=
      std::string(", for which there is no kernel, and read as 8-bit numbers: ") + times + " times their bytes";
  path.matters = (read - stored) / static_cast<double>(all_stored_bytes) > kTellFrom;
  return path;
}

}  // namespace

std::vector<SlowPath> slow_paths(const DecoderTensors& tensors, Precision precision,
                                 const kernels::KernelSet& kernels) {
  std::vector<SlowPath> paths;
  if (std::string_view(kernels.name) == kernels::runnable().front()->name) {
    const bool has_better = kernels::runnable().size() > 1;
    paths.push_back({.what = has_better ? std::string("the scalar kernels are in use, as PHIAL_ISA says, and this "
                                                      "machine can run those of ") +
                                              kernels::runnable().back()->name
                                        : "the scalar kernels are in use: Phial has none for this processor",
                     .matters = true});
  }
  std::map<std::string_view, Group> groups;
  uint64_t all_stored_bytes = 0;
  for_each_matrix(tensors, [&](const StoredRows& rows) {
    const Layout layout = layout_for(tensors, precision, rows);
    const uint64_t stored = uint64_t{rows.rows} * rows.row_bytes;
    const uint64_t read = rows.rows * tile_row_bytes(layout, rows.cols) / kernels::kTileRows;
    all_stored_bytes += stored;
    const bool is_unpacked = layout == Layout::kStored;
    const bool is_widened =
        layout == Layout::kQ8 && static_cast<double>(read) >= kMakeshiftFrom * static_cast<double>(stored);
    if (!is_unpacked && !is_widened) return;
    Group& group = groups[tensor::info(rows.dtype).name];
    ++group.matrices;
    group.stored_bytes += stored;
    group.read_bytes += read;
    group.is_unpacked = is_unpacked;
  });
  for (const auto& [type, group] : groups) paths.push_back(told(type, group, all_stored_bytes));
  return paths;
}

}  // namespace phial::model

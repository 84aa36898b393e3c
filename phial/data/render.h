// Pictures with questions whose answers are known exactly: charts, tables, geometry, lines of text. Every answer can be
// read from the picture alone.
//
// A folder of PNG files and a JSONL of conversations (docs/formats.md). Questions, answers and layout depend on the
// options and on the fonts; which thread draws does not matter. Threads: the pool draws.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/data/part.h"

namespace phial::data {

// "bar_chart", "line_chart", ...
std::span<const std::string_view> picture_kinds();

inline constexpr int kLeastPictureSize = 96, kMostPictureSize = 4096;

struct RenderOptions {
  std::vector<std::string> kinds;  // of picture_kinds(), at least one; each as often, in the mean, as it is named
  uint64_t count = 0;
  uint64_t seed = 0;
  Part part = Part::kTrain;
  int questions = 1;                              // about a picture, at most: fewer where fewer can be asked
  int size = 336;                                 // pixels a side, from kLeastPictureSize to kMostPictureSize
  std::vector<std::filesystem::path> fonts = {};  // none: installed_fonts()
};

struct RenderReport {
  std::map<std::string, uint64_t> pictures;  // of each kind
};

// Writes `out`/pictures/000001.png and on, and `out`/conversations.jsonl. Nothing but the whole folder ever stands at
// `out`. Errors: kInvalid if `out` is there, for an unknown kind, and where nothing legible fits into the size with
// these fonts; those of Font; kIo, kCancelled.
Result<RenderReport> render(const std::filesystem::path& out, const RenderOptions& options, ThreadPool& pool,
                            const std::stop_token& stop, const std::function<void(uint64_t done)>& on_progress);

}  // namespace phial::data

#include "phial/generate/pictures.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "phial/formats/image_tiles.h"
#include "phial/spec/tile_grid.h"

namespace phial::generate {
namespace {

constexpr size_t kKept = 4;  // pictures that nobody may hold; one is up to 30 MB of rows in a Phi-3-vision

}  // namespace

Result<uint64_t> Pictures::bytes(const formats::Checkpoint* eye, const spec::DecoderSpec& spec,
                                 model::Precision precision, int threads) {
  if (eye == nullptr) return uint64_t{0};
  PHIAL_TRY(const spec::VisionSpec vision, model::ImageEncoder::read_spec(*eye, spec.hidden_dim));
  return model::ImageEncoder::bytes(*eye, vision, precision, threads);
}

Result<std::unique_ptr<Pictures>> Pictures::open(std::shared_ptr<const formats::Checkpoint> eye,
                                                 const spec::DecoderSpec& spec, model::Precision precision,
                                                 ThreadPool& pool) {
  if (eye == nullptr) return std::unique_ptr<Pictures>();
  PHIAL_TRY(const spec::VisionSpec vision, model::ImageEncoder::read_spec(*eye, spec.hidden_dim));
  PHIAL_TRY(auto encoder, model::ImageEncoder::load(std::move(eye), vision, precision, pool));
  return std::make_unique<Pictures>(std::move(encoder));
}

Result<std::vector<int>> Pictures::tokens(std::span<const Picture> pictures) const {
  std::vector<int> counts;
  for (const Picture& picture : pictures) {
    PHIAL_TRY(const auto grid, spec::tile_grid(encoder_->spec(), picture->width, picture->height));
    counts.push_back(spec::image_tokens(encoder_->spec(), grid));
  }
  return counts;
}

Result<std::shared_ptr<const SeenPicture>> Pictures::see(const Picture& picture, const std::stop_token& cancel) {
  auto known = std::ranges::find_if(known_, [&](const Known& one) { return one.picture.lock() == picture; });
  if (known == known_.end()) {
    const spec::VisionSpec& spec = encoder_->spec();
    PHIAL_TRY(const auto grid, spec::tile_grid(spec, picture->width, picture->height));
    formats::Image page = formats::make_page(*picture, grid.width, grid.height, spec.image_side);
    known = std::ranges::find_if(known_, [&](const Known& one) { return one.page == page; });
    if (known == known_.end()) {
      SeenPicture seen = {.first_id = next_id_, .width = static_cast<size_t>(spec.output_dim), .rows = {}};
      PHIAL_TRY(seen.rows, encoder_->encode(grid, page, cancel));
      const size_t count = seen.rows.size() / seen.width;
      if (next_id_ - static_cast<int64_t>(count) < std::numeric_limits<int32_t>::min()) {
        return Error{Code::kOutOfRange, "there are no ids left for another picture", "open the model anew"};
      }
      next_id_ -= static_cast<int32_t>(count);
      known_.push_front(
          {.page = std::move(page), .picture = {}, .seen = std::make_shared<const SeenPicture>(std::move(seen))});
      known = known_.begin();
    }
    known->picture = picture;
  }
  known_.splice(known_.begin(), known_, known);
  return known_.front().seen;
}

Result<PictureRows> Pictures::place(std::vector<int32_t>& ids, std::span<const Picture> pictures,
                                    const std::stop_token& cancel) {
  PHIAL_TRY(const std::vector<int> counts, tokens(pictures));
  std::vector<int> found(pictures.size());
  for (const int32_t id : ids) {
    if (id >= 0) continue;
    if (id < -static_cast<int64_t>(pictures.size())) {
      return Error{Code::kInvalid,
                   "token id " + std::to_string(id) + " stands for picture " + std::to_string(-int64_t{id}) + " of " +
                       std::to_string(pictures.size()),
                   "give as many pictures as the ids name"};
    }
    ++found[static_cast<size_t>(-(id + 1))];
  }
  std::vector<int32_t> next(pictures.size());
  PictureRows used;
  for (size_t k = 0; k < pictures.size(); ++k) {
    if (found[k] == 0) continue;
    if (found[k] != counts[k]) {
      return Error{Code::kInvalid,
                   "picture " + std::to_string(k + 1) + " has " + std::to_string(counts[k]) + " tokens, " +
                       std::to_string(found[k]) + " ids stand for it",
                   "give " + std::to_string(counts[k]) + " times -" + std::to_string(k + 1)};
    }
    PHIAL_TRY(used.emplace_back(), see(pictures[k], cancel));
    next[k] = used.back()->first_id;
  }
  for (int32_t& id : ids) {
    if (id < 0) id = next[static_cast<size_t>(-(id + 1))]--;
  }
  if (known_.size() > std::max(used.size(), kKept)) known_.resize(std::max(used.size(), kKept));
  return used;
}

std::vector<const float*> rows_at(std::span<const int32_t> ids, const PictureRows& pictures) {
  std::vector<const float*> out;
  if (std::ranges::none_of(ids, [](int32_t id) { return id < 0; })) return out;
  for (const int32_t id : ids) {
    const auto of = std::ranges::find_if(pictures, [&](const auto& seen) {
      const int64_t row = int64_t{seen->first_id} - id;
      return row >= 0 && static_cast<size_t>(row) * seen->width < seen->rows.size();
    });
    const bool is_row = id < 0 && of != pictures.end();
    out.push_back(is_row ? (*of)->rows.data() + static_cast<size_t>(int64_t{(*of)->first_id} - id) * (*of)->width
                         : nullptr);
  }
  return out;
}

}  // namespace phial::generate

// The pictures of a model's conversations as rows of its prompts, each seen once.
//
// To those who ask, id -k stands for one token of the k-th picture of their request. Inside, place() gives each row of
// each picture an id below 0 of its own: what two sequences share is then told by their ids alone, and a position of
// another picture is never taken for the same.
// Threads: one at a time; encoding uses the pool. Memory: the rows of a few pictures, and of those that someone holds.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/image.h"
#include "phial/generate/language_model.h"
#include "phial/model/clip.h"
#include "phial/spec/spec.h"

namespace phial::generate {

// A picture as the decoder takes it.
struct SeenPicture {
  int32_t first_id = 0;     // of row 0; row i has first_id - i
  size_t width = 0;         // hidden_dim
  std::vector<float> rows;  // [n, width]
};
using PictureRows = std::vector<std::shared_ptr<const SeenPicture>>;

// What stands at ids that name rows of `pictures`, null at others; empty if none does.
std::vector<const float*> rows_at(std::span<const int32_t> ids, const PictureRows& pictures);

class Pictures {
 public:
  // `eye`: what ImageEncoder::find() tells of a decoder with `spec`. What open() will take; 0 without an eye.
  static Result<uint64_t> bytes(const formats::Checkpoint* eye, const spec::DecoderSpec& spec,
                                model::Precision precision, int threads);
  // Null without an eye.
  static Result<std::unique_ptr<Pictures>> open(std::shared_ptr<const formats::Checkpoint> eye,
                                                const spec::DecoderSpec& spec, model::Precision precision,
                                                ThreadPool& pool);
  explicit Pictures(std::unique_ptr<model::ImageEncoder> encoder) : encoder_(std::move(encoder)) {}

  // Tokens that each picture takes.
  Result<std::vector<int>> tokens(std::span<const Picture> pictures) const;

  // Puts ids of rows in place of the ids -k, of which there are as many as picture k has tokens, or none. Pictures that
  // were not seen yet are encoded. kInvalid for another number; kCancelled.
  Result<PictureRows> place(std::vector<int32_t>& ids, std::span<const Picture> pictures,
                            const std::stop_token& cancel);

 private:
  struct Known {
    formats::Image page;                          // equal pages have equal rows
    std::weak_ptr<const formats::Image> picture;  // of which the page was made last
    std::shared_ptr<const SeenPicture> seen;
  };
  // Moves it to the front.
  Result<std::shared_ptr<const SeenPicture>> see(const Picture& picture, const std::stop_token& cancel);

  std::unique_ptr<model::ImageEncoder> encoder_;
  std::list<Known> known_;  // the latest first
  int32_t next_id_ = -1;
};

}  // namespace phial::generate

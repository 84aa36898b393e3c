// Phi-3-vision's eye: a picture -> rows that stand in a prompt where the embeddings of tokens stand otherwise.
//
// Shapes: S pixels a tile's side, G patches a side (spec.patches()), C the encoder's width, D the decoder's.
// Source: CLIP (arXiv 2103.00020) and the published code of Phi-3-vision, docs/sources.md.
// Threads: immutable after load; features() and encode() use the pool, one caller at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "phial/base/log.h"
#include "phial/base/mapped_file.h"
#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/image.h"
#include "phial/model/decoder.h"
#include "phial/spec/tile_grid.h"
#include "phial/spec/vision.h"

namespace phial::model {

class ImageEncoder {
 public:
  // The checkpoint that holds the eye of `decoder`, whose width is `output_dim`: its own (spec::has_vision); else
  // `projector`, a GGUF file with an eye; else, where that is empty, the file that projector_beside() names, if it is
  // there, with links followed. Null: the model does not see. kInvalid for a projector of a model that has an eye, one
  // that is none, or one of another width, kUnsupported for another program's; of a file that was found by its name
  // those two are a warning, and the model does not see.
  static Result<std::shared_ptr<const formats::Checkpoint>> find(std::shared_ptr<const formats::Checkpoint> decoder,
                                                                 int output_dim, const std::filesystem::path& projector,
                                                                 LoadMode load, const Log& log);
  // The spec of a checkpoint that holds an eye. `output_dim`: the decoder's width.
  static Result<spec::VisionSpec> read_spec(const formats::Checkpoint& checkpoint, int output_dim);
  // What load() will take: packed weights and scratch.
  static Result<uint64_t> bytes(const formats::Checkpoint& checkpoint, const spec::VisionSpec& spec,
                                Precision precision, int threads);
  static Result<std::unique_ptr<ImageEncoder>> load(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                                    const spec::VisionSpec& spec, Precision precision,
                                                    ThreadPool& pool);
  virtual ~ImageEncoder() = default;

  virtual const spec::VisionSpec& spec() const = 0;

  // The encoder's features of tiles [tiles, 3, S, S]: [tiles, G * G, C]. kCancelled between tiles.
  virtual Result<std::vector<float>> features(std::span<const float> pixels, const std::stop_token& cancel) const = 0;

  // The rows of a picture from its page (formats/image_tiles.h): [image_tokens(), D]. kCancelled between tiles.
  virtual Result<std::vector<float>> encode(const spec::TileGrid& grid, const formats::Image& page,
                                            const std::stop_token& cancel) const = 0;
};

}  // namespace phial::model

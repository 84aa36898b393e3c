// A checkpoint's tensors bound to the places of Phi-3-vision's eye. Used inside model only.
//
// Source of the names: spec/vision_tensors.h.
#pragma once

#include <cstdint>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/model/encoder_parts.h"
#include "phial/spec/vision.h"

namespace phial::model {

struct ClipWeights {
  Linear patch;  // [hidden, 3 * patch side ^ 2], in f32 with either precision: a thousandth of the work
  std::vector<float> class_token;  // [hidden]
  std::vector<float> positions;    // [1 + patches ^ 2, hidden]
  LayerNorm embedding_norm;
  std::vector<EncoderLayer> layers;

  std::vector<float> row_end, between;  // separators, [4 * hidden]: after each row of tokens; before the whole view
  Linear project_in, project_out;
  std::vector<float> project_in_bias, project_out_bias;
};

Result<ClipWeights> load_clip_weights(const formats::Checkpoint& checkpoint, const spec::VisionSpec& spec,
                                      Precision precision, ThreadPool& pool);

// The matrices as they will be packed.
Result<uint64_t> clip_weights_bytes(const formats::Checkpoint& checkpoint, const spec::VisionSpec& spec,
                                    Precision precision);

}  // namespace phial::model

#include "phial/convert/vision_tensors.h"

#include <algorithm>
#include <string>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/spec/vision_tensors.h"
#include "phial/tensor/dtype.h"

namespace phial::convert {
namespace {

using formats::CheckpointKind;

// Without leading ones, as GGUF has it.
std::vector<uint64_t> squeezed(std::vector<uint64_t> shape) {
  shape.erase(shape.begin(), std::ranges::find_if(shape, [](uint64_t extent) { return extent != 1; }));
  return shape;
}

std::string name_in(CheckpointKind kind, const std::string& name) {
  return kind == CheckpointKind::kGguf ? spec::gguf_vision_name(name) : name;
}

// Of four bits row by row, since they are packed across rows.
std::vector<formats::Piece> pieces_of(const formats::Tensor& stored) {
  if (!stored.int4) return {{.dtype = stored.dtype, .bytes = stored.bytes.data(), .count = stored.elements()}};
  std::vector<formats::Piece> rows(stored.int4->outputs);
  for (size_t row = 0; row < rows.size(); ++row) {
    rows[row] = {.dtype = stored.dtype, .count = stored.int4->inputs, .int4 = &*stored.int4, .row = row};
  }
  return rows;
}

}  // namespace

Result<std::vector<formats::NewTensor>> vision_tensors(const formats::Checkpoint& eye, const spec::VisionSpec& spec,
                                                       CheckpointKind target) {
  std::vector<formats::NewTensor> out;
  for (const spec::VisionTensor& wanted : spec::vision_tensors(spec)) {
    PHIAL_TRY(const formats::Tensor* stored, eye.need(name_in(eye.kind(), wanted.name)));
    const std::vector<uint64_t> shape(wanted.shape.begin(), wanted.shape.end());
    if (squeezed(stored->shape) != squeezed(shape)) {
      return Error{Code::kCorrupt,
                   eye.path().string() + ": tensor '" + stored->name + "' has shape " +
                       formats::shape_text(stored->shape) + ", wanted " + formats::shape_text(shape),
                   "get the model again"};
    }
    if (!tensor::is_weight_type(stored->dtype)) {
      return Error{Code::kUnsupported,
                   eye.path().string() + ": tensor '" + stored->name + "' is stored as " +
                       std::string(tensor::info(stored->dtype).name) + ", which is no type of weights",
                   "get the model again"};
    }
    formats::NewTensor tensor;
    tensor.name = name_in(target, wanted.name);
    tensor.shape = target == CheckpointKind::kGguf ? squeezed(shape) : shape;
    const bool is_number = tensor::info(stored->dtype).block_size == 1;
    tensor.dtype = is_number && squeezed(shape).size() > 1 ? stored->dtype : tensor::DType::kF32;
    tensor.pieces = pieces_of(*stored);
    out.push_back(std::move(tensor));
  }
  return out;
}

}  // namespace phial::convert

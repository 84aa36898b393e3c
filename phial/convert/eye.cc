#include "phial/convert/eye.h"

#include <algorithm>
#include <utility>

#include "phial/base/output_file.h"
#include "phial/convert/settings.h"
#include "phial/convert/vision_tensors.h"
#include "phial/formats/gguf_writer.h"
#include "phial/model/clip.h"

namespace phial::convert {
namespace {

namespace fs = std::filesystem;

Status write_eye(const Eye& eye, const std::string& name, const fs::path& out, const std::stop_token& stop) {
  PHIAL_TRY(const auto tensors, vision_tensors(*eye.checkpoint, eye.spec, formats::CheckpointKind::kGguf));
  Json metadata = spec::gguf_of_vision(eye.spec);
  const auto matrix =
      std::ranges::find_if(tensors, [](const formats::NewTensor& tensor) { return tensor.shape.size() == 2; });
  metadata.update({{"general.architecture", "clip"},
                   {"general.type", "mmproj"},
                   {"general.name", name},
                   {"general.file_type", file_type(matrix->dtype)}});
  return formats::write_gguf(out, metadata, tensors, stop);
}

}  // namespace

Result<std::optional<Eye>> find_eye(const std::shared_ptr<const formats::Checkpoint>& decoder,
                                    const spec::DecoderSpec& spec, const fs::path& projector, const Log& log) {
  PHIAL_TRY(const auto eye, model::ImageEncoder::find(decoder, spec.hidden_dim, projector, LoadMode::kMap, log));
  if (eye == nullptr) return std::optional<Eye>();
  PHIAL_TRY(const spec::VisionSpec vision, model::ImageEncoder::read_spec(*eye, spec.hidden_dim));
  return std::optional<Eye>({eye, vision});
}

Result<fs::path> write_with_eye(const std::optional<Eye>& eye, const std::string& name, const fs::path& out,
                                const std::stop_token& stop, const std::function<Status()>& write_decoder) {
  if (!eye) {
    PHIAL_CHECKED(write_decoder());
    return fs::path();
  }
  const fs::path projector = formats::projector_beside(out);
  const auto write_both = [&](const fs::path& partial) -> Status {
    PHIAL_CHECKED(write_eye(*eye, name, partial, stop));
    return write_decoder();
  };
  PHIAL_CHECKED(write_beside(projector, write_both));
  return projector;
}

}  // namespace phial::convert

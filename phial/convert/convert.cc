#include "phial/convert/convert.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/json_file.h"
#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/convert/decoder_tensors.h"
#include "phial/convert/gguf_model.h"
#include "phial/convert/settings.h"
#include "phial/convert/vision_tensors.h"
#include "phial/formats/gguf_writer.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/model/clip.h"
#include "phial/model/decoder.h"
#include "phial/spec/vision.h"
#include "phial/tokenizer/convert.h"

namespace phial::convert {
namespace {

namespace fs = std::filesystem;
using formats::CheckpointKind;
using formats::NewTensor;

Status write_text(const fs::path& path, const std::string& text) {
  return write_file_atomically(path, std::as_bytes(std::span(text)));
}

using SharedCheckpoint = std::shared_ptr<const formats::Checkpoint>;

// Of a model that sees: what its eye is, and the checkpoint that holds it.
struct Eye {
  SharedCheckpoint checkpoint;
  spec::VisionSpec spec;
};

Result<std::optional<Eye>> find_eye(const SharedCheckpoint& decoder, const spec::DecoderSpec& spec,
                                    const ConvertOptions& options) {
  PHIAL_TRY(const SharedCheckpoint eye,
            model::ImageEncoder::find(decoder, spec.hidden_dim, options.projector, LoadMode::kMap, options.log));
  if (eye == nullptr) return std::optional<Eye>();
  PHIAL_TRY(const spec::VisionSpec vision, model::ImageEncoder::read_spec(*eye, spec.hidden_dim));
  return std::optional<Eye>({eye, vision});
}

Status write_projector(const Eye& eye, const std::string& name, const fs::path& out, const std::stop_token& stop) {
  PHIAL_TRY(const auto tensors, vision_tensors(*eye.checkpoint, eye.spec, CheckpointKind::kGguf));
  Json metadata = spec::gguf_of_vision(eye.spec);
  const auto matrix = std::ranges::find_if(tensors, [](const NewTensor& tensor) { return tensor.shape.size() == 2; });
  metadata.update({{"general.architecture", "clip"},
                   {"general.type", "mmproj"},
                   {"general.name", name},
                   {"general.file_type", file_type(matrix->dtype)}});
  return formats::write_gguf(out, metadata, tensors, stop);
}

Result<Converted> to_gguf(const SharedCheckpoint& checkpoint, const fs::path& out, const ConvertOptions& options) {
  const fs::path projector = formats::projector_beside(out);
  PHIAL_CHECKED(check_is_new(projector));
  PHIAL_TRY(const GgufModel model, as_gguf(*checkpoint));
  PHIAL_TRY(const std::optional<Eye> eye, find_eye(checkpoint, model.spec, options));
  const auto write_decoder = [&](const fs::path& partial) {
    return formats::write_gguf(partial, model.metadata, model.tensors, options.stop);
  };
  if (!eye) {
    PHIAL_CHECKED(write_beside(out, write_decoder));
    return Converted{};
  }
  // The decoder comes to its place first: by itself it is a whole model, that does not see.
  const auto write_both = [&](const fs::path& partial) -> Status {
    PHIAL_CHECKED(write_projector(*eye, model.spec.name, partial, options.stop));
    return write_beside(out, write_decoder);
  };
  PHIAL_CHECKED(write_beside(projector, write_both));
  return Converted{.sees = true, .projector = projector};
}

Result<Converted> to_folder(const SharedCheckpoint& checkpoint, const fs::path& out, const ConvertOptions& options) {
  PHIAL_TRY(const spec::DecoderSpec spec, model::Decoder::read_spec(*checkpoint));
  PHIAL_TRY(const model::DecoderTensors bound, model::bind(*checkpoint, spec));
  std::vector<NewTensor> tensors = decoder_tensors(bound, spec, CheckpointKind::kHuggingFace);
  PHIAL_TRY(Json config, folder_config(spec, tensors.front().dtype, checkpoint->metadata()));
  PHIAL_TRY(const auto files, tokenizer::folder_files(checkpoint->metadata()));
  PHIAL_TRY(const std::optional<Eye> eye, find_eye(checkpoint, spec, options));
  if (eye) {
    PHIAL_TRY(std::vector<NewTensor> sees, vision_tensors(*eye->checkpoint, eye->spec, CheckpointKind::kHuggingFace));
    std::ranges::move(sees, std::back_inserter(tensors));
    config = spec::config_with_vision(std::move(config), eye->spec);
  }
  const auto write_folder = [&](const fs::path& partial) -> Status {
    PHIAL_CHECKED(make_folders(partial));
    PHIAL_CHECKED(write_json_file(partial / "config.json", config));
    if (eye) PHIAL_CHECKED(write_json_file(partial / "preprocessor_config.json", spec::preprocessor_of(eye->spec)));
    for (const auto& [name, content] : files) PHIAL_CHECKED(write_text(partial / name, content));
    return formats::write_safetensors(partial / "model.safetensors", std::move(tensors), options.stop);
  };
  PHIAL_CHECKED(write_beside(out, write_folder));
  return Converted{.sees = eye.has_value()};
}

}  // namespace

Result<Converted> convert_model(const fs::path& in, const fs::path& out, const ConvertOptions& options) {
  PHIAL_CHECKED(check_is_new(out));
  PHIAL_TRY(formats::Checkpoint opened, formats::Checkpoint::open(in));
  const auto checkpoint = std::make_shared<const formats::Checkpoint>(std::move(opened));
  return checkpoint->kind() == CheckpointKind::kGguf ? to_folder(checkpoint, out, options)
                                                     : to_gguf(checkpoint, out, options);
}

}  // namespace phial::convert

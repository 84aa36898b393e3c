#include "phial/convert/convert.h"

#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/json_writer.h"
#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/convert/decoder_tensors.h"
#include "phial/convert/eye.h"
#include "phial/convert/gguf_model.h"
#include "phial/convert/settings.h"
#include "phial/convert/vision_tensors.h"
#include "phial/formats/gguf_writer.h"
#include "phial/formats/safetensors_writer.h"
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

Result<Converted> to_gguf(const SharedCheckpoint& checkpoint, const fs::path& out, const ConvertOptions& options) {
  PHIAL_CHECKED(check_is_new(formats::projector_beside(out)));
  PHIAL_TRY(const GgufModel model, as_gguf(*checkpoint));
  PHIAL_TRY(const std::optional<Eye> eye, find_eye(checkpoint, model.spec, options.projector, options.log));
  const auto write_decoder = [&] {
    return write_beside(out, [&](const fs::path& partial) {
      return formats::write_gguf(partial, model.metadata, model.tensors, options.stop);
    });
  };
  PHIAL_TRY(const fs::path projector, write_with_eye(eye, model.spec.name, out, options.stop, write_decoder));
  return Converted{.sees = eye.has_value(), .projector = projector};
}

Result<Converted> to_folder(const SharedCheckpoint& checkpoint, const fs::path& out, const ConvertOptions& options) {
  PHIAL_TRY(const spec::DecoderSpec spec, model::Decoder::read_spec(*checkpoint));
  PHIAL_TRY(const model::DecoderTensors bound, model::bind(*checkpoint, spec));
  std::vector<NewTensor> tensors = decoder_tensors(bound, spec, CheckpointKind::kHuggingFace);
  PHIAL_TRY(Json config, folder_config(spec, tensors.front().dtype, checkpoint->metadata()));
  PHIAL_TRY(const auto files, tokenizer::folder_files(checkpoint->metadata()));
  PHIAL_TRY(const std::optional<Eye> eye, find_eye(checkpoint, spec, options.projector, options.log));
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

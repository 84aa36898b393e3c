#include "phial/convert/convert.h"

#include <span>
#include <string>
#include <utility>

#include "phial/base/json_file.h"
#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/convert/decoder_tensors.h"
#include "phial/convert/gguf_model.h"
#include "phial/convert/settings.h"
#include "phial/formats/gguf_writer.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/model/decoder.h"
#include "phial/tokenizer/convert.h"

namespace phial::convert {
namespace {

namespace fs = std::filesystem;
using formats::CheckpointKind;
using formats::NewTensor;

Status write_text(const fs::path& path, const std::string& text) {
  return write_file_atomically(path, std::as_bytes(std::span(text)));
}

Status to_folder(const formats::Checkpoint& in, const spec::DecoderSpec& spec, std::vector<NewTensor> tensors,
                 const fs::path& out, const std::stop_token& stop) {
  PHIAL_TRY(const Json config, folder_config(spec, tensors.front().dtype, in.metadata()));
  PHIAL_TRY(const auto files, tokenizer::folder_files(in.metadata()));
  PHIAL_CHECKED(make_folders(out));
  PHIAL_CHECKED(write_json_file(out / "config.json", config));
  for (const auto& [name, content] : files) PHIAL_CHECKED(write_text(out / name, content));
  return formats::write_safetensors(out / "model.safetensors", std::move(tensors), stop);
}

}  // namespace

Status convert_model(const fs::path& in, const fs::path& out, const std::stop_token& stop) {
  return write_beside(out, [&](const fs::path& partial) -> Status {
    PHIAL_TRY(const auto checkpoint, formats::Checkpoint::open(in));
    if (checkpoint.kind() != CheckpointKind::kGguf) {
      PHIAL_TRY(const GgufModel model, as_gguf(checkpoint));
      return formats::write_gguf(partial, model.metadata, model.tensors, stop);
    }
    PHIAL_TRY(const spec::DecoderSpec spec, model::Decoder::read_spec(checkpoint));
    PHIAL_TRY(const model::DecoderTensors tensors, model::bind(checkpoint, spec));
    return to_folder(checkpoint, spec, decoder_tensors(tensors, spec, CheckpointKind::kHuggingFace), partial, stop);
  });
}

}  // namespace phial::convert

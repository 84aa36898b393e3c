#include "phial/convert/convert.h"

#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "phial/base/mapped_file.h"
#include "phial/convert/decoder_tensors.h"
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

// The type of the matrices, for what tells it once for all.
tensor::DType type_of(const std::vector<NewTensor>& tensors) { return tensors.front().dtype; }

Status write_text(const fs::path& path, const std::string& text) {
  return write_file_atomically(path, std::as_bytes(std::span(text)));
}

Status to_gguf(const formats::Checkpoint& in, const spec::DecoderSpec& spec, const std::vector<NewTensor>& tensors,
               const fs::path& out, const std::stop_token& stop) {
  std::error_code ignored;
  const fs::path folder = fs::is_directory(in.path(), ignored) ? in.path() : in.path().parent_path();
  PHIAL_TRY(Json metadata, gguf_metadata(spec, type_of(tensors)));
  PHIAL_TRY(const Json entries, tokenizer::gguf_entries(folder, static_cast<size_t>(spec.vocab_size)));
  metadata.update(entries);
  return formats::write_gguf(out, metadata, tensors, stop);
}

Status to_folder(const formats::Checkpoint& in, const spec::DecoderSpec& spec, std::vector<NewTensor> tensors,
                 const fs::path& out, const std::stop_token& stop) {
  PHIAL_TRY(const Json config, folder_config(spec, type_of(tensors), in.metadata()));
  PHIAL_TRY(const auto files, tokenizer::folder_files(in.metadata()));
  std::error_code failed;
  fs::create_directory(out, failed);
  if (failed) return Error{Code::kIo, out.string() + ": cannot make the folder: " + failed.message(), ""};
  PHIAL_CHECKED(write_text(out / "config.json", dump_json(config) + "\n"));
  for (const auto& [name, content] : files) PHIAL_CHECKED(write_text(out / name, content));
  return formats::write_safetensors(out / "model.safetensors", std::move(tensors), stop);
}

}  // namespace

Status convert_model(const fs::path& in, const fs::path& out, const std::stop_token& stop) {
  const fs::path target = out.has_filename() ? out : out.parent_path();  // "folder/"
  std::error_code failed;
  if (target.empty() || fs::symlink_status(target, failed).type() != fs::file_type::not_found) {
    return Error{Code::kInvalid, "'" + out.string() + "' is there already", "name an output that is not"};
  }
  PHIAL_TRY(const auto checkpoint, formats::Checkpoint::open(in));
  PHIAL_TRY(const spec::DecoderSpec spec, model::Decoder::read_spec(checkpoint));
  PHIAL_TRY(const model::DecoderTensors tensors, model::bind(checkpoint, spec));
  const bool is_gguf = checkpoint.kind() == CheckpointKind::kGguf;
  std::vector<NewTensor> converted =
      decoder_tensors(tensors, spec, is_gguf ? CheckpointKind::kHuggingFace : CheckpointKind::kGguf);

  const fs::path partial = target.parent_path() / ("." + target.filename().string() + ".part");
  fs::remove_all(partial, failed);  // of a conversion that was killed
  Status done = is_gguf ? to_folder(checkpoint, spec, std::move(converted), partial, stop)
                        : to_gguf(checkpoint, spec, converted, partial, stop);
  if (done) {
    fs::rename(partial, target, failed);
    if (!failed) return ok();
    done = Error{Code::kIo, target.string() + ": cannot be put in place: " + failed.message(), ""};
  }
  fs::remove_all(partial, failed);
  return done;
}

}  // namespace phial::convert

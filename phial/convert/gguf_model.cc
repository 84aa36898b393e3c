#include "phial/convert/gguf_model.h"

#include <filesystem>
#include <system_error>

#include "phial/convert/decoder_tensors.h"
#include "phial/convert/settings.h"
#include "phial/model/decoder.h"
#include "phial/tokenizer/convert.h"

namespace phial::convert {

Result<GgufModel> as_gguf(const formats::Checkpoint& checkpoint) {
  GgufModel out;
  PHIAL_TRY(out.spec, model::Decoder::read_spec(checkpoint));
  PHIAL_TRY(out.bound, model::bind(checkpoint, out.spec));
  out.tensors = decoder_tensors(out.bound, out.spec, formats::CheckpointKind::kGguf);
  if (checkpoint.kind() == formats::CheckpointKind::kGguf) {
    out.metadata = checkpoint.metadata();
    return out;
  }
  std::error_code ignored;
  const std::filesystem::path& path = checkpoint.path();
  const auto folder = std::filesystem::is_directory(path, ignored) ? path : path.parent_path();
  PHIAL_TRY(out.metadata, gguf_metadata(out.spec, out.tensors.front().dtype));
  PHIAL_TRY(const Json entries, tokenizer::gguf_entries(folder, static_cast<size_t>(out.spec.vocab_size)));
  out.metadata.update(entries);
  return out;
}

}  // namespace phial::convert

#include "phial/generate/open_tokenizer.h"

#include <system_error>
#include <utility>

#include "phial/tokenizer/load.h"

namespace phial::generate {

Result<std::unique_ptr<tokenizer::Tokenizer>> open_tokenizer(const formats::Checkpoint& checkpoint) {
  if (checkpoint.kind() != formats::CheckpointKind::kGguf) return tokenizer::from_folder(checkpoint.folder());
  auto opened = tokenizer::from_gguf(checkpoint.metadata());
  if (!opened) return std::move(opened).error().in(checkpoint.path().string());
  return opened;
}

Result<std::unique_ptr<tokenizer::Tokenizer>> open_tokenizer(const std::filesystem::path& model) {
  std::error_code error;
  if (std::filesystem::is_directory(model, error)) return tokenizer::from_folder(model);
  PHIAL_TRY(const auto checkpoint, formats::Checkpoint::open(model));
  return open_tokenizer(checkpoint);
}

}  // namespace phial::generate

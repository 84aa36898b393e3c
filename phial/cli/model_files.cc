#include "phial/cli/model_files.h"

#include <system_error>

#include "phial/tokenizer/load.h"

namespace phial::cli {

Result<std::unique_ptr<tokenizer::Tokenizer>> open_tokenizer(const std::filesystem::path& model) {
  std::error_code error;
  if (std::filesystem::is_directory(model, error)) return tokenizer::from_folder(model);
  PHIAL_TRY(const auto checkpoint, formats::Checkpoint::open(model));
  if (checkpoint.kind() != formats::CheckpointKind::kGguf) return tokenizer::from_folder(model.parent_path());
  auto opened = tokenizer::from_gguf(checkpoint.metadata());
  if (!opened) return std::move(opened).error().in(model.string());
  return opened;
}

}  // namespace phial::cli

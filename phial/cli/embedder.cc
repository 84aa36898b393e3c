#include "phial/cli/embedder.h"

#include <algorithm>
#include <cstdio>
#include <system_error>

#include "phial/base/mapped_file.h"
#include "phial/cli/model_files.h"

namespace phial::cli {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxConfigBytes = 16 << 20;

// A small JSON file beside config.json; null where there is none.
Result<Json> read_side_file(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return Json();
  PHIAL_TRY(const std::string text, read_text_file(path, kMaxConfigBytes));
  auto json = parse_json(text);
  if (!json) return std::move(json).error().in(path.string());
  return json;
}

// Two models with equal names are told apart by a look at their weights (FNV-1a over the start of each tensor).
std::string identity_of(const fs::path& model, const formats::Checkpoint& checkpoint) {
  uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&hash](std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) hash = (hash ^ static_cast<uint64_t>(byte)) * 1099511628211ULL;
  };
  for (const formats::Tensor& tensor : checkpoint.tensors()) {
    mix(std::as_bytes(std::span(tensor.name)));
    mix(tensor.bytes.first(std::min<size_t>(tensor.bytes.size(), 256)));
  }
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  const fs::path named = fs::is_directory(model) ? model : model.parent_path();
  return named.filename().string() + "-" + text;
}

}  // namespace

Result<std::unique_ptr<rag::Embedder>> load_embedder(const fs::path& model, const ComputeFlags& compute,
                                                     ThreadPool& pool) {
  PHIAL_TRY(auto opened, formats::Checkpoint::open(model, compute.load_mode()));
  const auto checkpoint = std::make_shared<const formats::Checkpoint>(std::move(opened));
  if (checkpoint->kind() != formats::CheckpointKind::kHuggingFace) {
    return Error{Code::kUnsupported, "an embedder is wanted, this is a GGUF file (" + model.string() + ")",
                 "name a Hugging Face folder of a BERT-like model"};
  }
  std::error_code error;
  const fs::path folder = fs::is_directory(model, error) ? model : model.parent_path();
  spec::EncoderSideFiles beside;
  PHIAL_TRY(beside.sentence_bert, read_side_file(folder / "sentence_bert_config.json"));
  PHIAL_TRY(beside.tokenizer_config, read_side_file(folder / "tokenizer_config.json"));
  PHIAL_TRY(beside.pooling, read_side_file(folder / "1_Pooling/config.json"));
  auto spec = spec::encoder_from_configs(checkpoint->metadata(), beside);
  if (!spec) return std::move(spec).error().in(model.string());
  PHIAL_TRY(auto encoder, model::TextEncoder::load(checkpoint, *spec, compute.chosen_precision(), pool));
  PHIAL_TRY(auto tokenizer, open_tokenizer(folder));
  PHIAL_TRY(auto embedder,
            rag::EncoderEmbedder::make(std::move(encoder), std::move(tokenizer), identity_of(folder, *checkpoint)));
  return std::unique_ptr<rag::Embedder>(std::move(embedder));
}

}  // namespace phial::cli

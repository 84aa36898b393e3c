#include "phial/rag/open_embedder.h"

#include <algorithm>
#include <cstdio>
#include <system_error>

#include "phial/base/fnv.h"
#include "phial/base/json_file.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/lora.h"
#include "phial/generate/open_tokenizer.h"
#include "phial/model/span_reader.h"
#include "phial/model/text_encoder.h"
#include "phial/spec/spec.h"

namespace phial::rag {
namespace fs = std::filesystem;
namespace {

constexpr const char* kReaderFolder = "reader";

// Two models with equal names are told apart by a look at their weights (FNV-1a over the start of each tensor).
std::string identity_of(const formats::Checkpoint& checkpoint) {
  Fnv1a hash;
  for (const formats::Tensor& tensor : checkpoint.tensors()) {
    hash.add(tensor.name);
    hash.add(tensor.bytes.first(std::min<size_t>(tensor.bytes.size(), 256)));
  }
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash.value()));
  return checkpoint.folder().filename().string() + "-" + text;
}

// A folder of that name may be of something else, too.
Error without_reader(Error error, const fs::path& reader) {
  if (error.code != Code::kOutOfMemory) {
    error.remedy = "get the model again, or move the folder " + reader.string() + " away: answers do without it";
  }
  return error;
}

// Questions and passages together are longer than what the embedding model was trained to embed.
spec::EncoderSpec reader_spec(spec::EncoderSpec spec) {
  spec.max_tokens = spec.max_positions - spec.first_position;
  return spec;
}

}  // namespace

Result<std::unique_ptr<Embedder>> open_embedder(const fs::path& model, model::Precision precision, LoadMode load,
                                                ThreadPool& pool) {
  PHIAL_TRY(auto opened, formats::Checkpoint::open(model, load));
  const auto checkpoint = std::make_shared<const formats::Checkpoint>(std::move(opened));
  if (checkpoint->kind() != formats::CheckpointKind::kHuggingFace) {
    return Error{Code::kUnsupported, "this model writes, it cannot search (" + model.string() + ")",
                 "name a Hugging Face folder such as all-MiniLM-L6-v2"};
  }
  const fs::path folder = checkpoint->folder();
  spec::EncoderSideFiles beside;
  PHIAL_TRY(beside.sentence_bert, read_json_if_there(folder / "sentence_bert_config.json"));
  PHIAL_TRY(beside.tokenizer_config, read_json_if_there(folder / "tokenizer_config.json"));
  PHIAL_TRY(beside.pooling, read_json_if_there(folder / "1_Pooling/config.json"));
  auto spec = spec::encoder_from_configs(checkpoint->metadata(), beside);
  if (!spec) return std::move(spec).error().in(model.string());
  PHIAL_TRY(auto encoder, model::TextEncoder::load(checkpoint, *spec, precision, pool));
  PHIAL_TRY(auto tokenizer, generate::open_tokenizer(folder));
  PHIAL_TRY(auto embedder, EncoderEmbedder::make(std::move(encoder), std::move(tokenizer), identity_of(*checkpoint)));
  std::error_code unseen;
  if (const fs::path reader = folder / kReaderFolder; fs::is_directory(reader, unseen)) {
    embedder->learn_to_read([=, spec = reader_spec(*spec), &pool]() -> Result<std::unique_ptr<model::SpanReader>> {
      auto adapter = formats::open_lora(reader);
      if (!adapter) return without_reader(std::move(adapter).error(), reader);
      auto loaded = model::SpanReader::load(checkpoint, *std::move(adapter), spec, precision, pool);
      if (!loaded) return without_reader(std::move(loaded).error(), reader);
      return loaded;
    });
  }
  return std::unique_ptr<Embedder>(std::move(embedder));
}

}  // namespace phial::rag

#include "phial/generate/model_drafter.h"

#include <algorithm>
#include <string>

#include "phial/formats/checkpoint.h"
#include "phial/model/decoder.h"

namespace phial::generate {
namespace {

// What differs, in words; empty if nothing does. Ids without a tokenizer are compared by their number alone.
std::string difference(const Engine& drafter, const Engine& writer) {
  if (drafter.spec().vocab_size != writer.spec().vocab_size) {
    return "it has " + std::to_string(drafter.spec().vocab_size) + " tokens, the model " +
           std::to_string(writer.spec().vocab_size);
  }
  const auto theirs = drafter.tokenizer();
  const auto ours = writer.tokenizer();
  if (!theirs || !ours) return "";
  for (int32_t id = 0; id < writer.spec().vocab_size; ++id) {
    if ((*theirs)->bytes_of(id, true) != (*ours)->bytes_of(id, true)) {
      return "token " + std::to_string(id) + " is another text";
    }
  }
  return "";
}

}  // namespace

Result<std::unique_ptr<ModelDrafter>> ModelDrafter::open(const std::filesystem::path& path,
                                                         const EngineOptions& options, const Engine& writer,
                                                         ThreadPool& pool) {
  EngineOptions own = options;
  own.drafting = Drafting::kOff;
  own.sessions = 1;
  own.prompt_cache.clear();
  {
    PHIAL_TRY(const formats::Checkpoint checkpoint, formats::Checkpoint::open(path, LoadMode::kMap));
    PHIAL_TRY(const spec::DecoderSpec spec, model::Decoder::read_spec(checkpoint, options.window_extra));
    own.context_tokens = std::min(writer.context_tokens(), spec.context);
  }
  PHIAL_TRY(auto model, Engine::open(path, own, pool));
  if (const std::string differs = difference(*model, writer); !differs.empty()) {
    return Error{Code::kInvalid,
                 "a draft model needs the vocabulary of the model: " + differs + " (" + path.string() + ")",
                 "take a smaller model of the same family, or leave --draft out"};
  }
  return std::unique_ptr<ModelDrafter>(new ModelDrafter(std::move(model)));
}

int ModelDrafter::look(std::span<const int32_t> sequence) {
  // A picture's rows are the writer's own.
  if (std::ranges::any_of(sequence, [](int32_t id) { return id < 0; })) return 0;
  return static_cast<int>(sequence.size()) < model_->context_tokens() ? 1 : 0;
}

Result<std::vector<int32_t>> ModelDrafter::draft(std::span<const int32_t> sequence, int most,
                                                 const std::stop_token& cancel) {
  const int room = model_->context_tokens() - static_cast<int>(sequence.size());
  std::vector<int32_t> ids(sequence.begin(), sequence.end());
  for (int i = 0; i < std::min(most, room); ++i) {
    PHIAL_TRY(const std::vector<float> row, model_->logits(ids, ids.size() - 1, cancel));
    ids.push_back(static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(sequence.size()));
  return ids;
}

}  // namespace phial::generate

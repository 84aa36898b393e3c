// A model on disk as a LanguageModel: decoder, tokenizer, chat format and the cache of its last conversation.
//
// The cache stays between calls: a prompt that begins like the sequence before it only computes what is new, with the
// same result to the bit. LongRoPE's table follows the reference: short while the sequence is at most the original
// context long, long beyond it, for all positions; a sequence that crosses is recomputed once.
// Drafting (speculation.h) changes how many steps an answer takes, never a token, logprob or reason to stop.
// Threads: one call at a time; the pool is used during calls.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "phial/base/log.h"
#include "phial/base/mapped_file.h"
#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/formats/checkpoint.h"
#include "phial/generate/chat.h"
#include "phial/generate/draft_length.h"
#include "phial/generate/drafter.h"
#include "phial/generate/language_model.h"
#include "phial/generate/pictures.h"
#include "phial/model/decoder.h"
#include "phial/spec/spec.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::generate {

// Who guesses what comes next: nobody, what stands earlier in the sequence (lookup_drafter.h), or a smaller model.
enum class Drafting { kOff, kLookup, kModel };

struct EngineOptions {
  model::Precision precision = model::Precision::kFast;
  model::KvType kv_type = model::KvType::kF16;  // of kFast; kExact keeps f32
  int context_tokens = 0;                       // 0: the model's own, at most 4096
  LoadMode load = LoadMode::kMap;
  spec::RopePolicy rope_policy = spec::RopePolicy::kDynamic;
  int window_extra = 0;  // Decoder::read_spec
  Drafting drafting = Drafting::kLookup;
  std::filesystem::path draft_model = {};  // of kModel
  int draft_tokens = 0;                    // checked at a time; 0: as many as pay (draft_length.h)
  std::string date = "1970-01-01";         // what templates are told today is: yyyy-mm-dd
  Log log = no_log;
};

class Engine final : public LanguageModel {
 public:
  // `path`: what Checkpoint::open takes. A folder without tokenizer files works for ids alone.
  // kOutOfRange if memory or the model's context is too small for context_tokens, with the numbers and what would fit.
  static Result<std::unique_ptr<Engine>> open(const std::filesystem::path& path, const EngineOptions& options,
                                              ThreadPool& pool);

  Result<Generation> generate(const GenerateRequest& request, const OnText& on_text) override;
  Result<ContinuationScore> score(std::string_view prompt, std::string_view continuation) override;
  std::string_view name() const override { return name_; }
  int context_tokens() const override { return context_tokens_; }
  int count_tokens(std::string_view text) const override;
  Result<int> count_prompt_tokens(std::span<const Message> messages) const override;

  // Logits of positions first_row .. ids.size() - 1, [rows, vocab_size]. kOutOfRange beyond the context, kInvalid for
  // an id outside the vocabulary, kCancelled.
  Result<std::vector<float>> logits(std::span<const int32_t> ids, size_t first_row, const std::stop_token& cancel);

  // The same, handed over as they are computed, so that the rows of a long text need not lie in memory together:
  // `on_rows(first, rows)` gets those of positions first, first + 1, ... Each call sees at most a few hundred.
  using OnRows = std::function<Status(size_t first, std::span<const float> rows)>;
  Status run(std::span<const int32_t> ids, size_t first_row, const std::stop_token& cancel, const OnRows& on_rows);

  const spec::DecoderSpec& spec() const { return decoder_->spec(); }
  const model::MemoryPlan& plan() const { return plan_; }
  // kInvalid if the model has none: only ids work then.
  Result<const tokenizer::Tokenizer*> tokenizer() const;

 private:
  Engine() = default;
  // Ids -k stand for pictures.
  Result<std::vector<int32_t>> prompt_ids(const GenerateRequest& request) const;
  // How many tokens each takes; kInvalid if there is one and the model does not see.
  Result<std::vector<int>> picture_tokens(std::span<const Picture> pictures) const;
  Status check_length(size_t prompt_tokens, int max_tokens) const;
  // How many drafted tokens may follow `sequence` in one pass when `wanted_tokens` are still to be written.
  int draft_room(size_t sequence_tokens, int wanted_tokens) const;
  // Logits after the last token of `sequence` and after each of `draft`: [1 + draft.size(), vocab_size], or fewer if
  // the draft cannot be computed. They stand until the next call.
  Result<std::span<const float>> next_rows(std::vector<int32_t>& sequence, std::span<const int32_t> draft,
                                           const std::stop_token& cancel);
  // run(), with the memory that the rows given to `on_rows` stand in.
  Status run(std::span<const int32_t> ids, size_t first_row, const std::stop_token& cancel, std::vector<float>& rows,
             const OnRows& on_rows);
  // Makes the cache hold a prefix of `ids` that ends before `first_row`.
  Status prepare_cache(std::span<const int32_t> ids, size_t first_row);

  std::string name_;
  std::unique_ptr<model::Decoder> decoder_;
  std::unique_ptr<Pictures> pictures_;  // null: the model does not see
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  std::optional<Chat> chat_;
  std::vector<int32_t> end_ids_;
  model::MemoryPlan plan_;  // kv_type is that of the cache
  int context_tokens_ = 0;
  spec::RopePolicy rope_policy_ = spec::RopePolicy::kDynamic;
  Log log_;

  Drafting drafting_ = Drafting::kLookup;
  int draft_tokens_ = 0;
  std::unique_ptr<Drafter> model_drafter_;
  DraftLength draft_length_;

  std::optional<model::KvCache> cache_;
  std::vector<int32_t> cached_ids_;  // below 0: rows of pictures (pictures.h)
  spec::RopeTable cached_table_ = spec::RopeTable::kShort;
  std::vector<float> step_rows_;  // of next_rows()
};

}  // namespace phial::generate

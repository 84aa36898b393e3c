// A model on disk as a LanguageModel: decoder, tokenizer, chat format, the sessions that run and the caches of those
// that have ended.
//
// Caches stay between calls: a prompt that begins like a sequence before it only computes what is new, with the same
// result to the bit. LongRoPE's table follows the reference: short while the sequence is at most the original
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
  int sessions = 1;                             // answers that are written side by side, each with its own context
  LoadMode load = LoadMode::kMap;
  spec::RopePolicy rope_policy = spec::RopePolicy::kDynamic;
  int window_extra = 0;  // Decoder::read_spec
  Drafting drafting = Drafting::kLookup;
  std::filesystem::path draft_model = {};   // of kModel
  int draft_tokens = 0;                     // checked at a time; 0: as many as pay (draft_length.h)
  std::filesystem::path projector = {};     // the image encoder of a GGUF file; ImageEncoder::find
  std::filesystem::path prompt_cache = {};  // what earlier runs kept for this model; empty: nothing
  std::string date = "1970-01-01";          // what templates are told today is: yyyy-mm-dd
  Log log = no_log;
};

struct CachedSequence;
class Sessions;

class Engine final : public LanguageModel {
 public:
  ~Engine() override;

  // `path`: what Checkpoint::open takes. A folder without tokenizer files works for ids alone.
  // kOutOfMemory, or kOutOfRange if the model's context is too small for context_tokens, with the numbers and what
  // would fit.
  static Result<std::unique_ptr<Engine>> open(const std::filesystem::path& path, const EngineOptions& options,
                                              ThreadPool& pool);

  Result<Generation> generate(const GenerateRequest& request, const OnText& on_text) override;
  // Several answers at a time: each joins, then every step() is one pass over all that run, which calls their on_text,
  // and tells those that have ended. At most EngineOptions.sessions run, the others wait for their turn. An answer is
  // that of generate(), to the bit, whoever else runs; request.cancel ends one alone. Errors of join() are those of
  // generate() before it computes; what fails later is in the EndedSession.
  Result<SessionId> join(GenerateRequest request, OnText on_text);
  std::vector<EndedSession> step();
  bool idle() const;  // no answer is being written or waits
  // Puts the keys and values that are kept into options.prompt_cache, in place of what stands there, for a later run
  // that begins alike. Does nothing if there is no such option, or nothing new.
  Status write_prompt_cache();
  // Ends every answer without a word and forgets every kept cache. For whoever catches an exception that left step(),
  // std::bad_alloc: the engine is as it was opened.
  void abandon();

  Result<ContinuationScore> score(std::string_view prompt, std::string_view continuation) override;
  std::string_view name() const override { return name_; }
  int context_tokens() const override { return context_tokens_; }
  bool sees() const override { return pictures_ != nullptr; }
  uint64_t parameters() const override;
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
  Engine();
  // Ids -k stand for pictures.
  Result<std::vector<int32_t>> prompt_ids(const GenerateRequest& request) const;
  // How many tokens each takes; kInvalid if there is one and the model does not see.
  Result<std::vector<int>> picture_tokens(std::span<const Picture> pictures) const;
  Status check_length(size_t prompt_tokens, int max_tokens) const;
  // One step of run(); its logits stand in `rows`.
  Status run_chunk(std::span<const int32_t> ids, size_t first_row, CachedSequence& sequence, std::vector<float>& rows,
                   const OnRows& on_rows);

  std::string name_;
  std::unique_ptr<model::Decoder> decoder_;
  std::unique_ptr<Pictures> pictures_;  // null: the model does not see
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  std::optional<Chat> chat_;
  std::vector<int32_t> end_ids_;
  model::MemoryPlan plan_;  // kv_type is that of the cache
  int context_tokens_ = 0;
  int draft_tokens_ = 0;
  std::unique_ptr<Drafter> model_drafter_;
  DraftLength draft_length_;

  std::unique_ptr<Sessions> sessions_;
  std::filesystem::path prompt_cache_;  // empty: none
  uint64_t model_hash_ = 0;             // with a prompt cache
  std::vector<EndedSession> ended_;     // while generate() waited for another
};

}  // namespace phial::generate

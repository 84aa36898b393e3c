#include "phial/generate/engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "phial/generate/lookup_drafter.h"
#include "phial/generate/model_drafter.h"
#include "phial/generate/sampler.h"
#include "phial/generate/speculation.h"
#include "phial/generate/text_stream.h"
#include "phial/spec/rope.h"
#include "phial/tokenizer/load.h"

namespace phial::generate {
namespace {

constexpr int kDefaultContext = 4096;
constexpr size_t kChunk = 512;  // between two looks at the cancellation

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Status check_plan(const model::MemoryPlan& plan, const std::filesystem::path& path) {
  if (plan.fits()) return ok();
  std::string remedy;
  if (plan.smaller_kv_that_fits) remedy = std::string("--kv ") + model::name_of(*plan.smaller_kv_that_fits) + " fits";
  if (plan.largest_context_that_fits > 0) {
    remedy +=
        (remedy.empty() ? "" : ", or ") + ("--context " + std::to_string(plan.largest_context_that_fits)) + " fits";
  }
  if (remedy.empty()) remedy = "take a smaller model or one with fewer bits a weight";
  return Error{Code::kOutOfRange, path.string() + " does not fit into memory: " + plan.text(), std::move(remedy)};
}

Result<std::unique_ptr<tokenizer::Tokenizer>> open_tokenizer(const formats::Checkpoint& checkpoint) {
  if (checkpoint.kind() == formats::CheckpointKind::kGguf) return tokenizer::from_gguf(checkpoint.metadata());
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(checkpoint.path(), ignored);
  return tokenizer::from_folder(is_folder ? checkpoint.path() : checkpoint.path().parent_path());
}

std::vector<Picture> pictures_of(std::span<const Message> messages) {
  std::vector<Picture> all;
  for (const Message& message : messages) all.insert(all.end(), message.pictures.begin(), message.pictures.end());
  return all;
}

std::vector<Picture> pictures_of(const GenerateRequest& request) {
  return request.ids.empty() ? pictures_of(request.messages) : request.pictures;
}

// An answer while it is written: one token after the other, from logits to text.
class Writing {
 public:
  // `sequence`: the prompt; what is written is appended to it and to `result`.
  Writing(const GenerateRequest& request, int most_tokens, const std::vector<int32_t>& end_ids,
          const tokenizer::Tokenizer* tokenizer, const LanguageModel::OnText& on_text, std::vector<int32_t>& sequence,
          Generation& result)
      : request_(request),
        most_tokens_(most_tokens),
        end_ids_(end_ids),
        tokenizer_(tokenizer),
        on_text_(on_text),
        sequence_(sequence),
        result_(result),
        sampler_(request.sampling),
        stream_(request.stop),
        drop_space_(!request.messages.empty()) {}

  // The next token, from its logits. Why the answer ends with it, if it does.
  std::optional<StopReason> write(std::span<const float> row) {
    const int32_t id = sampler_.sample(row, sequence_);
    if (request_.top_logprobs >= 0) result_.logprobs.push_back(logprobs_of(row, id, request_.top_logprobs));
    result_.ids.push_back(id);
    sequence_.push_back(id);
    if (!request_.ignore_end && std::find(end_ids_.begin(), end_ids_.end(), id) != end_ids_.end()) {
      return StopReason::kEnd;
    }
    if (tokenizer_ != nullptr) show(tokenizer_->bytes_of(id));
    if (stream_.stopped()) return StopReason::kStopText;
    if (static_cast<int>(result_.ids.size()) == most_tokens_) return StopReason::kMaxTokens;
    return std::nullopt;
  }

  void finish() {
    const std::string rest = stream_.finish();
    if (on_text_ && !rest.empty()) on_text_(rest);
    result_.text = stream_.text();
  }

 private:
  void show(std::string_view bytes) {
    if (drop_space_ && !bytes.empty()) {
      if (bytes.front() == ' ') bytes.remove_prefix(1);
      drop_space_ = false;
    }
    const std::string piece = stream_.push(bytes);
    if (on_text_ && !piece.empty()) on_text_(piece);
  }

  const GenerateRequest& request_;
  int most_tokens_;
  const std::vector<int32_t>& end_ids_;
  const tokenizer::Tokenizer* tokenizer_;
  const LanguageModel::OnText& on_text_;
  std::vector<int32_t>& sequence_;
  Generation& result_;
  Sampler sampler_;
  TextStream stream_;
  bool drop_space_;  // SentencePiece begins an answer with the space that stands before every word
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(const std::filesystem::path& path, const EngineOptions& options,
                                             ThreadPool& pool) {
  PHIAL_TRY(formats::Checkpoint opened, formats::Checkpoint::open(path, options.load));
  const auto checkpoint = std::make_shared<const formats::Checkpoint>(std::move(opened));
  PHIAL_TRY(const spec::DecoderSpec spec, model::Decoder::read_spec(*checkpoint, options.window_extra));
  if (options.context_tokens > spec.context) {
    return Error{Code::kOutOfRange,
                 path.string() + ": a context of " + std::to_string(options.context_tokens) +
                     " tokens is asked, the model has " + std::to_string(spec.context),
                 "--context " + std::to_string(spec.context) + " or less"};
  }
  std::unique_ptr<Engine> engine(new Engine());
  engine->name_ = spec.name;
  engine->log_ = options.log;
  engine->rope_policy_ = options.rope_policy;
  engine->context_tokens_ =
      options.context_tokens > 0 ? options.context_tokens : std::min(spec.context, kDefaultContext);
  PHIAL_TRY(const uint64_t vision_bytes, Pictures::bytes(*checkpoint, spec, options.precision, pool.threads()));
  PHIAL_TRY(engine->plan_, model::Decoder::plan(*checkpoint, spec, options.precision, engine->context_tokens_,
                                                options.kv_type, vision_bytes));
  options.log(Severity::kDetail, "memory plan: " + engine->plan_.text());
  PHIAL_CHECKED(check_plan(engine->plan_, path));

  PHIAL_TRY(const ChatFacts facts, read_chat_facts(*checkpoint));
  auto tokenizer = open_tokenizer(*checkpoint);
  if (tokenizer) {
    engine->tokenizer_ = *std::move(tokenizer);
    engine->chat_ = Chat::make(facts, *engine->tokenizer_, options.date, options.log);
    engine->end_ids_ = engine->chat_->end_ids();
  } else if (tokenizer.error().code == Code::kNotFound) {
    engine->end_ids_ = facts.end_ids;
  } else {
    return std::move(tokenizer).error();
  }
  PHIAL_TRY(engine->decoder_, model::Decoder::load(checkpoint, spec, options.precision, pool, options.log));
  PHIAL_TRY(engine->pictures_, Pictures::open(checkpoint, spec, options.precision, pool));
  engine->drafting_ = options.drafting;
  engine->draft_tokens_ = options.draft_tokens;
  if (options.drafting == Drafting::kModel) {
    PHIAL_TRY(engine->model_drafter_, ModelDrafter::open(options.draft_model, options, *engine, pool));
  }
  return engine;
}

Result<const tokenizer::Tokenizer*> Engine::tokenizer() const {
  if (tokenizer_) return tokenizer_.get();
  return Error{Code::kInvalid, "the model '" + name_ + "' has no tokenizer", "give token ids (--ids)"};
}

int Engine::count_tokens(std::string_view text) const {
  return tokenizer_ ? static_cast<int>(tokenizer_->encode(text).size()) : 0;
}

Result<int> Engine::count_prompt_tokens(std::span<const Message> messages) const {
  PHIAL_CHECKED(tokenizer());
  PHIAL_TRY(const std::vector<int> tokens, picture_tokens(pictures_of(messages)));
  PHIAL_TRY(const std::vector<int32_t> ids, chat_->encode(messages, tokens));
  return static_cast<int>(ids.size());
}

Result<std::vector<int>> Engine::picture_tokens(std::span<const Picture> pictures) const {
  if (pictures.empty()) return std::vector<int>();
  if (pictures_) return pictures_->tokens(pictures);
  return Error{Code::kInvalid, "the model '" + name_ + "' does not see pictures", "take one that does: Phi-3-vision"};
}

Result<std::vector<int32_t>> Engine::prompt_ids(const GenerateRequest& request) const {
  if (!request.ids.empty()) return request.ids;
  PHIAL_CHECKED(tokenizer());
  if (!request.messages.empty()) {
    PHIAL_TRY(const std::vector<int> tokens, picture_tokens(pictures_of(request)));
    return chat_->encode(request.messages, tokens);
  }
  std::vector<int32_t> ids =
      tokenizer_->encode(request.prompt, {.parse_special = true, .add_bos = tokenizer_->adds_bos()});
  if (ids.empty() && tokenizer_->bos()) ids.push_back(*tokenizer_->bos());
  if (ids.empty()) return Error{Code::kInvalid, "the prompt is empty", "give at least one token"};
  return ids;
}

Status Engine::check_length(size_t prompt_tokens, int max_tokens) const {
  if (max_tokens < 0)
    return Error{Code::kInvalid, "max-tokens is " + std::to_string(max_tokens), "it must be 0 or more"};
  const auto needed = static_cast<int64_t>(prompt_tokens) + max_tokens;
  if (needed <= context_tokens_) return ok();
  std::string remedy = "shorten the prompt or ask for fewer tokens";
  if (needed <= spec().context) remedy += ", or use --context " + std::to_string(needed);
  return Error{Code::kOutOfRange,
               "the prompt has " + std::to_string(prompt_tokens) + " tokens and " + std::to_string(max_tokens) +
                   " more are asked, the context holds " + std::to_string(context_tokens_),
               std::move(remedy)};
}

Status Engine::prepare_cache(std::span<const int32_t> ids, size_t first_row) {
  if (!cache_) {
    PHIAL_TRY(cache_, decoder_->make_cache(context_tokens_, plan_.kv_type));
  }
  const auto table = spec::choose_rope_table(spec(), rope_policy_, static_cast<int>(ids.size()));
  const size_t comparable = std::min({cached_ids_.size(), ids.size(), first_row});
  auto common = static_cast<size_t>(
      std::mismatch(cached_ids_.begin(), cached_ids_.begin() + static_cast<std::ptrdiff_t>(comparable), ids.begin())
          .first -
      cached_ids_.begin());
  if (table != cached_table_) {
    if (common > 0) {
      log_(Severity::kDetail, "the sequence crosses " + std::to_string(spec().long_rope.original_context) +
                                  " tokens: " + std::to_string(common) +
                                  " cached positions are computed again with the other rotary factors");
    }
    common = 0;
    cached_table_ = table;
  }
  cache_->truncate(static_cast<int>(common));
  cached_ids_.resize(static_cast<size_t>(cache_->length()));
  return ok();
}

Status Engine::run(std::span<const int32_t> ids, size_t first_row, const std::stop_token& cancel,
                   const OnRows& on_rows) {
  std::vector<float> rows;
  return run(ids, first_row, cancel, rows, on_rows);
}

Status Engine::run(std::span<const int32_t> ids, size_t first_row, const std::stop_token& cancel,
                   std::vector<float>& rows, const OnRows& on_rows) {
  if (ids.empty() || first_row >= ids.size()) return Error{Code::kInvalid, "there are no tokens to run", ""};
  PHIAL_CHECKED(check_length(ids.size(), 0));
  PHIAL_CHECKED(prepare_cache(ids, first_row));
  const auto width = static_cast<size_t>(spec().vocab_size);
  for (size_t at = cached_ids_.size(); at < ids.size();) {
    if (cancel.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
    const auto chunk = ids.subspan(at, std::min(kChunk, ids.size() - at));
    const size_t end = at + chunk.size();
    const auto which = end <= first_row       ? model::LogitsOf::kNone
                       : first_row + 1 >= end ? model::LogitsOf::kLast
                                              : model::LogitsOf::kAll;
    const std::vector<const float*> seen = pictures_ ? pictures_->rows(chunk) : std::vector<const float*>();
    PHIAL_CHECKED(decoder_->forward({.ids = chunk, .rows = seen}, cached_table_, which, *cache_, rows));
    cached_ids_.insert(cached_ids_.end(), chunk.begin(), chunk.end());
    if (which == model::LogitsOf::kLast) PHIAL_CHECKED(on_rows(end - 1, rows));
    if (which == model::LogitsOf::kAll) {
      const size_t first = std::max(first_row, at);
      PHIAL_CHECKED(on_rows(first, std::span(rows).subspan((first - at) * width)));
    }
    at = end;
  }
  return ok();
}

Result<std::vector<float>> Engine::logits(std::span<const int32_t> ids, size_t first_row,
                                          const std::stop_token& cancel) {
  std::vector<float> all;
  PHIAL_CHECKED(run(ids, first_row, cancel, [&](size_t, std::span<const float> rows) {
    all.insert(all.end(), rows.begin(), rows.end());
    return ok();
  }));
  return all;
}

int Engine::draft_room(size_t sequence_tokens, int wanted_tokens) const {
  const auto fed = static_cast<int>(sequence_tokens);
  // The pass itself gives one token more than is drafted.
  int room = std::min(kMostDrafted, wanted_tokens - 1);
  // One pass has one rotary table: that of its last row must be that of each row before it.
  const auto table = [&](int drafted) { return spec::choose_rope_table(spec(), rope_policy_, fed + drafted); };
  while (room > 0 && table(room) != cached_table_) --room;
  return std::max(room, 0);
}

Result<std::span<const float>> Engine::next_rows(std::vector<int32_t>& sequence, std::span<const int32_t> draft,
                                                 const std::stop_token& cancel) {
  const size_t known = sequence.size();
  sequence.insert(sequence.end(), draft.begin(), draft.end());
  std::span<const float> rows;
  const auto keep = [&](size_t, std::span<const float> computed) {
    rows = computed;
    return ok();
  };
  Status done = run(sequence, known - 1, cancel, step_rows_, keep);
  sequence.resize(known);
  // A wrong guess may take a damaged model to numbers that the answer itself never meets.
  if (!done && !draft.empty() && done.error().code != Code::kCancelled)
    done = run(sequence, known - 1, cancel, step_rows_, keep);
  PHIAL_CHECKED(std::move(done));
  return rows;
}

Result<Generation> Engine::generate(const GenerateRequest& request, const OnText& on_text) {
  PHIAL_CHECKED(validate(request.sampling));
  PHIAL_TRY(std::vector<int32_t> sequence, prompt_ids(request));
  int most_tokens = request.max_tokens;
  if (request.within_context && most_tokens > 1) {
    most_tokens = std::clamp(context_tokens_ - static_cast<int>(sequence.size()), 1, most_tokens);
  }
  PHIAL_CHECKED(check_length(sequence.size(), most_tokens));

  Generation result;
  result.prompt_tokens = static_cast<int>(sequence.size());
  const auto start = Clock::now();
  const std::vector<Picture> pictures = pictures_of(request);
  PHIAL_CHECKED(picture_tokens(pictures));
  if (pictures_) {
    auto placed = pictures_->place(std::move(sequence), pictures, request.cancel);
    if (!placed && placed.error().code == Code::kCancelled) {
      result.stop = StopReason::kCancelled;
      return result;
    }
    PHIAL_TRY(sequence, std::move(placed));
  }
  PHIAL_CHECKED(prepare_cache(sequence, sequence.size() - 1));
  result.reused_tokens = static_cast<int>(cached_ids_.size());

  Writing answer(request, most_tokens, end_ids_, tokenizer_.get(), on_text, sequence, result);
  LookupDrafter lookup;
  Speculation speculation(model_drafter_ ? *model_drafter_ : lookup, draft_length_, draft_tokens_);
  const auto width = static_cast<size_t>(spec().vocab_size);
  std::optional<StopReason> ended;
  while (!ended) {
    // The prompt goes without a draft: the first token is to be there as soon as may be.
    const bool is_first = result.ids.empty();
    const int wanted = most_tokens - static_cast<int>(result.ids.size());
    const int room = is_first || drafting_ == Drafting::kOff ? 0 : draft_room(sequence.size(), wanted);
    const auto table = cached_table_;
    auto draft = speculation.draft(sequence, room, request.cancel);
    const auto pass_start = Clock::now();
    auto rows = draft ? next_rows(sequence, *draft, request.cancel) : draft.error();
    const double pass_ms = ms_since(pass_start);
    if (!rows && rows.error().code == Code::kCancelled) {
      ended = StopReason::kCancelled;
      break;
    }
    if (!rows) return std::move(rows).error();
    if (is_first) result.prefill_ms = result.first_token_ms = ms_since(start);
    if (most_tokens == 0) break;
    // Row by row as without a draft, until what is written is not what was drafted.
    for (size_t row = 0;; ++row) {
      ended = answer.write(rows->subspan(row * width, width));
      if (ended || (row + 1) * width == rows->size() || sequence.back() != (*draft)[row]) break;
      if (request.cancel.stop_requested()) {
        ended = StopReason::kCancelled;
        break;
      }
    }
    // A pass that read the prompt, or read everything again for another rotary table, says nothing of a step's time.
    if (!is_first && table == cached_table_) speculation.learn(sequence, pass_ms);
  }
  answer.finish();
  result.stop = ended.value_or(StopReason::kMaxTokens);
  result.drafted_tokens = speculation.drafted();
  result.accepted_tokens = speculation.accepted();
  result.decode_ms = ms_since(start) - result.prefill_ms;
  return result;
}

Result<ContinuationScore> Engine::score(std::string_view prompt, std::string_view continuation) {
  PHIAL_CHECKED(tokenizer());
  const tokenizer::EncodeOptions options{.parse_special = true, .add_bos = tokenizer_->adds_bos()};
  const size_t prompt_tokens = tokenizer_->encode(prompt, options).size();
  const std::vector<int32_t> ids = tokenizer_->encode(std::string(prompt) + std::string(continuation), options);
  const size_t first = std::max<size_t>(prompt_tokens, 1);
  if (first >= ids.size()) return Error{Code::kInvalid, "the continuation adds no tokens to the prompt", ""};
  const std::span<const int32_t> fed = std::span(ids).first(ids.size() - 1);
  PHIAL_TRY(const std::vector<float> rows, logits(fed, first - 1, {}));
  ContinuationScore score{0, static_cast<int>(ids.size() - first), true};
  const auto width = static_cast<size_t>(spec().vocab_size);
  for (size_t i = first; i < ids.size(); ++i) {
    const auto row = std::span(rows).subspan((i - first) * width, width);
    score.logprob += logprob_of(row, ids[i]);
    score.is_greedy = score.is_greedy && std::max_element(row.begin(), row.end()) - row.begin() == ids[i];
  }
  return score;
}

}  // namespace phial::generate

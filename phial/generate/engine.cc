#include "phial/generate/engine.h"

#include <algorithm>
#include <utility>

#include "phial/generate/model_drafter.h"
#include "phial/generate/open_tokenizer.h"
#include "phial/generate/sampler.h"
#include "phial/generate/sessions.h"
#include "phial/spec/variants.h"

namespace phial::generate {
namespace {

constexpr int kDefaultContext = 4096;
constexpr size_t kChunk = 512;  // between two looks at the cancellation

std::vector<Picture> pictures_of(std::span<const Message> messages) {
  std::vector<Picture> all;
  for (const Message& message : messages) all.insert(all.end(), message.pictures.begin(), message.pictures.end());
  return all;
}

std::vector<Picture> pictures_of(const GenerateRequest& request) {
  return request.ids.empty() ? pictures_of(request.messages) : request.pictures;
}

}  // namespace

Engine::Engine() = default;
Engine::~Engine() = default;

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
  if (options.sessions < 1) {
    return Error{Code::kInvalid, std::to_string(options.sessions) + " sessions are asked", "one or more can run"};
  }
  std::unique_ptr<Engine> engine(new Engine());
  engine->name_ = spec.name;
  engine->context_tokens_ =
      options.context_tokens > 0 ? options.context_tokens : std::min(spec.context, kDefaultContext);
  PHIAL_TRY(const auto eye,
            model::ImageEncoder::find(checkpoint, spec.hidden_dim, options.projector, options.load, options.log));
  PHIAL_TRY(const uint64_t vision_bytes, Pictures::bytes(eye.get(), spec, options.precision, pool.threads()));
  PHIAL_TRY(engine->plan_, model::Decoder::plan(*checkpoint, spec, options.precision, pool.threads(),
                                                {.context_tokens = engine->context_tokens_,
                                                 .kv = options.kv_type,
                                                 .sessions = options.sessions,
                                                 .vision_bytes = vision_bytes}));
  options.log(Severity::kDetail, "memory plan: " + engine->plan_.text());
  PHIAL_CHECKED(engine->plan_.check(path, model::ContextIs::kFlag));

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
  if (!options.prompt_cache.empty()) engine->model_hash_ = model_hash(*checkpoint);  // before tensors are held
  PHIAL_TRY(engine->decoder_, model::Decoder::load(checkpoint, spec, options.precision, pool, options.log));
  PHIAL_TRY(engine->pictures_, Pictures::open(eye, spec, options.precision, pool));
  PHIAL_TRY(model::KvCache empty, engine->decoder_->make_cache(engine->context_tokens_, engine->plan_.kv_type));
  engine->sessions_ = std::make_unique<Sessions>(*engine->decoder_, engine->pictures_.get(), std::move(empty),
                                                 SessionsOptions{.most_running = options.sessions,
                                                                 .kv_bytes = engine->plan_.kv_bytes,
                                                                 .rope_policy = options.rope_policy,
                                                                 .drafts = options.drafting != Drafting::kOff,
                                                                 .log = options.log});
  if (!options.prompt_cache.empty()) {
    engine->prompt_cache_ = options.prompt_cache;
    PHIAL_CHECKED(engine->sessions_->read_prompts(options.prompt_cache, engine->model_hash_));
  }
  engine->draft_tokens_ = options.draft_tokens;
  if (options.drafting == Drafting::kModel) {
    PHIAL_TRY(engine->model_drafter_, ModelDrafter::open(options.draft_model, options, *engine, pool));
  }
  return engine;
}

Result<const tokenizer::Tokenizer*> Engine::tokenizer() const {
  if (tokenizer_) return tokenizer_.get();
  return Error{Code::kInvalid, "the model '" + name_ + "' has no tokenizer",
               "get it with its tokenizer; 'generate' and 'logits' take token ids (--ids) instead"};
}

uint64_t Engine::parameters() const { return spec::parameters(spec()); }

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
  return Error{Code::kInvalid, "the model '" + name_ + "' does not see pictures",
               "take one that does: Phi-3-vision, in GGUF with its projector file"};
}

Result<std::vector<int32_t>> Engine::prompt_ids(const GenerateRequest& request) const {
  if (!request.ids.empty()) {
    PHIAL_CHECKED(picture_tokens(request.pictures));
    return request.ids;
  }
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

Status Engine::run(std::span<const int32_t> ids, size_t first_row, const std::stop_token& cancel,
                   const OnRows& on_rows) {
  if (ids.empty() || first_row >= ids.size()) return Error{Code::kInvalid, "there are no tokens to run", ""};
  PHIAL_CHECKED(check_length(ids.size(), 0));
  if (const auto bad = std::ranges::find_if(ids, [](int32_t id) { return id < 0; }); bad != ids.end()) {
    return Error{Code::kInvalid, "token id " + std::to_string(*bad) + " is outside the vocabulary", "use ids from 0"};
  }
  CachedSequence sequence = sessions_->borrow(ids, first_row, ids.size());
  std::vector<float> rows;
  Status done = ok();
  while (done && sequence.ids.size() < ids.size()) {
    if (cancel.stop_requested()) {
      done = Error{Code::kCancelled, "stopped", ""};
    } else {
      done = run_chunk(ids, first_row, sequence, rows, on_rows);
    }
  }
  sequence.truncate(sequence.ids.size());
  sessions_->give_back(std::move(sequence));
  return done;
}

Status Engine::run_chunk(std::span<const int32_t> ids, size_t first_row, CachedSequence& sequence,
                         std::vector<float>& rows, const OnRows& on_rows) {
  const size_t at = sequence.ids.size();
  const auto chunk = ids.subspan(at, std::min(kChunk, ids.size() - at));
  const size_t end = at + chunk.size();
  const auto which = end <= first_row       ? model::LogitsOf::kNone
                     : first_row + 1 >= end ? model::LogitsOf::kLast
                                            : model::LogitsOf::kAll;
  PHIAL_CHECKED(
      decoder_->forward({.ids = chunk, .table = sequence.table, .logits_of = which, .cache = &sequence.cache}, rows));
  sequence.ids.insert(sequence.ids.end(), chunk.begin(), chunk.end());
  if (which == model::LogitsOf::kLast) return on_rows(end - 1, rows);
  if (which == model::LogitsOf::kNone) return ok();
  const size_t first = std::max(first_row, at);
  return on_rows(first, std::span(rows).subspan((first - at) * static_cast<size_t>(spec().vocab_size)));
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

Result<SessionId> Engine::join(GenerateRequest request, OnText on_text) {
  const auto start = Session::Clock::now();
  PHIAL_CHECKED(validate(request.sampling));
  PHIAL_TRY(std::vector<int32_t> prompt, prompt_ids(request));
  int most_tokens = request.max_tokens;
  if (request.within_context && most_tokens > 1) {
    most_tokens = std::clamp(context_tokens_ - static_cast<int>(prompt.size()), 1, most_tokens);
  }
  PHIAL_CHECKED(check_length(prompt.size(), most_tokens));
  std::vector<Picture> pictures = pictures_of(request);
  for (Message& message : request.messages) {  // the task holds them as long as they are needed
    message.pictures.clear();
    message.picture_at.clear();
  }
  const Pen pen = {.tokenizer = tokenizer_.get(),
                   .end_ids = end_ids_,
                   .drafter = model_drafter_.get(),
                   .draft_length = &draft_length_,
                   .draft_tokens = draft_tokens_};
  return sessions_->join({.request = std::move(request),
                          .on_text = std::move(on_text),
                          .prompt = std::move(prompt),
                          .pictures = std::move(pictures),
                          .most_tokens = most_tokens,
                          .pen = pen,
                          .start = start});
}

std::vector<EndedSession> Engine::step() {
  std::vector<EndedSession> ended = std::exchange(ended_, {});
  for (EndedSession& one : sessions_->step()) ended.push_back(std::move(one));
  return ended;
}

bool Engine::idle() const { return ended_.empty() && sessions_->idle(); }

Status Engine::write_prompt_cache() {
  return prompt_cache_.empty() ? ok() : sessions_->write_prompts(prompt_cache_, model_hash_);
}

void Engine::abandon() {
  ended_.clear();
  sessions_->abandon();
}

Result<Generation> Engine::generate(const GenerateRequest& request, const OnText& on_text) {
  PHIAL_TRY(const SessionId own, join(request, on_text));
  for (;;) {
    std::optional<Result<Generation>> result;
    for (EndedSession& one : sessions_->step()) {
      if (one.session == own) {
        result = std::move(one.generation);
      } else {
        ended_.push_back(std::move(one));
      }
    }
    if (result) return *std::move(result);
  }
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

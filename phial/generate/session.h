// One answer while it is written: which tokens the decoder runs next, and what their logits become.
//
// A round is next(), one pass of the decoder, then took(); take_back() instead if the pass failed. Used inside generate
// only. Threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "phial/generate/language_model.h"
#include "phial/generate/lookup_drafter.h"
#include "phial/generate/pictures.h"
#include "phial/generate/prefix_cache.h"
#include "phial/generate/sampler.h"
#include "phial/generate/speculation.h"
#include "phial/generate/text_stream.h"
#include "phial/model/decoder.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::generate {

// What an answer is written with; outlives the session.
struct Pen {
  const tokenizer::Tokenizer* tokenizer = nullptr;  // null: ids alone
  std::span<const int32_t> end_ids;
  Drafter* drafter = nullptr;  // null: looks things up in the sequence
  DraftLength* draft_length = nullptr;
  int draft_tokens = 0;
};

// What is to be written.
struct Task {
  GenerateRequest request;  // its sampling is valid
  LanguageModel::OnText on_text;
  std::vector<int32_t> prompt;    // not empty
  std::vector<Picture> pictures;  // id -k in it stands for a token of the k-th
  int most_tokens = 0;
  Pen pen;
  std::chrono::steady_clock::time_point start;  // from when the time is counted
};

class Session {
 public:
  using Clock = std::chrono::steady_clock;

  // `pictures`: the rows that the prompt's ids below 0 name. `cached` holds a beginning of the prompt, without its last
  // token at least.
  Session(Task task, PictureRows pictures, CachedSequence cached);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::span<const int32_t> sequence() const { return sequence_; }  // the prompt and what is written
  const CachedSequence& cached() const { return cached_; }
  int wanted_tokens() const { return task_.most_tokens - static_cast<int>(result_.ids.size()); }
  // Tokens that the cache lacks; one while the answer is written.
  size_t missing() const { return sequence_.size() - cached_.ids.size(); }
  bool has_begun() const { return !result_.ids.empty(); }

  // All positions are computed anew with these rotary factors if they have others now.
  void use_table(spec::RopeTable table);

  // A guess at what follows, of at most `room` tokens, for next(). Whoever asks for none learns nothing of the pass.
  Result<std::vector<int32_t>> draft(int room);

  // The next missing tokens, at most `most`, and behind the last of them `draft`. Stands until took() or take_back().
  model::Segment next(size_t most, std::span<const int32_t> draft = {});
  // `rows`: the logits of that segment; `pass_ms`: what the pass took.
  void took(std::span<const float> rows, double pass_ms);
  void take_back() { cached_.truncate(cached_.ids.size()); }

  void cancel_if_asked();
  bool ended() const { return ended_.has_value(); }
  // Hands over the last of the text, and leaves the cache to whoever keeps it.
  Generation finish();
  CachedSequence leave() { return std::move(cached_); }

 private:
  // The next token, from its logits. Why the answer ends with it, if it does.
  std::optional<StopReason> write(std::span<const float> row);
  void show(std::string_view bytes);
  double ms() const { return std::chrono::duration<double, std::milli>(Clock::now() - task_.start).count(); }

  Task task_;
  PictureRows pictures_;
  std::vector<int32_t> sequence_;
  CachedSequence cached_;
  std::vector<int32_t> fed_;        // by next(); behind those of the sequence stands the draft
  std::vector<const float*> rows_;  // of pictures, at their ids in fed_
  bool has_guessed_ = false;        // draft() was asked since the last pass
  LookupDrafter lookup_;
  Speculation speculation_;
  Sampler sampler_;
  TextStream stream_;
  bool drop_space_;  // SentencePiece begins an answer with the space that stands before every word
  Generation result_;
  std::optional<StopReason> ended_;
};

}  // namespace phial::generate

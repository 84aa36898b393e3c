// Answers that are written side by side: each step is one pass of the decoder over all of them.
//
// Sessions join and leave between steps. One that reads its prompt takes part with a chunk of it, so that those that
// write are held up by no more than a chunk. A prompt that begins like one that was computed before, or like one that
// is being computed, shares its keys and values. What a session writes is what it would write alone, to the bit. One
// that is alone drafts (speculation.h); several have no arithmetic left over for it. LongRoPE's table follows the
// reference: docs/sources.md. Used inside generate only. Threads: one at a time.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "phial/base/log.h"
#include "phial/generate/language_model.h"
#include "phial/generate/prefix_cache.h"
#include "phial/generate/prompt_file.h"
#include "phial/generate/session.h"
#include "phial/model/decoder.h"
#include "phial/spec/rope.h"

namespace phial::generate {

struct SessionsOptions {
  int most_running = 1;
  uint64_t kv_bytes = 0;  // of keys and values of all that run and all that is kept
  spec::RopePolicy rope_policy = spec::RopePolicy::kDynamic;
  bool drafts = true;
  Log log = no_log;
};

class Sessions {
 public:
  // `empty`: of the decoder, as long as its context; all others are forks of it. `pictures` is null if the model does
  // not see.
  Sessions(const model::Decoder& decoder, Pictures* pictures, model::KvCache empty, const SessionsOptions& options)
      : decoder_(decoder), pictures_(pictures), empty_(std::move(empty)), options_(options) {}

  // The session runs as soon as fewer than most_running do. Promise: the prompt and most_tokens fit into the context.
  SessionId join(Task task);
  // One pass for all that run, after the pictures of those that begin were looked at. Tells those that have ended.
  std::vector<EndedSession> step();
  bool idle() const { return waiting_.empty() && running_.empty(); }
  void abandon();  // Engine::abandon

  // A sequence to compute on: what is known of `ids` before `most`, with the rotary factors of all of them. Makes room
  // for `positions` that it will hold.
  CachedSequence borrow(std::span<const int32_t> ids, size_t most, size_t positions);
  void give_back(CachedSequence sequence) { kept_.keep(std::move(sequence)); }

  // What is kept of those that have ended, in a file (prompt_file.h).
  Status read_prompts(const std::filesystem::path& path, uint64_t model_hash);
  Status write_prompts(const std::filesystem::path& path, uint64_t model_hash);

 private:
  struct Waiting {
    SessionId id = 0;
    Task task;
  };
  struct Running {
    SessionId id = 0;
    std::unique_ptr<Session> session;
    std::optional<Error> failed = std::nullopt;
  };
  spec::RopeTable table_of(size_t tokens) const {
    return spec::choose_rope_table(decoder_.spec(), options_.rope_policy, static_cast<int>(tokens));
  }
  void end_cancelled(std::vector<EndedSession>& ended);  // of those that wait
  void admit(std::vector<EndedSession>& ended);
  // What those that run will hold at most.
  uint64_t running_bytes() const;
  uint64_t bytes_of(size_t positions) const {
    return model::KvCache::bytes_for(decoder_.spec(), static_cast<int>(positions), empty_.type());
  }
  int draft_room(const Session& session) const;
  // The pass of those that have not ended; what fails alone ends alone.
  void pass();
  std::optional<model::Segment> next_of(Running& one, size_t prompt_tokens);
  void pass_alone(Running& one);
  void collect(std::vector<EndedSession>& ended);  // of those that ran

  const model::Decoder& decoder_;
  Pictures* pictures_;
  model::KvCache empty_;
  SessionsOptions options_;
  PrefixCache kept_;
  std::deque<Waiting> waiting_;
  std::vector<Running> running_;
  SessionId last_id_ = 0;
  std::vector<float> logits_;
};

}  // namespace phial::generate

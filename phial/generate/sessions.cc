#include "phial/generate/sessions.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace phial::generate {
namespace {

constexpr size_t kPromptTokensAStep = 256;  // of all sessions; one chunk of the decoder

double ms_since(Session::Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Session::Clock::now() - start).count();
}

Generation stopped_before_it_began(const Task& task) {
  Generation nothing;
  nothing.prompt_tokens = static_cast<int>(task.prompt.size());
  nothing.stop = StopReason::kCancelled;
  return nothing;
}

}  // namespace

SessionId Sessions::join(Task task) {
  waiting_.push_back({.id = ++last_id_, .task = std::move(task)});
  return last_id_;
}

void Sessions::abandon() {
  waiting_.clear();
  running_.clear();
  kept_.shrink(0);
  logits_ = {};
}

CachedSequence Sessions::borrow(std::span<const int32_t> ids, size_t most, size_t positions) {
  const auto table = table_of(ids.size());
  const auto wanted = ids.first(most);
  const Session* longest = nullptr;
  size_t known = 0;
  for (const Running& one : running_) {
    const CachedSequence& cached = one.session->cached();
    const size_t common = common_tokens(cached.ids, wanted);
    if (cached.table == table && common > known) {
      longest = one.session.get();
      known = common;
    }
  }
  CachedSequence sequence = {.ids = {}, .table = table, .cache = empty_.fork(0)};
  if (auto found = kept_.find(wanted, table, known)) {
    sequence = *std::move(found);
  } else if (longest != nullptr) {
    sequence.cache = longest->cached().cache.fork(static_cast<int>(known));
    sequence.ids.assign(ids.begin(), ids.begin() + sequence.cache.length());
  }
  const uint64_t taken = running_bytes() + bytes_of(positions);
  kept_.shrink(options_.kv_bytes - std::min(options_.kv_bytes, taken));
  return sequence;
}

Status Sessions::read_prompts(const std::filesystem::path& path, uint64_t model_hash) {
  PHIAL_TRY(std::vector<CachedSequence> sequences, read_prompt_file(path, model_hash, empty_, options_.kv_bytes));
  for (auto it = sequences.rbegin(); it != sequences.rend(); ++it) kept_.keep(std::move(*it));
  kept_.set_saved();
  return ok();
}

Status Sessions::write_prompts(const std::filesystem::path& path, uint64_t model_hash) {
  if (!kept_.has_unsaved()) return ok();
  PHIAL_CHECKED(write_prompt_file(path, model_hash, kept_.sequences(), empty_));
  kept_.set_saved();
  return ok();
}

uint64_t Sessions::running_bytes() const {
  uint64_t bytes = 0;
  for (const Running& one : running_) {
    bytes += bytes_of(one.session->sequence().size() + static_cast<size_t>(std::max(one.session->wanted_tokens(), 0)));
  }
  return bytes;
}

void Sessions::end_cancelled(std::vector<EndedSession>& ended) {
  std::erase_if(waiting_, [&](const Waiting& one) {
    if (!one.task.request.cancel.stop_requested()) return false;
    ended.push_back({one.id, stopped_before_it_began(one.task)});
    return true;
  });
}

void Sessions::admit(std::vector<EndedSession>& ended) {
  while (!waiting_.empty() && running_.size() < static_cast<size_t>(options_.most_running)) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    Task& task = next.task;
    PictureRows rows;
    if (pictures_ != nullptr) {
      auto placed = pictures_->place(task.prompt, task.pictures, task.request.cancel);
      if (!placed) {
        const bool is_stopped = placed.error().code == Code::kCancelled;
        ended.push_back({next.id, is_stopped ? Result<Generation>(stopped_before_it_began(task)) : placed.error()});
        continue;
      }
      rows = *std::move(placed);
    }
    CachedSequence cached =
        borrow(task.prompt, task.prompt.size() - 1, task.prompt.size() + static_cast<size_t>(task.most_tokens));
    auto session = std::make_unique<Session>(std::move(task), std::move(rows), std::move(cached));
    running_.push_back({.id = next.id, .session = std::move(session)});
  }
}

int Sessions::draft_room(const Session& session) const {
  const size_t fed = session.sequence().size();
  // The pass itself gives one token more than is drafted.
  int room = std::min(kMostDrafted, session.wanted_tokens() - 1);
  // One pass has one rotary table: that of its last row must be that of each row before it.
  while (room > 0 && table_of(fed + static_cast<size_t>(room)) != session.cached().table) --room;
  return std::max(room, 0);
}

std::vector<EndedSession> Sessions::step() {
  std::vector<EndedSession> ended;
  end_cancelled(ended);
  admit(ended);
  for (Running& one : running_) {
    one.session->cancel_if_asked();
    if (one.session->ended()) continue;
    const auto table = table_of(one.session->sequence().size());
    const size_t cached = one.session->cached().ids.size();
    if (table != one.session->cached().table && cached > 0) {
      options_.log(Severity::kDetail,
                   "the sequence crosses " + std::to_string(decoder_.spec().long_rope.original_context) + " tokens: " +
                       std::to_string(cached) + " cached positions are computed again with the other rotary factors");
    }
    one.session->use_table(table);
  }
  pass();
  collect(ended);
  return ended;
}

// What a session takes part with; nothing if it has ended or must wait.
std::optional<model::Segment> Sessions::next_of(Running& one, size_t prompt_tokens) {
  Session& session = *one.session;
  if (session.ended()) return std::nullopt;
  if (session.missing() > 1) {
    if (prompt_tokens == 0) return std::nullopt;
    return session.next(prompt_tokens);
  }
  // The prompt goes without a draft: the first token is to be there as soon as may be.
  if (running_.size() > 1 || !session.has_begun()) return session.next(1);
  const auto draft = session.draft(options_.drafts ? draft_room(session) : 0);
  if (draft) return session.next(1, *draft);
  session.cancel_if_asked();
  if (!session.ended()) one.failed = draft.error();
  return std::nullopt;
}

void Sessions::pass() {
  std::vector<model::Segment> segments;
  std::vector<Running*> of;
  size_t prompt_tokens = kPromptTokensAStep;
  for (Running& one : running_) {
    const auto segment = next_of(one, prompt_tokens);
    if (!segment) continue;
    if (segment->ids.size() > 1) prompt_tokens -= std::min(prompt_tokens, segment->ids.size());
    segments.push_back(*segment);
    of.push_back(&one);
  }
  if (segments.empty()) return;
  const auto start = Session::Clock::now();
  if (Status done = decoder_.forward(segments, logits_); !done) {
    const bool is_plain = segments.size() == 1 && segments[0].logits_of != model::LogitsOf::kAll;
    if (is_plain) of[0]->failed = done.error();
    // One bad sequence, or a wrong guess that takes a damaged model to numbers that the answer itself never meets.
    for (Running* one : of) one->session->take_back();
    for (Running* one : of) {
      if (!one->failed) pass_alone(*one);
    }
    return;
  }
  const double pass_ms = ms_since(start);
  const auto width = static_cast<size_t>(decoder_.spec().vocab_size);
  std::span<const float> rows = logits_;
  for (size_t i = 0; i < of.size(); ++i) {
    const size_t wanted = model::rows_of(segments[i]) * width;
    of[i]->session->took(rows.first(wanted), pass_ms);
    rows = rows.subspan(wanted);
  }
}

void Sessions::pass_alone(Running& one) {
  const auto start = Session::Clock::now();
  const Status done = decoder_.forward(one.session->next(kPromptTokensAStep), logits_);
  if (done) return one.session->took(logits_, ms_since(start));
  one.session->take_back();
  one.failed = done.error();
}

void Sessions::collect(std::vector<EndedSession>& ended) {
  for (auto it = running_.begin(); it != running_.end();) {
    if (!it->failed && !it->session->ended()) {
      ++it;
      continue;
    }
    if (it->failed && it->failed->code == Code::kOutOfMemory) {
      kept_.shrink(0);  // its pages serve those that go on
    } else {
      kept_.keep(it->session->leave());
    }
    if (it->failed) {
      ended.push_back({it->id, *std::move(it->failed)});
    } else {
      ended.push_back({it->id, it->session->finish()});
    }
    it = running_.erase(it);
  }
}

}  // namespace phial::generate

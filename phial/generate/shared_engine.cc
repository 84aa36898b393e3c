#include "phial/generate/shared_engine.h"

#include <utility>

namespace phial::generate {

// Somebody's turn with the engine, alone. The lock is open meanwhile, and held again afterwards.
class SharedEngine::Turn {
 public:
  Turn(SharedEngine& shared, Lock& lock) : shared_(shared), lock_(lock) {
    ++shared_.waiting_;
    shared_.changed_.wait(lock_, [&] { return !shared_.in_use_; });
    --shared_.waiting_;
    shared_.in_use_ = true;
    lock_.unlock();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    lock_.lock();
    shared_.in_use_ = false;
    shared_.changed_.notify_all();
  }

 private:
  SharedEngine& shared_;
  Lock& lock_;
};

Result<SessionId> SharedEngine::join(Lock& lock, GenerateRequest request, const std::shared_ptr<Call>& call) {
  const Turn turn(*this, lock);
  return engine_->join(std::move(request), [this, call](std::string_view piece) {
    const std::scoped_lock own(mutex_);
    call->text += piece;
  });
}

void SharedEngine::step(Lock& lock) {
  std::vector<EndedSession> ended;
  std::exception_ptr thrown;
  {
    const Turn turn(*this, lock);
    try {
      ended = engine_->step();
    } catch (...) {
      thrown = std::current_exception();
      engine_->abandon();
    }
  }
  if (thrown) {
    for (const auto& [id, call] : calls_) call->thrown = thrown;
    calls_.clear();
  }
  for (EndedSession& one : ended) {
    const auto of = calls_.find(one.session);
    if (of == calls_.end()) continue;  // its caller has left
    of->second->result = std::move(one.generation);
    calls_.erase(of);
  }
  changed_.notify_all();
}

Result<Generation> SharedEngine::wait(Lock& lock, Call& call, const OnText& on_text) {
  for (;;) {
    if (!call.text.empty()) {
      const std::string text = std::exchange(call.text, {});
      lock.unlock();
      if (on_text) on_text(text);
      lock.lock();
    } else if (call.result) {
      return *std::move(call.result);
    } else if (call.thrown) {
      std::rethrow_exception(call.thrown);
    } else if (!in_use_ && waiting_ == 0) {  // whoever wants to join goes first
      step(lock);
    } else {
      changed_.wait(lock);
    }
  }
}

Result<Generation> SharedEngine::generate(const GenerateRequest& request, const OnText& on_text) {
  std::stop_source left;
  const std::stop_callback forward(request.cancel, [&left] { left.request_stop(); });
  GenerateRequest own = request;
  own.cancel = left.get_token();
  const auto call = std::make_shared<Call>();
  Lock lock(mutex_);
  PHIAL_TRY(const SessionId id, join(lock, std::move(own), call));
  try {
    calls_.emplace(id, call);
    return wait(lock, *call, on_text);
  } catch (...) {
    // The engine drops the answer at its next step, whoever takes that.
    left.request_stop();
    if (!lock.owns_lock()) lock.lock();
    calls_.erase(id);
    throw;
  }
}

Result<ContinuationScore> SharedEngine::score(std::string_view prompt, std::string_view continuation) {
  Lock lock(mutex_);
  const Turn turn(*this, lock);
  return engine_->score(prompt, continuation);
}

Status SharedEngine::write_prompt_cache() {
  Lock lock(mutex_);
  const Turn turn(*this, lock);
  return engine_->write_prompt_cache();
}

}  // namespace phial::generate

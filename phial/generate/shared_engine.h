// An engine that any number of threads use at once: a LanguageModel whose calls may run together.
//
// Answers that are asked for at the same time are written side by side (Engine::join), each as it would be alone, to
// the bit. There is no thread of its own: of those that wait for an answer, one at a time takes the engine a step
// further for all. Text is handed to the thread that asked for it, outside every lock, so a slow reader holds up
// nobody else.
// An exception that leaves the engine (std::bad_alloc) or an on_text ends the answers that it concerns: it is thrown
// again by the calls that wait for them, and the engine goes on to serve.
#pragma once

#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "phial/generate/engine.h"

namespace phial::generate {

class SharedEngine final : public LanguageModel {
 public:
  explicit SharedEngine(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  Result<Generation> generate(const GenerateRequest& request, const OnText& on_text) override;
  Result<ContinuationScore> score(std::string_view prompt, std::string_view continuation) override;
  std::string_view name() const override { return engine_->name(); }
  int context_tokens() const override { return engine_->context_tokens(); }
  bool sees() const override { return engine_->sees(); }
  uint64_t parameters() const override { return engine_->parameters(); }
  int count_tokens(std::string_view text) const override { return engine_->count_tokens(text); }
  Result<int> count_prompt_tokens(std::span<const Message> messages) const override {
    return engine_->count_prompt_tokens(messages);
  }

  // As Engine's, between two steps of the answers that are being written.
  Status write_prompt_cache();

  // What never changes: its spec, plan and tokenizer.
  const Engine& engine() const { return *engine_; }

 private:
  // What has come for one answer, and its thread has not taken yet.
  struct Call {
    std::string text = {};
    std::optional<Result<Generation>> result = std::nullopt;
    std::exception_ptr thrown = nullptr;
  };
  class Turn;
  using Lock = std::unique_lock<std::mutex>;

  Result<SessionId> join(Lock& lock, GenerateRequest request, const std::shared_ptr<Call>& call);
  void step(Lock& lock);
  Result<Generation> wait(Lock& lock, Call& call, const OnText& on_text);

  std::unique_ptr<Engine> engine_;
  std::mutex mutex_;                 // of what follows; nobody computes under it
  std::condition_variable changed_;  // a turn or a step is over
  bool in_use_ = false;              // by the thread whose turn it is
  int waiting_ = 0;                  // threads that want a turn
  std::map<SessionId, std::shared_ptr<Call>> calls_;
};

}  // namespace phial::generate

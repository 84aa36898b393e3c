// A second, smaller model of the same vocabulary drafts: its likeliest tokens, one after the other.
//
// Source: speculative decoding, docs/sources.md. Threads: one at a time, with the pool that it was opened with.
#pragma once

#include <filesystem>
#include <memory>

#include "phial/base/thread_pool.h"
#include "phial/generate/drafter.h"
#include "phial/generate/engine.h"

namespace phial::generate {

class ModelDrafter final : public Drafter {
 public:
  // Errors are those of Engine::open; kInvalid if the vocabulary is not that of `writer`, for which it drafts.
  static Result<std::unique_ptr<ModelDrafter>> open(const std::filesystem::path& path, const EngineOptions& options,
                                                    const Engine& writer, ThreadPool& pool);

  // 1 as long as its context holds the sequence: all its guesses count alike.
  int look(std::span<const int32_t> sequence) override;
  Result<std::vector<int32_t>> draft(std::span<const int32_t> sequence, int most,
                                     const std::stop_token& cancel) override;

 private:
  explicit ModelDrafter(std::unique_ptr<Engine> model) : model_(std::move(model)) {}

  std::unique_ptr<Engine> model_;
};

}  // namespace phial::generate

// The flags of every verb in which a model writes: which model, how it runs, how it chooses.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "phial/cli/compute_flags.h"
#include "phial/cli/console.h"
#include "phial/generate/engine.h"

namespace phial::cli {

struct ModelFlags {
  std::optional<std::string> model = {};
  int context = 0;
  std::optional<std::string> draft = {}, prompt_cache = {}, projector = {};
  ComputeFlags compute = {};

  void describe_model(Flags& flags);
  void describe_running(Flags& flags);
  // For verbs that take pictures.
  void describe_projector(Flags& flags);
  // For verbs that call write_prompt_cache() of the engine when they are done.
  void describe_prompt_cache(Flags& flags);
  // Says so when the default model is used.
  Result<std::unique_ptr<generate::Engine>> open(ThreadPool& pool, Console& console) const;
};

struct SamplingFlags {
  // What holds unless the person says otherwise.
  int default_max_tokens = 256;
  float default_temperature = 0;
  generate::SamplingOptions sampling = {};
  std::vector<std::string> stop = {};
  std::optional<int> max_tokens = {};
  std::optional<float> temperature = {};
  bool greedy = false;

  void describe(Flags& flags);
  int chosen_max_tokens() const { return max_tokens.value_or(default_max_tokens); }
  generate::SamplingOptions chosen() const;
  // Sets how `request` samples and where it ends. The default number of tokens gives way where the context is short.
  void apply(generate::GenerateRequest& request) const;
};

}  // namespace phial::cli

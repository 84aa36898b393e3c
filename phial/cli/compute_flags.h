// How a model is loaded and run: the flags that every verb with a model shares.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "phial/base/log.h"
#include "phial/base/thread_pool.h"
#include "phial/cli/flags.h"
#include "phial/model/decoder.h"

namespace phial::cli {

struct LoadRequest {
  int context_tokens = 0;
  bool keeps_logits = false;    // the caller will hold a row of them for every token
  bool beyond_context = false;  // speed may be measured where the model was never trained
};

struct ComputeFlags {
  std::string precision = "fast";
  int threads = usable_cores();
  std::string load = "map", kv = "f16";
  int window_extra = 0;

  void describe(Flags& flags);
  // For verbs with a decoder, after describe().
  void describe_kv(Flags& flags);
  // For check() of those verbs: kInvalid if a small cache is asked of exact precision.
  Status check_kv() const;
  model::Precision chosen_precision() const;
  model::KvType chosen_kv() const;
  LoadMode load_mode() const;

  // Opens, plans (told with --verbose; kOutOfMemory if it cannot fit) and loads a decoder, with a warning of what makes
  // it slow.
  Result<std::unique_ptr<model::Decoder>> load_decoder(const std::filesystem::path& path, const LoadRequest& request,
                                                       ThreadPool& pool, const Log& log) const;
};

}  // namespace phial::cli

// Token shards to batches: windows of T tokens in a seeded order, each epoch's its own.
//
// Window w of a shard holds the tokens [w T, w T + T]; the last is only a target, and the first of the next window.
// What is left at a shard's end is not used. Documents that begin in a window get positions of their own; the target
// behind a document's last token does not count. The order is a function of the seed and the sample's number: that
// number is all the state there is. Errors: those of formats/token_shards; kInvalid if shards disagree, or there is no
// window. Threads: immutable once open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/token_shards.h"
#include "phial/train/batch.h"

namespace phial::train {

struct LoaderOptions {
  int64_t sequence_tokens = 0;  // T
  int64_t vocab_size = 0;       // of the model: the shards' may be smaller
  uint64_t seed = 0;
  uint64_t vocabulary_hash = 0;                       // of the model's tokenizer; 0: not known
  const char* length_field = "data.sequence_tokens";  // that sequence_tokens is a value of, for errors
};

// The shards that a configuration names: files, and folders of files that end in .tokens, these by name. kNotFound for
// a folder without one.
Result<std::vector<std::filesystem::path>> shard_files(const std::vector<std::string>& named);

class Loader : public BatchSource {
 public:
  // `paths`: in this order.
  static Result<Loader> open(const std::vector<std::filesystem::path>& paths, const LoaderOptions& options);

  uint64_t rows() const override { return window_ends_.back(); }  // windows of one epoch
  int64_t sequence_tokens() const { return options_.sequence_tokens; }
  // Hash of what the shards say of themselves and of where their documents end.
  uint64_t fingerprint() const override;

  Result<Batch> batch(uint64_t first, int64_t count) const override;

 private:
  Loader() = default;
  uint64_t window_of(uint64_t sample) const;

  LoaderOptions options_;
  std::vector<formats::TokenShard> shards_;
  std::vector<uint64_t> window_ends_;  // of each shard, counted over all
};

}  // namespace phial::train

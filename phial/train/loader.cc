#include "phial/train/loader.h"

#include <xxhash.h>

#include <algorithm>
#include <span>
#include <string>
#include <system_error>

#include "phial/train/shuffle.h"

namespace phial::train {
namespace {

struct Row {
  std::span<int64_t> ids, targets, positions, documents;
};

// `tokens`: the window's T + 1; `ends`: where documents end, of the shard; `first`: the window's place in it. True if
// no document begins inside.
bool fill(const Row& row, std::span<const int32_t> tokens, std::span<const uint64_t> ends, uint64_t first) {
  auto end = std::ranges::upper_bound(ends, first);
  int64_t position = 0, document = 0;
  for (size_t i = 0; i < row.ids.size(); ++i) {
    row.ids[i] = tokens[i];
    row.positions[i] = position++;
    row.documents[i] = document;
    const bool is_last = end != ends.end() && first + i + 1 == *end;
    row.targets[i] = is_last ? kIgnored : tokens[i + 1];
    if (is_last) {
      ++end;
      ++document;
      position = 0;
    }
  }
  return row.documents.back() == 0;
}

}  // namespace

Result<std::vector<std::filesystem::path>> shard_files(const std::vector<std::string>& named) {
  std::vector<std::filesystem::path> files;
  for (const std::string& name : named) {
    std::error_code failed;
    if (!std::filesystem::is_directory(name, failed)) {
      files.emplace_back(name);
      continue;
    }
    const size_t before = files.size();
    for (std::filesystem::directory_iterator at(name, failed), end; !failed && at != end; at.increment(failed)) {
      if (at->path().extension() == ".tokens") files.push_back(at->path());
    }
    if (files.size() == before) {
      return Error{Code::kNotFound, name + " holds no file that ends in .tokens", "name the shards themselves"};
    }
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
  }
  return files;
}

Result<Loader> Loader::open(const std::vector<std::filesystem::path>& paths, const LoaderOptions& options) {
  Loader loader;
  loader.options_ = options;
  uint64_t windows = 0, hash = options.vocabulary_hash;
  for (const std::filesystem::path& path : paths) {
    PHIAL_TRY(auto shard, formats::TokenShard::open(path));
    if (shard.header().vocab_size > static_cast<uint64_t>(options.vocab_size)) {
      return Error{Code::kInvalid,
                   path.string() + ": its vocabulary has " + std::to_string(shard.header().vocab_size) +
                       " tokens, the model's " + std::to_string(options.vocab_size),
                   "pack the data with the model's own tokenizer"};
    }
    const uint64_t own = shard.header().vocabulary_hash;
    if (hash != 0 && own != 0 && own != hash) {
      return Error{Code::kInvalid,
                   path.string() + ": packed with another tokenizer than the model's or the shards before it",
                   "pack all of them with the model's own"};
    }
    if (own != 0) hash = own;
    if (shard.n_tokens() > 0) windows += (shard.n_tokens() - 1) / static_cast<uint64_t>(options.sequence_tokens);
    loader.window_ends_.push_back(windows);
    loader.shards_.push_back(std::move(shard));
  }
  if (windows == 0) {
    return Error{
        Code::kInvalid,
        (paths.empty() ? "no shard is named" : paths.front().string() + " and the other shards are too short") +
            std::string(": there is no window of ") + std::to_string(options.sequence_tokens) + " tokens",
        std::string("give more data, or a smaller ") + options.length_field};
  }
  return loader;
}

uint64_t Loader::fingerprint() const {
  uint64_t hash = 0;
  for (const formats::TokenShard& shard : shards_) {
    const uint64_t own[] = {shard.header().vocab_size, shard.header().vocabulary_hash, shard.n_tokens()};
    hash = XXH3_64bits_withSeed(own, sizeof own, hash);
    hash = XXH3_64bits_withSeed(shard.document_ends().data(), shard.document_ends().size_bytes(), hash);
  }
  return hash;
}

uint64_t Loader::window_of(uint64_t sample) const {
  const uint64_t epoch = sample / rows();
  return Shuffle(rows(), seed_of_epoch(options_.seed, epoch))(sample % rows());
}

Result<Batch> Loader::batch(uint64_t first, int64_t count) const {
  const int64_t n = options_.sequence_tokens;
  const auto width = static_cast<size_t>(n);
  const at::Tensor empty = at::empty({count, n}, at::kLong);
  Batch batch = {.ids = empty,
                 .targets = at::empty_like(empty),
                 .positions = at::empty_like(empty),
                 .documents = at::empty_like(empty),
                 .one_document_a_row = true};
  std::vector<int32_t> tokens(width + 1);
  for (int64_t r = 0; r < count; ++r) {
    const uint64_t window = window_of(first + static_cast<uint64_t>(r));
    const auto shard = static_cast<size_t>(std::ranges::upper_bound(window_ends_, window) - window_ends_.begin());
    const uint64_t place = (window - (shard == 0 ? 0 : window_ends_[shard - 1])) * width;
    PHIAL_CHECKED(shards_[shard].read(place, tokens));
    const auto row_of = [&](const at::Tensor& all) { return std::span(all.data_ptr<int64_t>() + r * n, width); };
    const Row row = {row_of(batch.ids), row_of(batch.targets), row_of(batch.positions), row_of(batch.documents)};
    if (!fill(row, tokens, shards_[shard].document_ends(), place)) batch.one_document_a_row = false;
  }
  return batch;
}

}  // namespace phial::train

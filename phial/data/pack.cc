#include "phial/data/pack.h"

#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "phial/base/fnv.h"
#include "phial/base/output_file.h"
#include "phial/formats/documents.h"
#include "phial/formats/token_shards.h"
#include "phial/tokenizer/vocabulary_hash.h"

namespace phial::data {
namespace fs = std::filesystem;
namespace {

// As much text as is tokenized at once: enough for every thread, little enough for memory.
constexpr size_t kBatchBytes = size_t{4} << 20;

// The shards of one folder, begun when there is something to put into them.
class ShardFolder {
 public:
  ShardFolder(fs::path folder, const formats::TokenShardHeader& header, uint64_t shard_tokens)
      : folder_(std::move(folder)), header_(header), shard_tokens_(shard_tokens) {}

  Status append(std::span<const int32_t> document) {
    if (!writer_) {
      std::string name = std::to_string(part_.shards);
      name.insert(0, name.size() < 5 ? 5 - name.size() : 0, '0');
      PHIAL_CHECKED(make_folders(folder_));
      PHIAL_TRY(writer_, formats::TokenShardWriter::create(folder_ / (name + ".tokens"), header_));
      ++part_.shards;
    }
    PHIAL_CHECKED(writer_->append(document));
    ++part_.documents;
    part_.tokens += document.size();
    return writer_->n_tokens() < shard_tokens_ ? ok() : finish();
  }

  Status finish() {
    if (!writer_) return ok();
    PHIAL_CHECKED(writer_->finish());
    writer_.reset();
    return ok();
  }

  const PackedPart& part() const { return part_; }

 private:
  fs::path folder_;
  formats::TokenShardHeader header_;
  uint64_t shard_tokens_;
  std::optional<formats::TokenShardWriter> writer_;
  PackedPart part_;
};

// A number from 0 to below 1 that only the text decides; stirred, so that its high bits are even too.
double place_of(std::string_view text) {
  Fnv1a of_text;
  of_text.add(text);
  uint64_t hash = (of_text.value() ^ (of_text.value() >> 32)) * 0xD6E8FEB86659FD93;
  hash ^= hash >> 32;
  return std::ldexp(static_cast<double>(hash >> 11), -53);
}

class Packer {
 public:
  Packer(const tokenizer::Tokenizer& tokenizer, int32_t end, const fs::path& folder, const PackOptions& options,
         ThreadPool& pool)
      : tokenizer_(tokenizer),
        end_(end),
        options_(options),
        pool_(pool),
        train_(folder / "train", header(), options.shard_tokens),
        held_out_(folder / "held_out", header(), options.shard_tokens) {}

  Status add(std::vector<std::string>& texts) {
    std::vector<std::vector<int32_t>> ids(texts.size());
    pool_.parallel_for(texts.size(), 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        ids[i] = tokenizer_.encode(texts[i], {.add_bos = tokenizer_.adds_bos()});
        ids[i].push_back(end_);
      }
    });
    for (size_t i = 0; i < texts.size(); ++i) {
      text_bytes_ += texts[i].size();
      const bool is_held_out = options_.held_out > 0 && place_of(texts[i]) < options_.held_out;
      PHIAL_CHECKED((is_held_out ? held_out_ : train_).append(ids[i]));
    }
    texts.clear();
    return ok();
  }

  Result<PackReport> finish() {
    PHIAL_CHECKED(train_.finish());
    PHIAL_CHECKED(held_out_.finish());
    return PackReport{.train = train_.part(), .held_out = held_out_.part(), .text_bytes = text_bytes_};
  }
  uint64_t tokens() const { return train_.part().tokens + held_out_.part().tokens; }

 private:
  formats::TokenShardHeader header() const {
    return {.vocab_size = static_cast<uint32_t>(tokenizer_.vocab_size()),
            .vocabulary_hash = tokenizer::vocabulary_hash(tokenizer_)};
  }

  const tokenizer::Tokenizer& tokenizer_;
  int32_t end_;
  PackOptions options_;
  ThreadPool& pool_;
  ShardFolder train_, held_out_;
  uint64_t text_bytes_ = 0;
};

Status read_all(std::vector<formats::DocumentReader>& readers, Packer& packer, const std::stop_token& stop,
                const std::function<void(const PackProgress&)>& on_progress) {
  PackProgress progress;
  for (const formats::DocumentReader& reader : readers) progress.bytes += reader.bytes();
  std::vector<std::string> texts;
  size_t waiting = 0;
  uint64_t before = 0;  // bytes of the inputs that came before
  for (formats::DocumentReader& reader : readers) {
    for (;;) {
      PHIAL_TRY(auto text, reader.next());
      if (!text) break;
      waiting += text->size();
      texts.push_back(*std::move(text));
      if (waiting < kBatchBytes) continue;
      if (stop.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
      PHIAL_CHECKED(packer.add(texts));
      waiting = 0;
      progress.bytes_read = before + reader.bytes_read();
      progress.tokens = packer.tokens();
      on_progress(progress);
    }
    before += reader.bytes();
  }
  return packer.add(texts);
}

}  // namespace

Result<PackReport> pack(std::span<const fs::path> inputs, const tokenizer::Tokenizer& tokenizer, const fs::path& out,
                        const PackOptions& options, ThreadPool& pool, const std::stop_token& stop,
                        const std::function<void(const PackProgress&)>& on_progress) {
  const auto ends = tokenizer.end_of_text();
  if (ends.empty()) {
    return Error{Code::kInvalid, "the vocabulary has no end-of-text token to put between documents",
                 "take the tokenizer of a model that generates"};
  }
  std::vector<formats::DocumentReader> readers;
  for (const fs::path& input : inputs) {
    PHIAL_TRY(formats::DocumentReader reader, formats::DocumentReader::open(input));
    readers.push_back(std::move(reader));
  }
  PackReport report;
  PHIAL_CHECKED(write_beside(out, [&](const fs::path& folder) -> Status {
    Packer packer(tokenizer, ends.front(), folder, options, pool);
    if (Status read = read_all(readers, packer, stop, on_progress); !read) return read;
    PHIAL_TRY(report, packer.finish());
    if (report.train.documents > 0) return ok();
    return Error{Code::kInvalid, "the inputs hold no document to train on", ""};
  }));
  return report;
}

}  // namespace phial::data

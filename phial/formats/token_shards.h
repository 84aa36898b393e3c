// Tokens of many documents, one after the other: what `data` writes and `train` reads.
//
// Layout: docs/formats.md. A file holds whole documents, each ended by its last token (an end-of-text token, where the
// writer put one); ids are 16 bits wide where the vocabulary allows it, else 32.
// Errors: kCorrupt for a file that breaks its layout or was cut short, kIo, kNotFound; they name the file.
// Threads: a shard is immutable once open; a writer is used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/base/result.h"

namespace phial::formats {

struct TokenShardHeader {
  uint32_t vocab_size = 0;       // 1 to 2^31 - 1; every id is below it
  uint64_t vocabulary_hash = 0;  // of the tokenizer (tokenizer/vocabulary_hash.h); 0 where it is not known
};

class TokenShard {
 public:
  // Reads where documents end, not the tokens: opening a large shard takes no time.
  static Result<TokenShard> open(const std::filesystem::path& path);
  // The same of bytes that outlive the shard and begin at a multiple of 8; errors call them `named`.
  static Result<TokenShard> parse(std::span<const std::byte> bytes, std::string named);

  const TokenShardHeader& header() const { return header_; }
  uint64_t n_tokens() const { return n_tokens_; }
  // Position behind each document's last token, ascending; the last is n_tokens().
  std::span<const uint64_t> document_ends() const { return document_ends_; }

  // The ids at [first, first + ids.size()). Promise: they are inside the shard. kCorrupt for an id outside the
  // vocabulary.
  Status read(uint64_t first, std::span<int32_t> ids) const;

 private:
  TokenShard() = default;

  std::shared_ptr<const MappedFile> file_;  // what `tokens_` and `document_ends_` lie in; null: the caller's bytes
  std::string named_;
  TokenShardHeader header_;
  size_t token_bytes_ = 0;
  uint64_t n_tokens_ = 0;
  std::span<const std::byte> tokens_;
  std::span<const uint64_t> document_ends_;
};

class TokenShardWriter {
 public:
  // A new file: one that is there is an error. `header.vocab_size` is one a shard can have.
  static Result<TokenShardWriter> create(const std::filesystem::path& path, const TokenShardHeader& header);

  // One document. Promise: it is not empty and its ids lie in the vocabulary.
  Status append(std::span<const int32_t> document);
  uint64_t n_tokens() const { return document_ends_.empty() ? 0 : document_ends_.back(); }
  size_t n_documents() const { return document_ends_.size(); }

  // Nothing is a shard before this. On the disk when it returns.
  Status finish();

 private:
  TokenShardWriter(OutputFile file, const TokenShardHeader& header) : file_(std::move(file)), header_(header) {}
  Status flush();

  OutputFile file_;
  TokenShardHeader header_;
  std::vector<std::byte> waiting_;
  std::vector<uint64_t> document_ends_;
};

}  // namespace phial::formats

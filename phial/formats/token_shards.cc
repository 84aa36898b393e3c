#include "phial/formats/token_shards.h"

#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "phial/base/bytes.h"
#include "phial/base/check.h"

namespace phial::formats {
namespace {

constexpr std::string_view kMagic = "PHTOKENS";
constexpr std::string_view kEndMagic = "PHTOKEND";
constexpr uint32_t kShardVersion = 1;
constexpr size_t kFlushBytes = size_t{1} << 20;

struct Head {
  std::array<char, 8> magic{};
  uint32_t version = 0;
  uint32_t token_bytes = 0;
};

// At the end, because the counts are known there; and a file without it was cut short.
struct Tail {
  uint64_t n_documents = 0;
  uint64_t n_tokens = 0;
  uint64_t vocabulary_hash = 0;
  uint32_t vocab_size = 0;
  uint32_t reserved = 0;
  std::array<char, 8> magic{};
};
static_assert(sizeof(Head) == 16 && sizeof(Tail) == 40);

std::string_view view_of(const std::array<char, 8>& text) { return {text.data(), text.size()}; }

void put(std::array<char, 8>& to, std::string_view magic) { std::memcpy(to.data(), magic.data(), to.size()); }

// Ids are handed out as int32_t.
bool is_vocab_size(uint32_t n) { return n > 0 && n <= uint32_t{std::numeric_limits<int32_t>::max()}; }

uint32_t token_bytes_of(uint32_t vocab_size) {
  return vocab_size <= uint32_t{std::numeric_limits<uint16_t>::max()} + 1 ? sizeof(uint16_t) : sizeof(uint32_t);
}

constexpr uint64_t up_to_8(uint64_t bytes) { return (bytes + 7) / 8 * 8; }

Error broken(const std::string& named, const std::string& what) {
  return Error{Code::kCorrupt, named + ": " + what, "pack the documents again: 'phial data pack'"};
}

}  // namespace

Result<TokenShard> TokenShard::parse(std::span<const std::byte> bytes, std::string named) {
  Head head;
  Tail tail;
  if (bytes.size() < sizeof(Head)) return broken(named, "is too short for a token shard");
  std::memcpy(&head, bytes.data(), sizeof(Head));
  if (view_of(head.magic) != kMagic) return broken(named, "is no token shard");
  if (head.version != kShardVersion) {
    return broken(named, "is a token shard of version " + std::to_string(head.version) + ", version " +
                             std::to_string(kShardVersion) + " is read");
  }
  if (bytes.size() < sizeof(Head) + sizeof(Tail)) return broken(named, "is cut short");
  std::memcpy(&tail, bytes.data() + bytes.size() - sizeof(Tail), sizeof(Tail));
  if (view_of(tail.magic) != kEndMagic) return broken(named, "is cut short: its end is missing");
  if (!is_vocab_size(tail.vocab_size) || head.token_bytes != token_bytes_of(tail.vocab_size)) {
    return broken(named, "holds tokens of " + std::to_string(head.token_bytes) + " bytes for a vocabulary of " +
                             std::to_string(tail.vocab_size));
  }

  const uint64_t room = bytes.size() - sizeof(Head) - sizeof(Tail);
  uint64_t token_bytes = 0;
  uint64_t end_bytes = 0;
  if (!multiply_fits(tail.n_tokens, head.token_bytes, &token_bytes) || token_bytes > room ||
      !multiply_fits(tail.n_documents, sizeof(uint64_t), &end_bytes) || end_bytes > room ||
      up_to_8(token_bytes) + end_bytes != room) {
    return broken(named, "says it holds " + std::to_string(tail.n_tokens) + " tokens of " +
                             std::to_string(tail.n_documents) + " documents, its size says otherwise");
  }
  TokenShard shard;
  shard.header_ = {.vocab_size = tail.vocab_size, .vocabulary_hash = tail.vocabulary_hash};
  shard.token_bytes_ = head.token_bytes;
  shard.n_tokens_ = tail.n_tokens;
  shard.tokens_ = bytes.subspan(sizeof(Head), token_bytes);
  // A multiple of 8 from the start of a page.
  const std::byte* ends = bytes.data() + sizeof(Head) + up_to_8(token_bytes);
  shard.document_ends_ = {reinterpret_cast<const uint64_t*>(ends), static_cast<size_t>(tail.n_documents)};
  uint64_t last = 0;
  for (const uint64_t end : shard.document_ends_) {
    if (end <= last) return broken(named, "has a document that ends before it begins");
    last = end;
  }
  if (last != tail.n_tokens) return broken(named, "has documents that do not end where its tokens do");
  shard.named_ = std::move(named);
  return shard;
}

Result<TokenShard> TokenShard::open(const std::filesystem::path& path) {
  PHIAL_TRY(MappedFile mapped, MappedFile::open(path));
  const auto file = std::make_shared<const MappedFile>(std::move(mapped));
  PHIAL_TRY(TokenShard shard, parse(file->bytes(), path.string()));
  shard.file_ = file;
  return shard;
}

Status TokenShard::read(uint64_t first, std::span<int32_t> ids) const {
  PHIAL_CHECK(first <= n_tokens_ && ids.size() <= n_tokens_ - first);
  const std::byte* from = tokens_.data() + first * token_bytes_;
  for (int32_t& id : ids) {
    uint32_t value = 0;
    std::memcpy(&value, from, token_bytes_);
    from += token_bytes_;
    if (value >= header_.vocab_size) {
      return broken(named_, "holds token " + std::to_string(value) + ", its vocabulary has " +
                                std::to_string(header_.vocab_size));
    }
    id = static_cast<int32_t>(value);
  }
  return ok();
}

Result<TokenShardWriter> TokenShardWriter::create(const std::filesystem::path& path, const TokenShardHeader& header) {
  PHIAL_CHECK(is_vocab_size(header.vocab_size));
  PHIAL_TRY(OutputFile file, OutputFile::create(path));
  Head head{.version = kShardVersion, .token_bytes = token_bytes_of(header.vocab_size)};
  put(head.magic, kMagic);
  PHIAL_CHECKED(file.write(std::as_bytes(std::span(&head, 1))));
  return TokenShardWriter(std::move(file), header);
}

Status TokenShardWriter::append(std::span<const int32_t> document) {
  PHIAL_CHECK(!document.empty());
  const size_t token_bytes = token_bytes_of(header_.vocab_size);
  for (const int32_t id : document) {
    PHIAL_CHECK(id >= 0 && static_cast<uint32_t>(id) < header_.vocab_size);
    const auto* bytes = reinterpret_cast<const std::byte*>(&id);
    waiting_.insert(waiting_.end(), bytes, bytes + token_bytes);
  }
  document_ends_.push_back(n_tokens() + document.size());
  return waiting_.size() < kFlushBytes ? ok() : flush();
}

Status TokenShardWriter::flush() {
  PHIAL_CHECKED(file_.write(waiting_));
  waiting_.clear();
  return ok();
}

Status TokenShardWriter::finish() {
  const uint64_t token_bytes = n_tokens() * token_bytes_of(header_.vocab_size);
  waiting_.resize(waiting_.size() + (up_to_8(token_bytes) - token_bytes));
  PHIAL_CHECKED(flush());
  PHIAL_CHECKED(file_.write(std::as_bytes(std::span(document_ends_))));
  Tail tail{.n_documents = document_ends_.size(),
            .n_tokens = n_tokens(),
            .vocabulary_hash = header_.vocabulary_hash,
            .vocab_size = header_.vocab_size};
  put(tail.magic, kEndMagic);
  PHIAL_CHECKED(file_.write(std::as_bytes(std::span(&tail, 1))));
  return file_.finish();
}

}  // namespace phial::formats

#include "phial/generate/prompt_file.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "phial/base/append_bytes.h"
#include "phial/base/bytes.h"
#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/model/kv_file.h"

namespace phial::generate {
namespace {

constexpr std::string_view kPromptMagic = "PHPROMPT";
// Raised when the layout changes, or the bits that kernels compute.
constexpr uint32_t kPromptVersion = 1;
constexpr size_t kHashedAtOnce = size_t{64} << 20;

class Hash {
 public:
  Hash() : state_(XXH3_createState(), XXH3_freeState) { XXH3_64bits_reset(state_.get()); }
  void add(std::span<const std::byte> bytes) { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }
  void add(std::string_view text) {
    const uint64_t size = text.size();
    add(std::as_bytes(std::span(&size, 1)));
    add(std::as_bytes(std::span(text)));
  }
  uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

Error unusable(Code code, const std::string& what, std::string remedy = "name another file, or delete this one") {
  return Error{code, "it " + what, std::move(remedy)};
}

// Up to the first token that stands for a part of a picture.
std::vector<CachedSequence> without_pictures(const std::list<CachedSequence>& sequences) {
  std::vector<CachedSequence> kept;
  for (const CachedSequence& sequence : sequences) {
    const auto picture = std::ranges::find_if(sequence.ids, [](int32_t id) { return id < 0; });
    CachedSequence beginning = {.ids = {sequence.ids.begin(), picture},
                                .table = sequence.table,
                                .cache = sequence.cache.fork(static_cast<int>(picture - sequence.ids.begin()))};
    beginning.ids.resize(static_cast<size_t>(beginning.cache.length()));
    if (!beginning.ids.empty()) kept.push_back(std::move(beginning));
  }
  return kept;
}

Error of_file(const std::filesystem::path& path, Error error) {
  error.message = "the prompt cache " + path.string() + " is of no use here: " + error.message;
  return error;
}

// Whether a file that begins so is this model's, or empty.
Status check_head(std::span<const std::byte> bytes, uint64_t hash) {
  if (bytes.empty()) return ok();
  Reader in(bytes);
  const auto magic = in.text(kPromptMagic.size());
  if (!magic || *magic != kPromptMagic) return unusable(Code::kInvalid, "is no prompt cache", "name another file");
  PHIAL_TRY(const uint32_t version, in.u32());
  if (version != kPromptVersion) {
    return unusable(Code::kUnsupported, "has version " + std::to_string(version) + ", version " +
                                            std::to_string(kPromptVersion) + " is read");
  }
  PHIAL_CHECKED(in.u32());
  PHIAL_TRY(const uint64_t written_with, in.u64());
  return written_with == hash ? ok() : unusable(Code::kInvalid, "was written with another model or instruction set");
}

}  // namespace

uint64_t model_hash(const formats::Checkpoint& checkpoint) {
  Hash hash;
  hash.add(model::KvFile::instruction_set());
  hash.add(dump_json(checkpoint.metadata()));
  for (const MappedFile& file : checkpoint.files()) {
    const std::span<const std::byte> bytes = file.bytes();
    for (size_t at = 0; at < bytes.size(); at += kHashedAtOnce) {
      const auto part = bytes.subspan(at, std::min(kHashedAtOnce, bytes.size() - at));
      hash.add(part);
      file.forget(part);
    }
  }
  return hash.value();
}

Status write_prompt_file(const std::filesystem::path& path, uint64_t hash, const std::list<CachedSequence>& sequences,
                         const model::KvCache& like) {
  // Another program may have put something there since it was read.
  if (const auto there = MappedFile::open(path)) {
    if (Status ours = check_head(there->bytes(), hash); !ours) return of_file(path, std::move(ours).error());
  } else if (there.error().code != Code::kNotFound) {
    return there.error();
  }
  const std::vector<CachedSequence> kept = without_pictures(sequences);
  std::vector<std::byte> head;
  append_bytes(head, std::span(kPromptMagic));
  append_bytes(head, kPromptVersion);
  append_bytes(head, static_cast<uint32_t>(kept.size()));
  append_bytes(head, hash);
  std::vector<const model::KvCache*> caches;
  for (const CachedSequence& sequence : kept) {
    append_bytes(head, static_cast<uint32_t>(sequence.table));
    append_bytes(head, static_cast<uint32_t>(sequence.ids.size()));
    append_bytes(head, std::span(sequence.ids));
    caches.push_back(&sequence.cache);
  }
  return replace_private_file(path, [&](OutputFile& file) -> Status {
    Hash sum;
    const auto write = [&](std::span<const std::byte> bytes) {
      sum.add(bytes);
      return file.write(bytes);
    };
    PHIAL_CHECKED(write(head));
    PHIAL_CHECKED(model::KvFile::write(like, caches, write));
    const uint64_t value = sum.value();
    return file.write(std::as_bytes(std::span(&value, 1)));
  });
}

Result<std::vector<CachedSequence>> parse_prompts(std::span<const std::byte> bytes, uint64_t hash,
                                                  const model::KvCache& like, uint64_t most_bytes) {
  PHIAL_CHECKED(check_head(bytes, hash));
  Reader in(bytes);
  PHIAL_CHECKED(in.take(kPromptMagic.size() + sizeof kPromptVersion));
  PHIAL_TRY(const uint32_t n_sequences, in.u32());
  PHIAL_CHECKED(in.u64());
  std::vector<std::pair<spec::RopeTable, std::vector<int32_t>>> known;
  for (uint32_t i = 0; i < n_sequences; ++i) {
    PHIAL_TRY(const uint32_t table, in.u32());
    if (table > static_cast<uint32_t>(spec::RopeTable::kLong)) return unusable(Code::kCorrupt, "is damaged");
    PHIAL_TRY(const uint32_t n_ids, in.u32());
    if (n_ids == 0) return unusable(Code::kCorrupt, "is damaged");
    PHIAL_TRY(const auto stored, in.take(uint64_t{n_ids} * sizeof(int32_t)));
    std::vector<int32_t> ids(n_ids);
    std::memcpy(ids.data(), stored.data(), stored.size());
    if (std::ranges::any_of(ids, [](int32_t id) { return id < 0; })) return unusable(Code::kCorrupt, "is damaged");
    known.emplace_back(static_cast<spec::RopeTable>(table), std::move(ids));
  }
  PHIAL_TRY(auto caches, model::KvFile::read(in, like, most_bytes));
  if (caches.size() != known.size() || in.left() > 0) return unusable(Code::kCorrupt, "is damaged");
  std::vector<CachedSequence> sequences;
  for (size_t i = 0; i < known.size(); ++i) {
    if (!caches[i]) continue;
    if (known[i].second.size() != static_cast<size_t>(caches[i]->length())) {
      return unusable(Code::kCorrupt, "is damaged");
    }
    sequences.push_back({.ids = std::move(known[i].second), .table = known[i].first, .cache = *std::move(caches[i])});
  }
  return sequences;
}

Result<std::vector<CachedSequence>> read_prompt_file(const std::filesystem::path& path, uint64_t hash,
                                                     const model::KvCache& like, uint64_t most_bytes) {
  const auto file = MappedFile::open(path);
  if (!file && file.error().code == Code::kNotFound) return std::vector<CachedSequence>();
  if (!file) return file.error();
  const std::span<const std::byte> bytes = file->bytes();
  if (bytes.empty()) return std::vector<CachedSequence>();
  // A file of something else, or of a later version, is called that and not damaged.
  if (Status ours = check_head(bytes, hash); !ours) return of_file(path, std::move(ours).error());
  uint64_t sum = 0;
  const auto body = bytes.first(bytes.size() - sizeof sum);
  std::memcpy(&sum, bytes.data() + body.size(), sizeof sum);
  Hash found;
  found.add(body);
  if (found.value() != sum) return of_file(path, unusable(Code::kCorrupt, "is damaged", "delete it; it is made anew"));
  auto sequences = parse_prompts(body, hash, like, most_bytes);
  if (!sequences) return of_file(path, std::move(sequences).error());
  return sequences;
}

}  // namespace phial::generate

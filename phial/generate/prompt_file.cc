#include "phial/generate/prompt_file.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "phial/base/bytes.h"
#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/model/kv_file.h"

namespace phial::generate {
namespace {

constexpr std::string_view kPromptMagic = "PHPROMPT";
constexpr uint32_t kPromptVersion = 1;

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

template <class T>
void put(std::vector<std::byte>& to, std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  to.insert(to.end(), bytes.begin(), bytes.end());
}
template <class T>
void put(std::vector<std::byte>& to, const T& value) {
  put(to, std::span<const T>(&value, 1));
}

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

}  // namespace

Result<uint64_t> model_hash(const formats::Checkpoint& checkpoint) {
  Hash hash;
  hash.add(dump_json(checkpoint.metadata()));
  for (const formats::Tensor& tensor : checkpoint.tensors()) {
    PHIAL_CHECKED(checkpoint.hold(tensor.bytes));
    hash.add(tensor.name + " " + std::string(tensor::info(tensor.dtype).name) + " " +
             formats::shape_text(tensor.shape));
    hash.add(tensor.bytes);
    checkpoint.release(tensor.bytes);
  }
  return hash.value();
}

Status write_prompt_file(const std::filesystem::path& path, uint64_t hash, const std::list<CachedSequence>& sequences,
                         const model::KvCache& like) {
  const std::vector<CachedSequence> kept = without_pictures(sequences);
  std::vector<std::byte> head;
  put(head, std::span(kPromptMagic));
  put(head, kPromptVersion);
  put(head, static_cast<uint32_t>(kept.size()));
  put(head, hash);
  for (const CachedSequence& sequence : kept) {
    put(head, static_cast<uint32_t>(sequence.table));
    put(head, static_cast<uint32_t>(sequence.ids.size()));
    put(head, std::span(sequence.ids));
  }
  model::FileParts parts;
  parts.add(std::move(head));
  std::vector<const model::KvCache*> caches;
  for (const CachedSequence& sequence : kept) caches.push_back(&sequence.cache);
  model::KvFile::append(like, caches, parts);
  Hash sum;
  for (const auto& part : parts.parts) sum.add(part);
  std::vector<std::byte> end;
  put(end, sum.value());
  parts.add(std::move(end));
  return write_file_atomically(path, parts.parts);
}

Result<std::vector<CachedSequence>> parse_prompts(std::span<const std::byte> bytes, uint64_t hash,
                                                  const model::KvCache& like) {
  Reader in(bytes);
  PHIAL_TRY(const std::string_view magic, in.text(kPromptMagic.size()));
  if (magic != kPromptMagic) return unusable(Code::kInvalid, "is no prompt cache", "name another file");
  PHIAL_TRY(const uint32_t version, in.u32());
  if (version != kPromptVersion) {
    return unusable(Code::kUnsupported, "has version " + std::to_string(version) + ", version " +
                                            std::to_string(kPromptVersion) + " is read");
  }
  PHIAL_TRY(const uint32_t n_sequences, in.u32());
  PHIAL_TRY(const uint64_t written_with, in.u64());
  if (written_with != hash) return unusable(Code::kInvalid, "was written with another model");
  std::vector<std::pair<spec::RopeTable, std::vector<int32_t>>> known;
  for (uint32_t i = 0; i < n_sequences; ++i) {
    PHIAL_TRY(const uint32_t table, in.u32());
    if (table > static_cast<uint32_t>(spec::RopeTable::kLong)) return unusable(Code::kCorrupt, "is damaged");
    PHIAL_TRY(const uint32_t n_ids, in.u32());
    PHIAL_TRY(const auto stored, in.take(uint64_t{n_ids} * sizeof(int32_t)));
    std::vector<int32_t> ids(n_ids);
    std::memcpy(ids.data(), stored.data(), stored.size());
    known.emplace_back(static_cast<spec::RopeTable>(table), std::move(ids));
  }
  PHIAL_TRY(auto caches, model::KvFile::read(in, like));
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
                                                     const model::KvCache& like) {
  const auto file = MappedFile::open(path);
  if (!file && file.error().code == Code::kNotFound) return std::vector<CachedSequence>();
  if (!file) return file.error();
  const std::span<const std::byte> bytes = file->bytes();
  uint64_t sum = 0;
  // A file of something else is called that, not damaged.
  const bool is_ours =
      bytes.size() >= kPromptMagic.size() && std::memcmp(bytes.data(), kPromptMagic.data(), kPromptMagic.size()) == 0;
  if (!is_ours) return of_file(path, unusable(Code::kInvalid, "is no prompt cache", "name another file"));
  const auto body = bytes.first(bytes.size() - std::min(bytes.size(), sizeof sum));
  Hash found;
  found.add(body);
  std::memcpy(&sum, bytes.data() + body.size(), std::min(bytes.size(), sizeof sum));
  if (found.value() != sum) return of_file(path, unusable(Code::kCorrupt, "is damaged", "delete it; it is made anew"));
  auto sequences = parse_prompts(body, hash, like);
  if (!sequences) return of_file(path, std::move(sequences).error());
  return sequences;
}

}  // namespace phial::generate

#include "phial/rag/store.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "phial/rag/lexical.h"
#include "phial/rag/schema.h"
#include "phial/rag/sql.h"
#include "phial/rag/word_list.h"
#include "phial/tensor/half.h"

namespace phial::rag {
namespace {

constexpr int kSchemaVersion = 3;
// Under 1 there are no figures, and documents that were read under it have none until they are read again; 2 does not
// know which pictures they are.
constexpr int kSchemaOfFigures = 2;
constexpr int kApplicationId = 0x5048494C;  // "PHIL"
constexpr int kBusyMs = 20000;
constexpr size_t kBoxBytes = 16;

Result<int64_t> pragma(Database& database, std::string_view name) {
  PHIAL_TRY(Statement statement, database.prepare("PRAGMA " + std::string(name)));
  PHIAL_TRY(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

std::vector<uint16_t> to_half(std::span<const float> values) {
  std::vector<uint16_t> halves(values.size());
  std::transform(values.begin(), values.end(), halves.begin(), tensor::f32_to_f16);
  return halves;
}

template <class T>
T clamp_to(double value) {
  return static_cast<T>(std::clamp(value, 0.0, static_cast<double>(std::numeric_limits<T>::max())));
}

std::vector<std::byte> pack_boxes(std::span<const formats::WordBox> words) {
  std::vector<std::byte> packed(words.size() * kBoxBytes);
  for (size_t i = 0; i < words.size(); ++i) {
    const formats::WordBox& word = words[i];
    const uint32_t start = clamp_to<uint32_t>(static_cast<double>(word.start));
    const uint16_t rest[6] = {clamp_to<uint16_t>(static_cast<double>(word.end - word.start)),
                              clamp_to<uint16_t>(word.page),
                              clamp_to<uint16_t>(word.left * 10.0),
                              clamp_to<uint16_t>(word.top * 10.0),
                              clamp_to<uint16_t>(word.right * 10.0),
                              clamp_to<uint16_t>(word.bottom * 10.0)};
    std::memcpy(packed.data() + i * kBoxBytes, &start, sizeof start);
    std::memcpy(packed.data() + i * kBoxBytes + sizeof start, rest, sizeof rest);
  }
  return packed;
}

formats::WordBox unpack_box(const std::byte* packed) {
  uint32_t start = 0;
  uint16_t rest[6];
  std::memcpy(&start, packed, sizeof start);
  std::memcpy(rest, packed + sizeof start, sizeof rest);
  const auto points = [&](int i) { return static_cast<float>(rest[i]) / 10.0F; };
  return {start, uint64_t{start} + rest[0], rest[1], points(2), points(3), points(4), points(5)};
}

StoredPassage read_passage(const Statement& row) {
  return {.id = row.integer(0),
          .content_id = row.integer(1),
          .ordinal = static_cast<int>(row.integer(2)),
          .start = static_cast<uint64_t>(row.integer(3)),
          .end = static_cast<uint64_t>(row.integer(4)),
          .page = static_cast<int>(row.integer(5)),
          .heading = row.text(6),
          .title = row.text(7),
          .format = row.text(8),
          .text = row.text(9),
          .gap = row.text(10)};
}

constexpr std::string_view kSelectPassage =
    "SELECT p.id, p.content_id, p.ordinal, p.start, p.end, p.page, p.heading, c.title, c.format, p.text, p.gap "
    "FROM passages p JOIN contents c ON c.id = p.content_id ";

}  // namespace

std::string model_of_identity(std::string_view identity) {
  constexpr size_t kHash = 17;  // open_embedder() adds it: "-" and 16 digits
  const std::string_view name = identity.substr(0, identity.rfind('/'));
  const bool has_hash = name.size() > kHash && name.find_last_not_of("0123456789abcdef") == name.size() - kHash &&
                        name[name.size() - kHash] == '-';
  return std::string(has_hash ? name.substr(0, name.size() - kHash) : name);
}

Store::Store(std::filesystem::path path, std::unique_ptr<Database> database)
    : path_(std::move(path)), database_(std::move(database)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& path, const EmbedderIdentity& embedder) {
  std::error_code failure;
  std::filesystem::create_directories(path.parent_path(), failure);  // a failure shows when the file is opened
  PHIAL_TRY(auto database, Database::open(path, kBusyMs));
  std::unique_ptr<Store> store(new Store(path, std::move(database)));
  PHIAL_CHECKED(store->prepare_schema(&embedder));
  return store;
}

Result<std::unique_ptr<Store>> Store::open_existing(const std::filesystem::path& path) {
  std::error_code failure;
  if (!std::filesystem::exists(path, failure)) {
    return Error{Code::kNotFound, "there is no library (" + path.string() + ")", "'phial add PATH' makes one"};
  }
  PHIAL_TRY(auto database, Database::open(path, kBusyMs));
  std::unique_ptr<Store> store(new Store(path, std::move(database)));
  PHIAL_CHECKED(store->prepare_schema(nullptr));
  return store;
}

// Inside a transaction, of an empty file.
Status Store::make_schema(const EmbedderIdentity* wanted) {
  PHIAL_TRY(Statement any, database_->prepare("SELECT count(*) FROM sqlite_master"));
  PHIAL_TRY(const bool row, any.step());
  if (row && any.integer(0) > 0) {
    return Error{Code::kInvalid, "this file is no library (" + path_.string() + ")", "name another library"};
  }
  if (wanted == nullptr) {
    return Error{Code::kNotFound, "the library is empty (" + path_.string() + ")", "'phial add PATH' fills it"};
  }
  any.reset();
  PHIAL_CHECKED(database_->exec(kSchema));
  PHIAL_TRY(Statement put, database_->prepare("INSERT INTO meta (key, value) VALUES (?1, ?2)"));
  PHIAL_CHECKED(put.bind(1, "embedder").bind(2, wanted->name).run());
  PHIAL_CHECKED(put.bind(1, "dim").bind(2, std::to_string(wanted->dim)).run());
  return database_->exec("PRAGMA application_id = " + std::to_string(kApplicationId));
}

Status Store::check_application() {
  PHIAL_TRY(const int64_t application, pragma(*database_, "application_id"));
  if (application == kApplicationId) return ok();
  return Error{Code::kInvalid, "this file is no library (" + path_.string() + ")", "name another library"};
}

Status Store::prepare_schema(const EmbedderIdentity* wanted) {
  PHIAL_TRY(int64_t version, pragma(*database_, "user_version"));
  if (version != 0) PHIAL_CHECKED(check_application());
  const auto is_earlier = [&] { return version >= 0 && version < kSchemaVersion; };
  if (is_earlier() && version != 0 && database_->is_read_only()) {
    has_figures_ = version >= kSchemaOfFigures;
    return check_identity(wanted);
  }
  if (is_earlier()) {
    // Another process may be doing the same: the transaction waits for it, and then there is nothing left to do.
    PHIAL_TRY(Transaction transaction, Transaction::begin(*database_));
    PHIAL_TRY(version, pragma(*database_, "user_version"));
    if (version == 0) PHIAL_CHECKED(make_schema(wanted));
    if (is_earlier()) {
      if (version < kSchemaOfFigures) PHIAL_CHECKED(database_->exec(kSchemaFigures));
      PHIAL_CHECKED(database_->exec(kSchemaPictures));
      PHIAL_CHECKED(database_->exec("PRAGMA user_version = " + std::to_string(kSchemaVersion)));
      version = kSchemaVersion;
    }
    PHIAL_CHECKED(transaction.commit());
  }
  if (version < 0) return damaged_library(path_, "");
  if (version != kSchemaVersion) {
    return Error{Code::kUnsupported, "the library was made by a newer Phial (" + path_.string() + ")",
                 "update Phial, or remove the library and add the documents again"};
  }
  return check_identity(wanted);
}

Status Store::check_identity(const EmbedderIdentity* wanted) {
  PHIAL_TRY(Statement statement, database_->prepare("SELECT key, value FROM meta WHERE key IN ('embedder', 'dim')"));
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) break;
    if (statement.text(0) == "embedder") embedder_.name = statement.text(1);
    if (statement.text(0) == "dim") embedder_.dim = std::atoi(statement.text(1).c_str());
  }
  if (embedder_.dim <= 0 || embedder_.dim > 1 << 16) {
    return damaged_library(path_, "");  // it does not say how long its vectors are
  }
  if (wanted != nullptr && (wanted->name != embedder_.name || wanted->dim != embedder_.dim)) {
    const std::string made_with = model_of_identity(embedder_.name);
    const bool are_namesakes = made_with == model_of_identity(wanted->name);
    return Error{Code::kInvalid,
                 std::string("the library was made with another search model, ") +
                     (are_namesakes ? "also called '" : "'") + made_with + "' (" + path_.string() + ")",
                 "name it with --embedder, or remove the library and add the documents again"};
  }
  return ok();
}

Result<int64_t> Store::find_content(const ContentHash& hash) {
  PHIAL_TRY(Statement statement, database_->prepare("SELECT id FROM contents WHERE hash = ?1"));
  PHIAL_TRY(const bool row, statement.bind_blob(1, std::as_bytes(std::span(hash))).step());
  return row ? statement.integer(0) : 0;
}

Result<int64_t> Store::insert_content(const FileRecord& file, const formats::ExtractedDocument& document,
                                      std::span<const Passage> passages, std::span<const float> vectors,
                                      const Descriptions& descriptions) {
  std::string warnings;
  for (const std::string& warning : document.warnings) warnings += warning + "\n";
  PHIAL_TRY(Statement content, database_->prepare("INSERT INTO contents (hash, title, format, warnings, described_by) "
                                                  "VALUES (?1, ?2, ?3, ?4, ?5)"));
  PHIAL_CHECKED(content.bind_blob(1, std::as_bytes(std::span(file.hash)))
                    .bind(2, document.title)
                    .bind(3, document.format)
                    .bind(4, warnings)
                    .bind(5, descriptions.by)
                    .run());
  const int64_t id = database_->last_insert_id();

  PHIAL_TRY(Statement insert,
            database_->prepare("INSERT INTO passages (content_id, ordinal, start, end, page, heading, "
                               "text, gap) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"));
  PHIAL_TRY(Statement words, database_->prepare("INSERT INTO words (rowid, context, body) VALUES (?1, ?2, ?3)"));
  for (size_t i = 0; i < passages.size(); ++i) {
    const Passage& passage = passages[i];
    const std::string_view all = document.text;
    const std::string_view text = all.substr(passage.start, passage.end - passage.start);
    const uint64_t next = i + 1 < passages.size() ? passages[i + 1].start : passage.end;
    PHIAL_CHECKED(insert.bind(1, id)
                      .bind(2, static_cast<int64_t>(i))
                      .bind(3, static_cast<int64_t>(passage.start))
                      .bind(4, static_cast<int64_t>(passage.end))
                      .bind(5, int64_t{passage.page})
                      .bind(6, passage.heading)
                      .bind(7, text)
                      .bind(8, all.substr(passage.end, next - passage.end))
                      .run());
    PHIAL_CHECKED(words.bind(1, database_->last_insert_id())
                      .bind(2, index_text(passage.context))
                      .bind(3, index_text(text))
                      .run());
  }
  PHIAL_TRY(Statement rows, database_->prepare("INSERT INTO vectors (content_id, rows) VALUES (?1, ?2)"));
  PHIAL_CHECKED(rows.bind(1, id).bind_blob(2, std::as_bytes(std::span<const uint16_t>(to_half(vectors)))).run());
  if (!document.words.empty()) {
    PHIAL_TRY(Statement boxes_row, database_->prepare("INSERT INTO boxes (content_id, words) VALUES (?1, ?2)"));
    PHIAL_CHECKED(boxes_row.bind(1, id).bind_blob(2, pack_boxes(document.words)).run());
  }
  PHIAL_CHECKED(put_figures(id, document.figures, descriptions.pictures));
  return id;
}

Result<std::vector<StoredPassage>> Store::passages(std::span<const int64_t> ids) {
  PHIAL_TRY(Statement statement, database_->prepare(std::string(kSelectPassage) + "WHERE p.id = ?1"));
  std::vector<StoredPassage> found;
  for (const int64_t id : ids) {
    PHIAL_TRY(const bool row, statement.bind(1, id).step());
    if (row) found.push_back(read_passage(statement));
    statement.reset();
  }
  return found;
}

Result<std::vector<StoredPassage>> Store::passages_of(int64_t content_id) {
  PHIAL_TRY(Statement statement,
            database_->prepare(std::string(kSelectPassage) + "WHERE p.content_id = ?1 ORDER BY p.ordinal"));
  statement.bind(1, content_id);
  std::vector<StoredPassage> found;
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) return found;
    found.push_back(read_passage(statement));
  }
}

Result<std::vector<Store::WordPlace>> Store::find_word(const std::string& term) {
  PHIAL_TRY(Statement statement, database_->prepare("SELECT rowid, word_count(words) FROM words WHERE words MATCH ?1"));
  statement.bind(1, any_of({term}));
  std::vector<WordPlace> found;
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) return found;
    found.push_back({statement.integer(0), statement.integer(1)});
  }
}

Result<int64_t> Store::count_passages_with(const std::string& term, int64_t at_most) {
  PHIAL_TRY(Statement statement,
            database_->prepare("SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ?1 LIMIT ?2)"));
  PHIAL_TRY(const bool row, statement.bind(1, any_of({term})).bind(2, at_most).step());
  return row ? statement.integer(0) : 0;
}

Result<std::vector<std::string>> Store::related_words(std::span<const std::string> parts, size_t at_most) {
  return rag::related_words(*database_, parts, at_most);
}

Status Store::refresh_word_list() { return rag::refresh_word_list(*database_); }

Result<std::vector<formats::WordBox>> Store::boxes(int64_t content_id, uint64_t start, uint64_t end) {
  PHIAL_TRY(Statement statement, database_->prepare("SELECT words FROM boxes WHERE content_id = ?1"));
  PHIAL_TRY(const bool row, statement.bind(1, content_id).step());
  std::vector<formats::WordBox> found;
  if (!row) return found;
  const auto packed = statement.blob(0);
  for (size_t at = 0; at + kBoxBytes <= packed.size(); at += kBoxBytes) {
    const formats::WordBox box = unpack_box(packed.data() + at);
    if (box.start < end && box.end > start) found.push_back(box);
  }
  return found;
}

Result<int64_t> Store::data_version() {
  // SQLite's own counter does not move for this connection's writes; total_changes does.
  PHIAL_TRY(const int64_t others, pragma(*database_, "data_version"));
  PHIAL_TRY(Statement own, database_->prepare("SELECT total_changes()"));
  PHIAL_TRY(const bool row, own.step());
  return (others << 32) + (row ? own.integer(0) : 0);
}

Status Store::visit_vectors(int64_t after, const std::function<Status(const DocumentVectors&)>& visit) {
  PHIAL_TRY(Statement rows,
            database_->prepare("SELECT content_id, rows FROM vectors WHERE content_id > ?1 ORDER BY content_id"));
  PHIAL_TRY(Statement ids,
            database_->prepare("SELECT id, end - start FROM passages WHERE content_id = ?1 ORDER BY ordinal"));
  rows.bind(1, after);
  for (;;) {
    PHIAL_TRY(const bool row, rows.step());
    if (!row) return ok();
    DocumentVectors document{.content_id = rows.integer(0), .passages = {}, .bytes = {}, .rows = rows.blob(1)};
    ids.bind(1, document.content_id);
    for (;;) {
      PHIAL_TRY(const bool passage, ids.step());
      if (!passage) break;
      document.passages.push_back(ids.integer(0));
      document.bytes.push_back(static_cast<uint32_t>(ids.integer(1)));
    }
    ids.reset();
    if (document.rows.size() != document.passages.size() * static_cast<size_t>(embedder_.dim) * sizeof(uint16_t)) {
      return damaged_library(path_, "");
    }
    PHIAL_CHECKED(visit(document));
  }
}

Result<std::vector<int64_t>> Store::content_ids() {
  PHIAL_TRY(Statement statement, database_->prepare("SELECT content_id FROM vectors ORDER BY content_id"));
  std::vector<int64_t> ids;
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) return ids;
    ids.push_back(statement.integer(0));
  }
}

Result<LibraryTotals> Store::totals() {
  PHIAL_TRY(
      Statement statement,
      database_->prepare("SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM files WHERE content_id IS NULL), "
                         "(SELECT count(*) FROM contents), (SELECT count(*) FROM passages)"));
  PHIAL_TRY(const bool row, statement.step());
  LibraryTotals totals;
  totals.embedder = embedder_;
  if (row) {
    totals.files = statement.integer(0);
    totals.failed_files = statement.integer(1);
    totals.documents = statement.integer(2);
    totals.passages = statement.integer(3);
  }
  std::error_code failure;
  for (const char* suffix : {"", "-wal"}) {
    const auto bytes = std::filesystem::file_size(path_.string() + suffix, failure);
    if (!failure) totals.bytes_on_disk += static_cast<int64_t>(bytes);
  }
  return totals;
}

}  // namespace phial::rag

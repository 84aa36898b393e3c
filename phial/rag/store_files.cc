// The part of Store that is about files, and the folder that libraries lie in.
#include <algorithm>
#include <sstream>
#include <system_error>

#include "phial/rag/sql.h"
#include "phial/rag/store.h"

namespace phial::rag {
namespace {

constexpr std::string_view kSelectFile = "SELECT path, size, mtime_ns, hash, content_id, error, remedy FROM files ";

FileRecord read_file(const Statement& row) {
  const auto hash = row.blob(3);
  return {.path = row.text(0),
          .size = row.integer(1),
          .mtime_ns = row.integer(2),
          .hash = ContentHash(reinterpret_cast<const char*>(hash.data()), hash.size()),
          .content_id = row.integer(4),
          .error = row.text(5),
          .remedy = row.text(6)};
}

Result<std::vector<FileRecord>> read_files(Statement& statement) {
  std::vector<FileRecord> files;
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) return files;
    files.push_back(read_file(statement));
  }
}

}  // namespace

Result<std::optional<FileRecord>> Store::file(std::string_view path) {
  PHIAL_TRY(Statement statement, database_->prepare(std::string(kSelectFile) + "WHERE path = ?1"));
  PHIAL_TRY(const bool row, statement.bind(1, path).step());
  return row ? std::optional(read_file(statement)) : std::nullopt;
}

Result<std::vector<FileRecord>> Store::files() {
  PHIAL_TRY(Statement statement, database_->prepare(std::string(kSelectFile) + "ORDER BY path"));
  return read_files(statement);
}

Result<std::vector<FileRecord>> Store::files_under(std::string_view folder) {
  // '0' is the character after '/': all names that begin with "folder/".
  const std::string prefix = folder == "/" ? "" : std::string(folder);
  PHIAL_TRY(Statement statement, database_->prepare(std::string(kSelectFile) +
                                                    "WHERE path = ?1 OR (path >= ?2 AND path < ?3) ORDER BY path"));
  statement.bind(1, folder).bind(2, prefix + "/").bind(3, prefix + "0");
  return read_files(statement);
}

Result<std::vector<FileRecord>> Store::files_of(int64_t content_id) {
  PHIAL_TRY(Statement statement, database_->prepare(std::string(kSelectFile) + "WHERE content_id = ?1 ORDER BY path"));
  statement.bind(1, content_id);
  return read_files(statement);
}

Result<std::unordered_map<int64_t, std::vector<std::string>>> Store::warnings() {
  PHIAL_TRY(Statement statement, database_->prepare("SELECT id, warnings FROM contents WHERE warnings <> ''"));
  std::unordered_map<int64_t, std::vector<std::string>> found;
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) return found;
    std::istringstream text(statement.text(1));
    for (std::string line; std::getline(text, line);) found[statement.integer(0)].push_back(line);
  }
}

Result<std::vector<ContentHash>> Store::content_hashes() {
  PHIAL_TRY(Statement statement, database_->prepare("SELECT hash FROM contents"));
  std::vector<ContentHash> hashes;
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) return hashes;
    const auto hash = statement.blob(0);
    hashes.emplace_back(reinterpret_cast<const char*>(hash.data()), hash.size());
  }
}

Status Store::write_file(const FileRecord& file) {
  PHIAL_TRY(
      Statement put,
      database_->prepare("INSERT INTO files (path, size, mtime_ns, hash, content_id, error, remedy) VALUES (?1, ?2, "
                         "?3, ?4, ?5, ?6, ?7) ON CONFLICT (path) DO UPDATE SET size = ?2, mtime_ns = ?3, hash = ?4, "
                         "content_id = ?5, error = ?6, remedy = ?7"));
  put.bind(1, file.path).bind(2, file.size).bind(3, file.mtime_ns).bind(6, file.error).bind(7, file.remedy);
  if (file.hash.empty()) {
    put.bind_null(4);
  } else {
    put.bind_blob(4, std::as_bytes(std::span(file.hash)));
  }
  if (file.content_id == 0) {
    put.bind_null(5);
  } else {
    put.bind(5, file.content_id);
  }
  return put.run();
}

Status Store::remove_orphans() {
  std::vector<int64_t> orphans;
  {
    PHIAL_TRY(Statement find, database_->prepare("SELECT id FROM contents WHERE NOT EXISTS "
                                                 "(SELECT 1 FROM files WHERE files.content_id = contents.id)"));
    for (;;) {
      PHIAL_TRY(const bool row, find.step());
      if (!row) break;
      orphans.push_back(find.integer(0));
    }
  }
  for (const int64_t id : orphans) {
    PHIAL_TRY(Transaction transaction, Transaction::begin(*database_));
    // A file may have come back to it since.
    PHIAL_TRY(const auto files, files_of(id));
    if (!files.empty()) continue;
    PHIAL_CHECKED(remove_content(id));
    PHIAL_CHECKED(transaction.commit());
  }
  return ok();
}

Status Store::remove_content(int64_t id) {
  PHIAL_TRY(Statement words,
            database_->prepare("DELETE FROM words WHERE rowid IN (SELECT id FROM passages WHERE content_id = ?1)"));
  PHIAL_CHECKED(words.bind(1, id).run());
  PHIAL_TRY(Statement content, database_->prepare("DELETE FROM contents WHERE id = ?1"));
  return content.bind(1, id).run();
}

Status Store::put_document(const FileRecord& file, const formats::ExtractedDocument& document,
                           std::span<const Passage> passages, std::span<const float> vectors,
                           const Descriptions& descriptions) {
  PHIAL_TRY(Transaction transaction, Transaction::begin(*database_));
  FileRecord with_content = file;
  // Another process may have brought the same bytes since this one looked.
  PHIAL_TRY(with_content.content_id, find_content(file.hash));
  const int64_t old = with_content.content_id;
  PHIAL_TRY(const bool replaces, is_to_be_replaced(old, descriptions));
  if (replaces) {
    // Its passages keep their old ids nowhere: caches of vectors go by the document's id.
    PHIAL_TRY(Statement let_go, database_->prepare("UPDATE files SET content_id = NULL WHERE content_id = ?1"));
    PHIAL_CHECKED(let_go.bind(1, old).run());
    PHIAL_CHECKED(remove_content(old));
  }
  if (old == 0 || replaces) {
    PHIAL_TRY(with_content.content_id, insert_content(file, document, passages, vectors, descriptions));
  }
  if (replaces) {
    PHIAL_TRY(Statement take, database_->prepare("UPDATE files SET content_id = ?1 WHERE hash = ?2"));
    PHIAL_CHECKED(take.bind(1, with_content.content_id).bind_blob(2, std::as_bytes(std::span(file.hash))).run());
  }
  PHIAL_CHECKED(write_file(with_content));
  return transaction.commit();
}

Result<bool> Store::put_file(const FileRecord& file) {
  PHIAL_TRY(Transaction transaction, Transaction::begin(*database_));
  if (file.content_id != 0) {
    PHIAL_TRY(const int64_t content, find_content(file.hash));
    if (content != file.content_id) return false;
  }
  PHIAL_CHECKED(write_file(file));
  PHIAL_CHECKED(transaction.commit());
  return true;
}

Status Store::remove_files(std::span<const std::string> paths) {
  constexpr size_t kAtOnce = 64;  // other writers get their turn in between
  for (size_t first = 0; first < paths.size(); first += kAtOnce) {
    PHIAL_TRY(Transaction transaction, Transaction::begin(*database_));
    PHIAL_TRY(Statement remove, database_->prepare("DELETE FROM files WHERE path = ?1"));
    for (const std::string& path : paths.subspan(first, std::min(kAtOnce, paths.size() - first))) {
      PHIAL_CHECKED(remove.bind(1, path).run());
    }
    PHIAL_CHECKED(transaction.commit());
  }
  return ok();
}

Result<std::vector<Root>> Store::roots() {
  PHIAL_TRY(Statement statement, database_->prepare("SELECT path, options FROM roots ORDER BY path"));
  std::vector<Root> roots;
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) return roots;
    roots.push_back({statement.text(0), statement.text(1)});
  }
}

Status Store::put_root(const Root& root) {
  // Documents that have not changed are searched in a library that cannot be written, too.
  PHIAL_TRY(const auto known, roots());
  const auto is_same = [&](const Root& one) { return one.path == root.path && one.options == root.options; };
  if (std::ranges::any_of(known, is_same)) return ok();
  PHIAL_TRY(Statement put, database_->prepare("INSERT INTO roots (path, options) VALUES (?1, ?2) "
                                              "ON CONFLICT (path) DO UPDATE SET options = ?2"));
  return put.bind(1, root.path).bind(2, root.options).run();
}

Status Store::remove_root(std::string_view path) {
  PHIAL_TRY(Statement remove, database_->prepare("DELETE FROM roots WHERE path = ?1"));
  PHIAL_CHECKED(remove.bind(1, path).run());
  PHIAL_TRY(const auto under, files_under(path));
  PHIAL_TRY(const auto others, roots());
  std::vector<std::string> gone;
  for (const FileRecord& file : under) {
    // A file may also stand under another folder that stays.
    const bool stays = std::any_of(others.begin(), others.end(), [&](const Root& root) {
      return file.path == root.path || file.path.starts_with(root.path == "/" ? "/" : root.path + "/");
    });
    if (!stays) gone.push_back(file.path);
  }
  PHIAL_CHECKED(remove_files(gone));
  return forget_removed();
}

Result<std::filesystem::path> library_path(const std::filesystem::path& home, std::string_view name) {
  const bool is_plain = !name.empty() && name.size() <= 100 && name.front() != '.' && name.front() != '-' &&
                        std::all_of(name.begin(), name.end(), [](char c) {
                          return c == '-' || c == '_' || c == '.' || c == ' ' || (c >= '0' && c <= '9') ||
                                 (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
                        });
  if (!is_plain) {
    return Error{Code::kInvalid, "'" + std::string(name) + "' cannot name a library",
                 "use letters, digits, spaces, '-', '_' and '.', at most 100; no '-' or '.' first"};
  }
  return home / "libraries" / (std::string(name) + ".db");
}

std::vector<std::string> library_names(const std::filesystem::path& home) {
  std::vector<std::string> names;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(home / "libraries", failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (entry->path().extension() == ".db") names.push_back(entry->path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status remove_library(const std::filesystem::path& home, std::string_view name) {
  PHIAL_TRY(const auto path, library_path(home, name));
  std::error_code failure;
  if (!std::filesystem::exists(path, failure)) {
    return Error{Code::kNotFound, "there is no library '" + std::string(name) + "' (" + path.string() + ")",
                 "'phial library list' shows those that there are"};
  }
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::filesystem::remove(path.string() + suffix, failure);
    if (failure) {
      return Error{Code::kIo, "cannot remove: " + failure.message() + " (" + path.string() + suffix + ")",
                   "check its permissions"};
    }
  }
  return ok();
}

}  // namespace phial::rag

#include "phial/rag/sql.h"

#include <sqlite3.h>

#include <chrono>
#include <thread>

namespace phial::rag {
namespace {

constexpr int kRetryMs = 20;

// The SQL function word_count(TABLE) that sql.h tells of.
void word_count(const Fts5ExtensionApi* fts, Fts5Context* row, sqlite3_context* result, int /*arguments*/,
                sqlite3_value** /*values*/) {
  int64_t found = 0;
  for (int phrase = 0; phrase < fts->xPhraseCount(row); ++phrase) {
    Fts5PhraseIter at;
    int column = 0;
    int offset = 0;
    const int code = fts->xPhraseFirst(row, phrase, &at, &column, &offset);
    if (code != SQLITE_OK) return sqlite3_result_error_code(result, code);
    for (; column >= 0; fts->xPhraseNext(row, &at, &column, &offset)) ++found;
  }
  sqlite3_result_int64(result, found);
}

// An SQLite result code.
int register_word_count(sqlite3* database) {
  fts5_api* fts = nullptr;
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(database, "SELECT fts5(?1)", -1, &statement, nullptr);
  if (code != SQLITE_OK) return code;
  sqlite3_bind_pointer(statement, 1, static_cast<void*>(&fts), "fts5_api_ptr", nullptr);
  sqlite3_step(statement);
  code = sqlite3_finalize(statement);
  if (code != SQLITE_OK || fts == nullptr) return code != SQLITE_OK ? code : SQLITE_ERROR;
  return fts->xCreateFunction(fts, "word_count", nullptr, word_count, nullptr);
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

// A failed bind (out of memory, too large) shows again as the error of step().
Statement& Statement::bind(int at, int64_t value) {
  sqlite3_bind_int64(statement_.get(), at, value);
  return *this;
}
Statement& Statement::bind(int at, std::string_view text) {
  // A null pointer would bind NULL.
  sqlite3_bind_text64(statement_.get(), at, text.data() == nullptr ? "" : text.data(), text.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
  return *this;
}
Statement& Statement::bind_blob(int at, std::span<const std::byte> bytes) {
  if (bytes.empty()) {
    sqlite3_bind_zeroblob(statement_.get(), at, 0);
  } else {
    sqlite3_bind_blob64(statement_.get(), at, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
  }
  return *this;
}
Statement& Statement::bind_null(int at) {
  sqlite3_bind_null(statement_.get(), at);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return database_->error(code);
}

Status Statement::run() {
  for (;;) {
    const auto row = step();
    if (!row || !*row) {
      reset();
      return row ? ok() : Status(row.error());
    }
  }
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
double Statement::real(int column) const { return sqlite3_column_double(statement_.get(), column); }
std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
  return data == nullptr ? std::string() : std::string(data, size);
}
std::span<const std::byte> Statement::blob(int column) const {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
  return data == nullptr ? std::span<const std::byte>() : std::span(data, size);
}
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& path, int busy_ms) {
  std::unique_ptr<Database> database(new Database(path));
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  database->database_.reset(raw);
  if (code != SQLITE_OK) return database->error(code);
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, busy_ms);
  // Words from a document cannot reach SQL as text, but a damaged file could carry a schema that does harm.
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (const int failed = register_word_count(raw); failed != SQLITE_OK) return database->error(failed);
  // SQLite does not wait by itself while another process turns the same new file to a write-ahead log.
  for (int waited_ms = 0;; waited_ms += kRetryMs) {
    const Status set =
        database->exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    if (set) return database;
    if ((sqlite3_errcode(raw) & 0xFF) != SQLITE_BUSY || waited_ms >= busy_ms) return set.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(kRetryMs));
  }
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return error(code);
  return Statement(statement, this);
}

Status Database::exec(const std::string& sql) {
  const int code = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? ok() : Status(error(code));
}

int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(database_.get()); }
int64_t Database::changes() const { return sqlite3_changes64(database_.get()); }

Error Database::error(int code) const {
  const std::string name = path_.string();
  const std::string reason = database_ ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(code);
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {Code::kCorrupt, name + " is damaged or no library (" + reason + ")",
              "move the file away and add the documents again"};
    case SQLITE_FULL:
      return {Code::kIo, name + ": no room left to write",
              "free disk space and repeat; nothing that was added is lost"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Code::kIo, name + " is being written by another process", "wait for it to finish and repeat"};
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {Code::kIo, name + " cannot be opened for writing (" + reason + ")",
              "check the folder and its permissions"};
    case SQLITE_IOERR:
      return {Code::kIo, name + ": the system refused to read or write (" + reason + ")",
              "check the disk and its free space, and repeat; nothing that was added is lost"};
    default:
      return {Code::kInvalid, name + ": " + reason, ""};
  }
}

Result<Transaction> Transaction::begin(Database& database) {
  PHIAL_CHECKED(database.exec("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Status Transaction::commit() {
  PHIAL_CHECKED(database_->exec("COMMIT"));
  database_ = nullptr;
  return ok();
}

Transaction::~Transaction() {
  // Where SQLite has already rolled back (disk full), this one fails, and that is as well.
  if (database_ != nullptr) static_cast<void>(database_->exec("ROLLBACK"));
}

}  // namespace phial::rag

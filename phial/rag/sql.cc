#include "phial/rag/sql.h"

#include <sqlite3.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <system_error>
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

// "file:///home/what%3F.db": '?', '#' and '%' would end the name or begin a code.
std::string uri_of(const std::filesystem::path& path) {
  std::string uri = "file://";
  std::error_code failure;  // of a folder that is gone, where nothing can be opened either
  for (const char c : std::filesystem::absolute(path, failure).string()) {
    if (c == '?' || c == '#' || c == '%') {
      std::array<char, 4> code{};
      std::snprintf(code.data(), code.size(), "%%%02X", static_cast<unsigned>(c));
      uri += code.data();
    } else {
      uri += c;
    }
  }
  return uri;
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
Statement& Statement::bind_real(int at, double value) {
  sqlite3_bind_double(statement_.get(), at, value);
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
  Status opened = database->connect(path.string(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, busy_ms);
  if (opened) opened = database->use_wal(busy_ms);
  std::error_code failure;
  const int refused = sqlite3_errcode(database->database_.get()) & 0xFF;
  if (!opened && (refused == SQLITE_CANTOPEN || refused == SQLITE_READONLY) && std::filesystem::exists(path, failure)) {
    opened = database->connect_immutable(busy_ms);
  }
  if (!opened) return std::move(opened).error();
  return database;
}

Status Database::connect(const std::string& name, int flags, int busy_ms) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(raw);
  if (code != SQLITE_OK) return error(code);
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, busy_ms);
  // Words from a document cannot reach SQL as text, but a damaged file could carry a schema that does harm.
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (const int failed = register_word_count(raw); failed != SQLITE_OK) return error(failed);
  return ok();
}

// A write-ahead log wants files beside the database even of those who only read. Where they cannot be made, the file
// is read as SQLite reads what never changes: without locks. A process that was writing before keeps those files there,
// and with them the ordinary way works; one that begins to write later may have pages read that do not fit together,
// which error() takes into account.
Status Database::connect_immutable(int busy_ms) {
  std::error_code failure;
  const std::string wal = path_.string() + "-wal";
  if (const auto bytes = std::filesystem::file_size(wal, failure); !failure && bytes > 0) {
    return Error{Code::kIo, "the last change is unfinished, and the folder cannot be written (" + path_.string() + ")",
                 "run 'phial library list' once as its owner"};
  }
  is_immutable_ = true;
  return connect(uri_of(path_) + "?immutable=1", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, busy_ms);
}

// SQLite does not wait by itself while another process turns the same new file to a write-ahead log.
Status Database::use_wal(int busy_ms) {
  for (int waited_ms = 0;; waited_ms += kRetryMs) {
    Status set = exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    if (set || (sqlite3_errcode(database_.get()) & 0xFF) != SQLITE_BUSY || waited_ms >= busy_ms) return set;
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
bool Database::is_read_only() const { return sqlite3_db_readonly(database_.get(), "main") == 1; }

Error damaged_library(const std::filesystem::path& path, const std::string& why) {
  // Where the command line has its libraries, they go by name; elsewhere it may be a file of another kind.
  const bool has_name = path.extension() == ".db" && path.parent_path().filename() == "libraries";
  std::string name = path.stem().string();
  if (name.find(' ') != std::string::npos) name = '"' + name + '"';
  return {Code::kCorrupt, "the library is damaged" + why + " (" + path.string() + ")",
          (has_name ? "'phial library remove --library " + name + "'" : "move the file away") +
              ", then add the documents again"};
}

Error Database::error(int code) const {
  const std::string place = " (" + path_.string() + ")";
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: {
      if (!is_immutable_) return damaged_library(path_, (code & 0xFF) == SQLITE_NOTADB ? ", or is none" : "");
      Error damaged = damaged_library(path_, ", or was changed while it was read");
      damaged.remedy.insert(0, "repeat; if that does not help, ");
      return damaged;
    }
    case SQLITE_FULL:
      return {Code::kIo, "no room left on the disk" + place, "free some and repeat; nothing that was added is lost"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return {Code::kIo, "another phial is writing the library" + place, "wait for it to finish and repeat"};
    case SQLITE_READONLY:
      return {Code::kIo, "the library cannot be written" + place,
              "make the file and its folder writable, or name another library"};
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {Code::kIo, "the library cannot be opened" + place, "check the permissions of the file and its folder"};
    case SQLITE_IOERR:
      return {Code::kIo, "the system refused to read or write the library" + place,
              "check the disk and its free space, and repeat; nothing that was added is lost"};
    case SQLITE_NOMEM:
      return {Code::kOutOfMemory, "there is not enough memory for the library" + place,
              "close other programs and try again"};
    case SQLITE_TOOBIG:
      return {Code::kOutOfRange, "this is too large for the library" + place, "split it"};
    default: {
      const char* why = database_ ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(code);
      return {Code::kCorrupt, std::string("the library could not be used: ") + why + place,
              "repeat; if that does not help, move the file away and add the documents again"};
    }
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

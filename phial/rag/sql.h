// SQLite behind a door that returns Results. Nothing else in the house includes sqlite3.h.
//
// Statements may ask an FTS5 table for word_count(TABLE): how often the words of the running MATCH stand in the row.
// FTS5 counts them for its own ranking only; ours (word_scores.h) needs the counts.
//
// Every value reaches SQL as a parameter. Errors: kCorrupt for a damaged file, kIo for a full disk or a refused write,
// kInvalid for a broken promise of ours; each names the file.
// Threads: one at a time a Database.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "phial/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace phial::rag {

class Database;

// One statement, ready to run again after reset(). Lives no longer than its Database.
class Statement {
 public:
  Statement& bind(int at, int64_t value);  // parameters count from 1
  Statement& bind(int at, std::string_view text);
  Statement& bind_real(int at, double value);
  Statement& bind_blob(int at, std::span<const std::byte> bytes);
  Statement& bind_null(int at);

  // True: a row stands ready. False: done.
  Result<bool> step();
  Status run();  // to its end, rows ignored; then reset
  void reset();

  int64_t integer(int column) const;  // columns count from 0
  double real(int column) const;
  std::string text(int column) const;
  std::span<const std::byte> blob(int column) const;  // until the next step
  bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(sqlite3_stmt* statement, const Database* database) : statement_(statement), database_(database) {}

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  const Database* database_;
};

class Database {
 public:
  // Opens or makes it: write-ahead log, foreign keys on, waits up to `busy_ms` for another process. Where the file or
  // its folder cannot be written, an existing one can still be read; kIo if it has changes that nobody took in yet.
  // Should another process begin to write it after that, what is read may not fit together until it is opened anew;
  // where that shows, it is kCorrupt.
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& path, int busy_ms);

  Result<Statement> prepare(std::string_view sql);
  Status exec(const std::string& sql);  // one or more statements without parameters
  int64_t last_insert_id() const;
  int64_t changes() const;
  bool is_read_only() const;

  // The error of the last call on this database, in words, with the remedy.
  Error error(int code) const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit Database(std::filesystem::path path) : path_(std::move(path)) {}
  Status connect(const std::string& name, int flags, int busy_ms);
  Status connect_immutable(int busy_ms);
  Status use_wal(int busy_ms);

  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> database_;
  bool is_immutable_ = false;  // opened as a file that nobody changes, though somebody may
};

// Of a library whose file does not keep its promises; `why` may be empty.
Error damaged_library(const std::filesystem::path& path, const std::string& why);

// BEGIN IMMEDIATE now, ROLLBACK at the end of its life unless commit() came first.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database);
  Status commit();
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace phial::rag

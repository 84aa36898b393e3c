#include "phial/rag/word_count.h"

#include <sqlite3.h>

#include <cstdint>

namespace phial::rag {
namespace {

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

}  // namespace

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

}  // namespace phial::rag

#include "phial/rag/word_list.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace phial::rag {
namespace {

constexpr size_t kMinPartBytes = 5;  // of a word inside another that says something about it

Result<int64_t> newest_document(Database& database) {
  PHIAL_TRY(Statement statement, database.prepare("SELECT coalesce(max(id), 0) FROM contents"));
  PHIAL_TRY(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

// The newest document that the kept list knows; -1: there is no list.
Result<int64_t> newest_listed(Database& database) {
  PHIAL_TRY(Statement statement, database.prepare("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'words_until'"));
  PHIAL_TRY(const bool row, statement.step());
  return row ? statement.integer(0) : -1;
}

// A word a line, an empty line first.
Result<std::string> words_of_index(Database& database) {
  std::string list = "\n";
  PHIAL_TRY(Statement statement, database.prepare("SELECT term FROM terms"));
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) return list;
    list.append(statement.text(0)).append("\n");
  }
}

Result<std::string> words_of(Database& database) {
  PHIAL_TRY(const int64_t newest, newest_document(database));
  PHIAL_TRY(const int64_t listed, newest_listed(database));
  if (listed < newest) return words_of_index(database);
  PHIAL_TRY(Statement statement, database.prepare("SELECT value FROM meta WHERE key = 'words'"));
  PHIAL_TRY(const bool row, statement.step());
  return row ? statement.text(0) : std::string();
}

// Those that hold `part` or stand in it.
std::vector<std::string> words_around(std::string_view list, std::string_view part) {
  std::vector<std::string> found;
  for (size_t at = 1; at < list.size();) {
    const size_t end = list.find('\n', at);
    const std::string_view word = list.substr(at, end - at);
    const bool is_inside = word.size() >= kMinPartBytes && part.find(word) != std::string_view::npos;
    if (word != part && (is_inside || word.find(part) != std::string_view::npos)) found.emplace_back(word);
    at = end + 1;
  }
  return found;
}

}  // namespace

Status refresh_word_list(Database& database) {
  PHIAL_TRY(const int64_t newest, newest_document(database));  // first: what comes meanwhile counts as not listed
  PHIAL_TRY(const int64_t listed, newest_listed(database));
  if (listed >= newest) return ok();
  PHIAL_TRY(const std::string list, words_of_index(database));
  PHIAL_TRY(Transaction transaction, Transaction::begin(database));
  PHIAL_TRY(Statement put, database.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)"));
  PHIAL_CHECKED(put.bind(1, "words").bind(2, list).run());
  PHIAL_CHECKED(put.bind(1, "words_until").bind(2, std::to_string(newest)).run());
  return transaction.commit();
}

Result<std::vector<std::string>> related_words(Database& database, std::span<const std::string> parts, size_t at_most) {
  std::vector<std::string> found;
  if (parts.empty()) return found;
  PHIAL_TRY(const std::string list, words_of(database));
  PHIAL_TRY(Statement count, database.prepare("SELECT doc FROM terms WHERE term = ?1"));
  for (const std::string& part : parts) {
    std::vector<std::pair<int64_t, std::string>> related;  // passages, word
    for (std::string& word : words_around(list, part)) {
      count.reset();
      PHIAL_TRY(const bool row, count.bind(1, word).step());
      if (row) related.emplace_back(count.integer(0), std::move(word));
    }
    std::sort(related.begin(), related.end());
    related.resize(std::min(related.size(), at_most));
    for (auto& [passages, word] : related) found.push_back(std::move(word));
  }
  return found;
}

}  // namespace phial::rag

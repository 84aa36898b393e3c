// The SQL function word_count(TABLE): how often the words of the running MATCH stand in the row.
// FTS5 counts them for its own ranking only; ours (word_scores.h) needs the counts. Threads: any.
#pragma once

struct sqlite3;

namespace phial::rag {

// An SQLite result code.
int register_word_count(sqlite3* database);

}  // namespace phial::rag

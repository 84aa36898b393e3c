// The words of a library in one string, for compounds: reading them out of the full-text index takes as long as
// reading the whole index, a second where there are 100,000 passages.
//
// The list is kept in the library with the newest document that it knows (ids of documents grow). Words of documents
// that have gone stay in it until the next refresh; nothing is found under them. Threads: as the database's.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/rag/sql.h"

namespace phial::rag {

// Brings the list in step with the documents; does nothing if it is.
Status refresh_word_list(Database& database);

// As Store::related_words. Where documents came that the list does not know, the index is read instead.
Result<std::vector<std::string>> related_words(Database& database, std::span<const std::string> parts, size_t at_most);

}  // namespace phial::rag

// How well each passage fits the words of a question: BM25 over a passage with its surroundings.
//
// A passage is a piece of a document, and what it is about often stands next door. So half of each neighbour's words
// count as its own, and a quarter of those of the next but one, in length too. The shares were chosen on SciFact's
// train claims alone (bench/retrieval.py). Threads: one at a time a Store.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/rag/lexical.h"
#include "phial/rag/store.h"
#include "phial/rag/vector_index.h"

namespace phial::rag {

// [index.size()], in the order of its rows; 0 for a passage that has none of `terms` (lexical.h), nor its neighbours.
Result<std::vector<double>> word_scores(Store& store, const VectorIndex& index, std::span<const QueryTerm> terms);

}  // namespace phial::rag

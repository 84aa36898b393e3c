// The sentences of the passages that answer a question best, word for word.
//
// A sentence is ranked by its cosine with the question, the share of the question's words that it or what stands above
// it holds, the rank of its passage and the reader's score, less where it cannot hold an answer of the type asked for
// or reads as a label; a second sentence joins when it ranks nearly as high, or, where an explanation is asked for,
// because it goes on after the first. Threads: any.
#pragma once

#include <span>
#include <vector>

#include "phial/rag/citations.h"
#include "phial/rag/evidence.h"
#include "phial/rag/retrieve.h"

namespace phial::rag {

// One or a few sentences, each supported by its own passage; empty if there is no evidence.
std::vector<CheckedSentence> quote(const Evidence& evidence, std::span<const Hit> hits);

// How well a sentence answers; comparable among the sentences of one question. About 0 to 1, and the reader's share.
double quote_score(const EvidenceSentence& sentence, const Hit& hit);

}  // namespace phial::rag

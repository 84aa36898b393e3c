// A question -> the passages of a library that fit it best.
//
// Two scores a passage: BM25 over words (word_scores.h) and the cosine of embeddings (exact scan). Each is divided by
// its best value for the question, and their weighted sum ranks. Then near-duplicates go and neighbours are joined.
// The weight was chosen on SciFact's train claims alone (bench/retrieval.py).
// Threads: one at a time a Retriever.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/formats/extracted_document.h"
#include "phial/rag/embed.h"
#include "phial/rag/lexical.h"
#include "phial/rag/store.h"
#include "phial/rag/vector_index.h"

namespace phial::rag {

struct SearchFilter {
  std::vector<std::string> paths;             // globs, see filter_matches(); one must fit
  std::optional<int64_t> since_ns, until_ns;  // time of the file's last change
  bool empty() const { return paths.empty() && !since_ns && !until_ns; }
};

struct SearchOptions {
  size_t k = 8;
  float vector_weight = 0.6F;  // 0: words alone, 1: vectors alone
  bool join_neighbours = true;
  bool drop_duplicates = true;
  SearchFilter filter;
  std::stop_token cancel = {};
};

// A run of one or more neighbouring passages of one document.
struct Hit {
  // Where one of its passages begins, and what stands above it.
  struct Part {
    uint64_t start = 0;  // byte of the document's text
    int page = 0;
    std::string heading;
  };

  StoredPassage passage;  // `text`, `start` and `end` of the whole run; `ordinal`, `page` and `heading` of its first
  int last_ordinal = 0;
  std::string path;
  int64_t mtime_ns = 0;
  double score = 0;       // fused, 0 to 1; of its best passage
  double word_score = 0;  // BM25
  double cosine = 0;
  std::vector<Part> parts;               // at least one, in the order of the text
  std::vector<formats::Figure> figures;  // that its text tells of

  // The part that holds the document's byte `at`. Promise: it lies inside the run.
  const Part& part_at(uint64_t at) const;
};

// How one passage fared, for --explain.
struct Candidate {
  int64_t passage = 0;
  double score = 0, word_score = 0, cosine = 0;
  int word_rank = 0, vector_rank = 0;  // from 1; 0: not found by it
  std::string fate;                    // "kept", "joined to 3", "near-duplicate of 2", "below the first 8", ...
};

struct Retrieval {
  std::vector<Hit> hits;              // best first
  std::vector<Candidate> candidates;  // what was looked at, best first
  std::vector<QueryTerm> terms;       // what the word index was asked for
  size_t passages_searched = 0;
  double milliseconds = 0;
};

class Retriever {
 public:
  Retriever(Store& store, Embedder& embedder) : store_(store), embedder_(embedder) {}

  // kCancelled: between two documents where the library's vectors are read, which stay, otherwise before the next of a
  // few short stages.
  Result<Retrieval> search(std::string_view question, const SearchOptions& options);

 private:
  struct Scored;
  Result<std::vector<QueryTerm>> widen(std::vector<QueryTerm> terms);
  Result<std::vector<Scored>> score(const std::vector<QueryTerm>& terms, std::string_view question,
                                    const SearchOptions& options);
  static bool join(const StoredPassage& passage, std::vector<Hit>& hits, Candidate& candidate);
  Status choose(const std::vector<Scored>& scored, const SearchOptions& options, Retrieval& retrieval);

  Store& store_;
  Embedder& embedder_;
  VectorIndex index_;
};

// The candidates with all their scores, for people and programs.
Json explain(const Retrieval& retrieval);

}  // namespace phial::rag

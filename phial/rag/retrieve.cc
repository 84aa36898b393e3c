#include "phial/rag/retrieve.h"

#include <algorithm>
#include <chrono>
#include <unordered_set>

#include "phial/rag/ignore.h"
#include "phial/rag/lexical.h"
#include "phial/rag/word_scores.h"

namespace phial::rag {
namespace {

using Clock = std::chrono::steady_clock;

// A word that fewer passages have than this is also looked for inside longer words, and shorter ones inside it.
constexpr int64_t kRareWord = 3;
constexpr size_t kMinPartLetters = 5;
constexpr size_t kMaxRelated = 8;

constexpr size_t kMinPool = 100;  // candidates that are looked at
constexpr int kMaxJoined = 3;     // passages in one hit
constexpr size_t kShingleWords = 4;
constexpr double kDuplicateShare = 0.85;

Status go_on(const std::stop_token& cancel) {
  return cancel.stop_requested() ? Status(Error{Code::kCancelled, "the search was stopped", ""}) : ok();
}

Hit::Part part_of(const StoredPassage& passage) { return {passage.start, passage.page, passage.heading}; }

std::unordered_set<std::string> shingles(std::string_view text) {
  const std::vector<Word> words = words_of(text);
  std::unordered_set<std::string> found;
  for (size_t i = 0; i + kShingleWords <= words.size(); ++i) {
    std::string shingle;
    for (size_t w = i; w < i + kShingleWords; ++w) shingle += words[w].text + " ";
    found.insert(std::move(shingle));
  }
  return found;
}

bool near_duplicates(const std::unordered_set<std::string>& a, const std::unordered_set<std::string>& b) {
  const auto& small = a.size() <= b.size() ? a : b;
  const auto& large = a.size() <= b.size() ? b : a;
  if (small.empty()) return false;
  const auto common =
      std::count_if(small.begin(), small.end(), [&](const auto& shingle) { return large.contains(shingle); });
  return static_cast<double>(common) >= kDuplicateShare * static_cast<double>(small.size());
}

bool passes(const FileRecord& file, const SearchFilter& filter) {
  if (filter.since_ns && file.mtime_ns < *filter.since_ns) return false;
  if (filter.until_ns && file.mtime_ns > *filter.until_ns) return false;
  return filter.paths.empty() || std::any_of(filter.paths.begin(), filter.paths.end(), [&](const std::string& pattern) {
           return filter_matches(pattern, file.path);
         });
}

// The documents that a filter lets through.
Result<std::unordered_set<int64_t>> allowed_contents(Store& store, const SearchFilter& filter) {
  PHIAL_TRY(const auto files, store.files());
  std::unordered_set<int64_t> allowed;
  for (const FileRecord& file : files) {
    if (file.content_id != 0 && passes(file, filter)) allowed.insert(file.content_id);
  }
  return allowed;
}

}  // namespace

struct Retriever::Scored {
  int64_t passage = 0;
  double score = 0, word_score = 0, cosine = 0;
  int word_rank = 0, vector_rank = 0;
};

Result<Retrieval> Retriever::search(std::string_view question, const SearchOptions& options) {
  const auto start = Clock::now();
  PHIAL_CHECKED(go_on(options.cancel));
  PHIAL_CHECKED(index_.refresh(store_, options.cancel));
  Retrieval retrieval;
  retrieval.passages_searched = index_.size();
  PHIAL_TRY(retrieval.terms, widen(query_terms(question)));
  PHIAL_TRY(const auto scored, score(retrieval.terms, question, options));
  PHIAL_CHECKED(choose(scored, options, retrieval));
  retrieval.milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  return retrieval;
}

// Compounds: "Dampfschiff" is also found in "Donaudampfschifffahrt", and the other way round.
Result<std::vector<QueryTerm>> Retriever::widen(std::vector<QueryTerm> terms) {
  std::vector<std::string> parts;
  for (const QueryTerm& term : terms) {
    const std::string part = without_accents(term.text);
    if (part.size() < kMinPartLetters || part.find(' ') != std::string::npos) continue;
    PHIAL_TRY(const int64_t passages, store_.count_passages_with(term.text, kRareWord));
    if (passages < kRareWord) parts.push_back(rough_stem(part));
  }
  PHIAL_TRY(auto related, store_.related_words(parts, kMaxRelated));
  for (std::string& word : related) {
    const bool is_asked =
        std::any_of(terms.begin(), terms.end(), [&](const QueryTerm& term) { return term.text == word; });
    if (!is_asked) terms.push_back({std::move(word), kStandInShare});
  }
  return terms;
}

Result<std::vector<Retriever::Scored>> Retriever::score(const std::vector<QueryTerm>& terms, std::string_view question,
                                                        const SearchOptions& options) {
  const std::string text(question);
  PHIAL_CHECKED(go_on(options.cancel));
  PHIAL_TRY(const std::vector<float> query, embedder_.embed(std::span(&text, 1)));
  PHIAL_CHECKED(go_on(options.cancel));
  const std::vector<float> cosines = index_.cosines(query);
  PHIAL_CHECKED(go_on(options.cancel));
  PHIAL_TRY(const std::vector<double> words, word_scores(store_, index_, terms));
  std::optional<std::unordered_set<int64_t>> allowed;
  if (!options.filter.empty()) {
    PHIAL_TRY(allowed, allowed_contents(store_, options.filter));
  }

  std::vector<Scored> scored;
  double best_words = 0;
  double best_cosine = 0;
  for (size_t row = 0; row < index_.size(); ++row) {
    if (allowed && !allowed->contains(index_.content(row))) continue;
    Scored& one = scored.emplace_back();
    one.passage = index_.passage(row);
    one.cosine = std::max(static_cast<double>(cosines[row]), 0.0);
    one.word_score = words[row];
    best_words = std::max(best_words, one.word_score);
    best_cosine = std::max(best_cosine, one.cosine);
  }
  const double weight = options.vector_weight;
  for (Scored& one : scored) {
    if (best_words > 0) one.score += (1 - weight) * one.word_score / best_words;
    if (best_cosine > 0) one.score += weight * one.cosine / best_cosine;
  }

  const size_t pool = std::min(scored.size(), std::max(kMinPool, options.k * 4));
  const auto keep_best = [&](auto value, int Scored::* rank) {
    std::partial_sort(scored.begin(), scored.begin() + static_cast<ptrdiff_t>(pool), scored.end(),
                      [&](const Scored& a, const Scored& b) {
                        return value(a) != value(b) ? value(a) > value(b) : a.passage < b.passage;
                      });
    for (size_t i = 0; rank != nullptr && i < pool && value(scored[i]) > 0; ++i)
      scored[i].*rank = static_cast<int>(i) + 1;
  };
  keep_best([](const Scored& one) { return one.word_score; }, &Scored::word_rank);
  keep_best([](const Scored& one) { return one.cosine; }, &Scored::vector_rank);
  keep_best([](const Scored& one) { return one.score; }, nullptr);
  scored.resize(pool);
  return scored;
}

Status Retriever::choose(const std::vector<Scored>& scored, const SearchOptions& options, Retrieval& retrieval) {
  std::vector<std::unordered_set<std::string>> seen;  // of each hit
  for (const Scored& one : scored) {
    PHIAL_CHECKED(go_on(options.cancel));
    Candidate& candidate = retrieval.candidates.emplace_back(
        Candidate{one.passage, one.score, one.word_score, one.cosine, one.word_rank, one.vector_rank, {}});
    if (retrieval.hits.size() == options.k) {
      candidate.fate = "below the first " + std::to_string(options.k);
      continue;
    }
    if (one.score <= 0) {
      candidate.fate = "nothing in common with the question";
      continue;
    }
    PHIAL_TRY(auto passages, store_.passages(std::span(&one.passage, 1)));
    if (passages.empty()) {
      candidate.fate = "removed meanwhile";
      continue;
    }
    StoredPassage& passage = passages.front();
    PHIAL_TRY(const auto files, store_.files_of(passage.content_id));
    const auto file = std::find_if(files.begin(), files.end(),
                                   [&](const FileRecord& record) { return passes(record, options.filter); });
    if (file == files.end()) {
      candidate.fate = "its file is gone";
      continue;
    }
    if (options.join_neighbours && join(passage, retrieval.hits, candidate)) continue;
    if (options.drop_duplicates) {
      auto own = shingles(passage.text);
      const auto twin =
          std::find_if(seen.begin(), seen.end(), [&](const auto& other) { return near_duplicates(own, other); });
      if (twin != seen.end()) {
        candidate.fate = "near-duplicate of " + std::to_string(twin - seen.begin() + 1);
        continue;
      }
      seen.push_back(std::move(own));
    }
    const int ordinal = passage.ordinal;
    std::vector<Hit::Part> parts = {part_of(passage)};
    retrieval.hits.push_back({std::move(passage),
                              ordinal,
                              file->path,
                              file->mtime_ns,
                              one.score,
                              one.word_score,
                              one.cosine,
                              std::move(parts),
                              {}});
    candidate.fate = "kept as " + std::to_string(retrieval.hits.size());
  }
  for (Hit& hit : retrieval.hits) {
    PHIAL_TRY(hit.figures, store_.figures(hit.passage.content_id, hit.passage.start, hit.passage.end));
  }
  return ok();
}

bool Retriever::join(const StoredPassage& passage, std::vector<Hit>& hits, Candidate& candidate) {
  for (size_t i = 0; i < hits.size(); ++i) {
    Hit& hit = hits[i];
    StoredPassage& run = hit.passage;
    if (run.content_id != passage.content_id || hit.last_ordinal - run.ordinal + 1 >= kMaxJoined) continue;
    if (passage.ordinal == hit.last_ordinal + 1) {
      run.text += run.gap + passage.text;
      run.gap = passage.gap;
      run.end = passage.end;
      hit.last_ordinal = passage.ordinal;
      hit.parts.push_back(part_of(passage));
    } else if (passage.ordinal + 1 == run.ordinal) {
      run.text = passage.text + passage.gap + run.text;
      run.start = passage.start;
      run.ordinal = passage.ordinal;
      run.page = passage.page;
      run.heading = passage.heading;
      hit.parts.insert(hit.parts.begin(), part_of(passage));
    } else {
      continue;
    }
    candidate.fate = "joined to " + std::to_string(i + 1);
    return true;
  }
  return false;
}

const Hit::Part& Hit::part_at(uint64_t at) const {
  const auto after = std::ranges::upper_bound(parts, at, {}, &Part::start);
  return *(after == parts.begin() ? after : after - 1);
}

Json explain(const Retrieval& retrieval) {
  Json candidates = Json::array();
  for (const Candidate& candidate : retrieval.candidates) {
    candidates.push_back({{"passage", candidate.passage},
                          {"score", candidate.score},
                          {"word_score", candidate.word_score},
                          {"cosine", candidate.cosine},
                          {"word_rank", candidate.word_rank},
                          {"vector_rank", candidate.vector_rank},
                          {"fate", candidate.fate}});
  }
  Json terms = Json::array();
  for (const QueryTerm& term : retrieval.terms) terms.push_back(term.text);
  return {{"terms", std::move(terms)},
          {"passages_searched", retrieval.passages_searched},
          {"retrieve_ms", retrieval.milliseconds},
          {"candidates", candidates}};
}

}  // namespace phial::rag

#include "phial/tokenizer/bpe_trainer.h"

#include <algorithm>
#include <numeric>
#include <queue>

#include "phial/tokenizer/byte_bpe.h"
#include "phial/tokenizer/tokenizer_json.h"

namespace phial::tokenizer {
namespace {

using Pair = uint64_t;  // the left id in the upper half

Pair pair_of(uint32_t left, uint32_t right) { return Pair{left} << 32 | right; }

// The bytes in the order of how GPT-2's files spell them.
std::vector<std::string> byte_pieces() {
  std::vector<std::string> bytes;
  bytes.reserve(256);
  for (int b = 0; b < 256; ++b) bytes.emplace_back(1, static_cast<char>(b));
  std::ranges::sort(bytes, {}, spelling_of_bytes);
  return bytes;
}

struct Word {
  std::vector<uint32_t> ids;
  int64_t count = 0;
};

struct Candidate {
  int64_t count = 0;
  Pair pair = 0;
  // The smaller pair stands before as many larger ones.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// The words, and of every pair of neighbours how often it occurs and in which words.
class PairCounts {
 public:
  explicit PairCounts(std::vector<Word> words) : words_(std::move(words)) {
    for (uint32_t w = 0; w < words_.size(); ++w) {
      const Word& word = words_[w];
      for (size_t i = 0; i + 1 < word.ids.size(); ++i) change(pair_of(word.ids[i], word.ids[i + 1]), word.count, w);
    }
    for (const auto& [pair, found] : pairs_) queue_.push({found.count, pair});
  }

  // The most frequent pair; nothing if none occurs twice.
  std::optional<Pair> best() {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const int64_t now = pairs_[top.pair].count;
      if (now < 2) continue;
      if (now == top.count) return top.pair;
      queue_.push({now, top.pair});
    }
    return std::nullopt;
  }

  void merge(Pair pair, uint32_t id) {
    const std::vector<uint32_t> where = std::move(pairs_[pair].words);
    std::vector<Pair> grown;
    for (const uint32_t w : where) merge_in(w, pair, id, grown);
    pairs_.erase(pair);
    std::ranges::sort(grown);
    grown.erase(std::unique(grown.begin(), grown.end()), grown.end());
    for (const Pair each : grown) queue_.push({pairs_[each].count, each});
  }

 private:
  struct Found {
    int64_t count = 0;
    std::vector<uint32_t> words;  // that had it at some time
  };

  void change(Pair pair, int64_t by, uint32_t word) {
    Found& found = pairs_[pair];
    found.count += by;
    if (by > 0 && (found.words.empty() || found.words.back() != word)) found.words.push_back(word);
  }

  void merge_in(uint32_t w, Pair pair, uint32_t id, std::vector<Pair>& grown) {
    Word& word = words_[w];
    const auto left = static_cast<uint32_t>(pair >> 32), right = static_cast<uint32_t>(pair);
    const auto grow = [&](Pair made) {
      change(made, word.count, w);
      grown.push_back(made);
    };
    std::vector<uint32_t>& ids = word.ids;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      if (ids[i] != left || ids[i + 1] != right) continue;
      if (i > 0) {
        change(pair_of(ids[i - 1], left), -word.count, w);
        grow(pair_of(ids[i - 1], id));
      }
      if (i + 2 < ids.size()) {
        change(pair_of(right, ids[i + 2]), -word.count, w);
        grow(pair_of(id, ids[i + 2]));
      }
      ids[i] = id;
      ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
  }

  std::vector<Word> words_;
  std::unordered_map<Pair, Found> pairs_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

void BpeTrainer::add(std::string_view text) {
  text_bytes_ += text.size();
  words_.clear();
  splitter_->split(text, words_);
  for (const std::string_view word : words_) ++counts_[std::string(word)];
}

Result<BpeVocabulary> BpeTrainer::learn(size_t vocab_size, std::span<const std::string> special_tokens,
                                        const std::stop_token& stop,
                                        const std::function<void(size_t pieces)>& on_progress) const {
  BpeVocabulary learned = {.special_tokens = {special_tokens.begin(), special_tokens.end()}, .pieces = byte_pieces()};
  const size_t first = special_tokens.size();
  std::vector<uint32_t> id_of_byte(256);
  std::unordered_map<std::string, uint32_t> id_of_piece;
  for (size_t i = 0; i < learned.pieces.size(); ++i) {
    const auto id = static_cast<uint32_t>(first + i);
    id_of_byte[static_cast<unsigned char>(learned.pieces[i][0])] = id;
    id_of_piece.emplace(learned.pieces[i], id);
  }
  // Sorted: what is learned does not depend on the order in which words came.
  std::vector<const std::pair<const std::string, uint64_t>*> sorted;
  sorted.reserve(counts_.size());
  for (const auto& counted : counts_) sorted.push_back(&counted);
  std::ranges::sort(sorted, {}, [](const auto* counted) -> const std::string& { return counted->first; });
  std::vector<Word> words;
  words.reserve(sorted.size());
  for (const auto* counted : sorted) {
    Word word = {.ids = {}, .count = static_cast<int64_t>(counted->second)};
    for (const char c : counted->first) word.ids.push_back(id_of_byte[static_cast<unsigned char>(c)]);
    words.push_back(std::move(word));
  }

  PairCounts pairs(std::move(words));
  while (first + learned.pieces.size() < vocab_size) {
    if (stop.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
    const auto best = pairs.best();
    if (!best) break;
    const auto piece_of = [&](uint64_t id) -> const std::string& { return learned.pieces[id - first]; };
    const std::string &left = piece_of(*best >> 32), &right = piece_of(*best & UINT32_MAX);
    std::string joined = left + right;
    learned.merges.emplace_back(left, right);
    // Two ways to the same bytes make one token.
    const auto [entry, is_new] = id_of_piece.emplace(joined, static_cast<uint32_t>(first + learned.pieces.size()));
    if (is_new) learned.pieces.push_back(std::move(joined));
    pairs.merge(*best, entry->second);
    on_progress(first + learned.pieces.size());
  }
  return learned;
}

Json tokenizer_json_of(const BpeVocabulary& vocabulary) {
  Json added = Json::array(), ids = Json::object(), merges = Json::array();
  TokenId id = 0;
  for (const std::string& text : vocabulary.special_tokens) {
    ids[text] = id;
    added.push_back(added_token_json({.text = text, .id = id++}));
  }
  for (const std::string& piece : vocabulary.pieces) ids[spelling_of_bytes(piece)] = id++;
  for (const auto& [left, right] : vocabulary.merges) {
    merges.push_back({spelling_of_bytes(left), spelling_of_bytes(right)});
  }
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return tokenizer_json({.added_tokens = std::move(added),
                         .pre_tokenizer = byte_level,
                         .decoder = byte_level,
                         .post_processor = nullptr,
                         .vocabulary = std::move(ids),
                         .merges = std::move(merges)});
}

}  // namespace phial::tokenizer

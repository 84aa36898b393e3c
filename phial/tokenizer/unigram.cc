#include "phial/tokenizer/unigram.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/tokenizer/merges.h"
#include "phial/tokenizer/unicode.h"

namespace phial::tokenizer {
namespace {

// Byte strings -> ids, walked one byte at a time. Node 0 is the root.
class Trie {
 public:
  explicit Trie(size_t expected_bytes) : edges_(expected_bytes) {}

  void add(std::string_view text, TokenId id) {
    TokenId node = 0;
    for (const char c : text) {
      TokenId child = step(node, c);
      if (child < 0) {
        child = static_cast<TokenId>(ids_.size());
        ids_.push_back(-1);
        edges_.add(node, static_cast<unsigned char>(c), {0, child});
      }
      node = child;
    }
    if (ids_[static_cast<size_t>(node)] < 0) ids_[static_cast<size_t>(node)] = id;
  }

  TokenId step(TokenId node, char c) const { return edges_.find(node, static_cast<unsigned char>(c)).merged; }
  TokenId id_at(TokenId node) const { return ids_[static_cast<size_t>(node)]; }

 private:
  MergeTable edges_;  // (node, byte) -> node
  std::vector<TokenId> ids_ = {-1};
};

class UnigramTokenizer final : public VocabularyTokenizer {
 public:
  UnigramTokenizer(Unigram parts, const std::vector<double>& scores, Trie trie)
      : VocabularyTokenizer(std::move(parts.vocabulary)),
        parts_(std::move(parts)),
        scores_(scores),
        trie_(std::move(trie)) {
    byte_ids_.fill(-1);
    for (size_t id = 0; id < vocabulary().pieces.size(); ++id) {
      if (vocabulary().kinds[id] != TokenKind::kByte) continue;
      if (const auto byte = byte_of_spelling(vocabulary().pieces[id])) byte_ids_[*byte] = static_cast<TokenId>(id);
    }
    constexpr double kUnknownPenalty = 10;
    unknown_score_ = *std::min_element(scores_.begin(), scores_.end()) - kUnknownPenalty;
  }

  std::string decode(std::span<const TokenId> ids, bool show_special) const override {
    std::string text;
    bool drop_space = parts_.prefix != SpacePrefix::kNone;
    for (const TokenId id : ids) {
      if (is_hidden(id, show_special)) continue;
      std::string piece = bytes_of(id, show_special);
      if (drop_space && piece.starts_with(' ')) piece.erase(0, 1);
      drop_space = false;
      text.append(piece);
    }
    return text;
  }

  std::string bytes_of(TokenId id, bool show_special) const override {
    if (is_hidden(id, show_special)) return {};
    const std::string& piece = vocabulary().pieces[static_cast<size_t>(id)];
    if (vocabulary().kinds[static_cast<size_t>(id)] == TokenKind::kByte) {
      if (const auto byte = byte_of_spelling(piece)) return {static_cast<char>(*byte)};
    }
    return with_spaces(piece);
  }

 protected:
  void encode_plain(std::string_view text, bool is_first, WordCache& cache, std::vector<TokenId>& ids) const override {
    std::string normal(text);
    parts_.normalizer.apply(normal);
    if (!parts_.split_white_space) {
      if (parts_.remove_extra_whitespaces) normal = without_extra_spaces(normal);
      encode_marked(normal, is_first, cache, ids);
      return;
    }
    size_t start = 0;
    for (size_t at = 0; at <= normal.size();) {
      const Char c = at < normal.size() ? classify(normal, at) : Char{CharKind::kSpace, 1};
      if (is_space(c.kind)) {
        if (at > start) encode_marked(std::string_view(normal).substr(start, at - start), is_first, cache, ids);
        if (at > start) is_first = false;
        start = at + c.length;
      }
      at += c.length;
    }
  }

 private:
  void encode_marked(std::string_view text, bool is_first, WordCache& cache, std::vector<TokenId>& ids) const {
    if (text.empty()) return;
    std::string marked;
    const bool present = text.starts_with(' ') || text.starts_with(kSpaceMark);
    const bool wanted =
        parts_.prefix == SpacePrefix::kEverySegment || (parts_.prefix == SpacePrefix::kFirstSegment && is_first);
    if (wanted && !(parts_.prefix_unless_present && present)) marked = kSpaceMark;
    for (const char c : text) {
      if (c == ' ') {
        marked.append(kSpaceMark);
      } else {
        marked.push_back(c);
      }
    }
    const std::string_view view = marked;
    for (size_t at = 0; at < view.size();) {
      size_t end = parts_.every_space_starts_word ? view.find(kSpaceMark, at + 1) : std::string_view::npos;
      end = std::min(end, view.size());
      encode_word(view.substr(at, end - at), cache, ids);
      at = end;
    }
  }

  struct Best {
    double score = -std::numeric_limits<double>::infinity();
    size_t start = 0;  // of the piece that ends here
    TokenId id = -1;   // -1: unknown
  };

  void encode_word(std::string_view word, WordCache& cache, std::vector<TokenId>& ids) const {
    if (cache.append(word, ids)) return;
    std::vector<Best> best(word.size() + 1);  // by where a piece ends
    best[0].score = 0;
    for (size_t start = 0; start < word.size();) {
      const double here = best[start].score;
      const auto character = static_cast<size_t>(decode_utf8(word, start).length);
      bool has_single = false;
      TokenId node = 0;
      for (size_t end = start; end < word.size();) {
        node = trie_.step(node, word[end++]);
        if (node < 0) break;
        const TokenId id = trie_.id_at(node);
        if (id < 0) continue;
        const double score = here + scores_[static_cast<size_t>(id)];
        if (score > best[end].score) best[end] = {score, start, id};
        has_single = has_single || end - start == character;
      }
      Best& next = best[start + character];
      if (!has_single && here + unknown_score_ > next.score) next = {here + unknown_score_, start, -1};
      start += character;
    }
    const size_t from = ids.size();
    emit(word, best, ids);
    cache.remember(word, ids, from);
  }

  void emit(std::string_view word, const std::vector<Best>& best, std::vector<TokenId>& ids) const {
    std::vector<std::pair<size_t, size_t>> pieces;  // start, end
    for (size_t end = word.size(); end > 0; end = best[end].start) pieces.emplace_back(best[end].start, end);
    bool after_unknown = false;
    for (auto it = pieces.rbegin(); it != pieces.rend(); ++it) {
      const Best& piece = best[it->second];
      if (piece.id >= 0) {
        ids.push_back(piece.id);
        after_unknown = false;
        continue;
      }
      const std::string_view text = word.substr(it->first, it->second - it->first);
      const bool has_bytes =
          std::all_of(text.begin(), text.end(), [&](char c) { return byte_ids_[static_cast<unsigned char>(c)] >= 0; });
      if (has_bytes) {
        for (const char c : text) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
      } else if (!after_unknown) {
        ids.push_back(*vocabulary().unknown);
      }
      after_unknown = !has_bytes;
    }
  }

  Unigram parts_;  // without its vocabulary
  std::vector<double> scores_;
  Trie trie_;
  std::array<TokenId, 256> byte_ids_{};
  double unknown_score_ = 0;
};

}  // namespace

bool marks_only_begin_pieces(const Vocabulary& vocabulary) {
  return std::all_of(vocabulary.pieces.begin(), vocabulary.pieces.end(), [](const std::string& piece) {
    const size_t last = piece.rfind(kSpaceMark);
    return last == std::string::npos || last == 0;
  });
}

Result<std::unique_ptr<Tokenizer>> make_unigram(Unigram parts, const std::vector<double>& scores) {
  const Vocabulary& vocabulary = parts.vocabulary;
  PHIAL_CHECKED(vocabulary.check());
  if (scores.size() != vocabulary.pieces.size()) {
    return Error{
        Code::kCorrupt,
        std::to_string(scores.size()) + " token scores for " + std::to_string(vocabulary.pieces.size()) + " tokens",
        "get the tokenizer again"};
  }
  if (!vocabulary.unknown) {
    return Error{Code::kCorrupt, "the unigram vocabulary has no unknown token", "get the tokenizer again"};
  }
  std::vector<bool> left_out(scores.size());
  for (const AddedToken& a : vocabulary.added) left_out[static_cast<size_t>(a.token.id)] = true;
  Trie trie(scores.size() * 3);
  for (size_t id = 0; id < scores.size(); ++id) {
    if (!std::isfinite(scores[id])) {
      return Error{Code::kCorrupt, "the score of token " + std::to_string(id) + " is not a number",
                   "get the tokenizer again"};
    }
    const std::string& piece = vocabulary.pieces[id];
    if (vocabulary.kinds[id] == TokenKind::kNormal && !left_out[id] && !piece.empty() && piece.size() <= 512) {
      trie.add(piece, static_cast<TokenId>(id));
    }
  }
  return std::unique_ptr<Tokenizer>(std::make_unique<UnigramTokenizer>(std::move(parts), scores, std::move(trie)));
}

}  // namespace phial::tokenizer

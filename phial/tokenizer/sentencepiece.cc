#include "phial/tokenizer/sentencepiece.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "phial/base/utf8.h"

namespace phial::tokenizer {
namespace {

constexpr TokenId kNoSymbol = -1;

// Text -> symbol while tables are built. Symbols are ids of pieces, and beyond them numbers for characters that occur
// inside pieces without being one.
class Symbols {
 public:
  explicit Symbols(const Vocabulary& vocabulary) : next_(static_cast<TokenId>(vocabulary.pieces.size())) {
    std::vector<bool> added(vocabulary.pieces.size());
    for (const AddedToken& a : vocabulary.added) added[static_cast<size_t>(a.token.id)] = true;
    ids_.reserve(vocabulary.pieces.size());
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
      if (vocabulary.kinds[id] != TokenKind::kNormal || added[id] || vocabulary.pieces[id].empty()) continue;
      ids_.emplace(vocabulary.pieces[id], static_cast<TokenId>(id));
    }
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
      const std::string_view piece = vocabulary.pieces[id];
      if (find(piece) == static_cast<TokenId>(id)) add_characters(piece);
    }
  }

  TokenId find(std::string_view text) const {
    const auto it = ids_.find(text);
    return it == ids_.end() ? kNoSymbol : it->second;
  }
  const std::vector<std::string_view>& extra() const { return extra_; }
  template <class Body>
  void for_each_character(const Body& body) const {
    for (const auto& [text, id] : ids_) {
      const DecodedChar c = decode_utf8(text, 0);
      if (c.valid && static_cast<size_t>(c.length) == text.size()) body(c.code_point, id);
    }
  }

 private:
  void add_characters(std::string_view piece) {
    for (size_t at = 0; at < piece.size();) {
      const DecodedChar c = decode_utf8(piece, at);
      const std::string_view character = piece.substr(at, static_cast<size_t>(c.length));
      if (c.valid && ids_.emplace(character, next_).second) {
        extra_.push_back(character);
        ++next_;
      }
      at += static_cast<size_t>(c.length);
    }
  }

  std::unordered_map<std::string_view, TokenId> ids_;
  std::vector<std::string_view> extra_;
  TokenId next_;
};

struct Tables {
  MergeTable merges;
  std::array<TokenId, 128> ascii{};
  std::unordered_map<char32_t, TokenId> characters;
  std::vector<std::string> extra;
};

class SentencePieceTokenizer final : public VocabularyTokenizer {
 public:
  SentencePieceTokenizer(SentencePieceBpe parts, Tables tables)
      : VocabularyTokenizer(std::move(parts.vocabulary)), tables_(std::move(tables)), parts_(std::move(parts)) {
    byte_ids_.fill(kNoSymbol);
    decoded_.reserve(vocabulary().pieces.size());
    for (size_t id = 0; id < vocabulary().pieces.size(); ++id) {
      decoded_.push_back(decoded(vocabulary().pieces[id], vocabulary().kinds[id], static_cast<TokenId>(id)));
    }
    words_can_be_cut_ = std::all_of(vocabulary().pieces.begin(), vocabulary().pieces.end(), [](const auto& piece) {
      const size_t last = piece.rfind(kSpaceMark);
      return last == std::string::npos || piece.find_first_not_of(kSpaceMark) >= last;
    });
  }

  std::string decode(std::span<const TokenId> ids, bool show_special) const override {
    std::string text;
    bool drop_space = parts_.prefix != SpacePrefix::kNone;
    for (const TokenId id : ids) {
      if (is_hidden(id, show_special)) continue;
      std::string_view piece = decoded_[static_cast<size_t>(id)];
      if (drop_space && added_token(id) == nullptr && piece.starts_with(' ')) piece.remove_prefix(1);
      drop_space = false;
      text.append(piece);
    }
    return text;
  }

  std::string bytes_of(TokenId id, bool show_special) const override {
    return is_hidden(id, show_special) ? std::string() : decoded_[static_cast<size_t>(id)];
  }

 protected:
  void encode_plain(std::string_view text, bool is_first, WordCache& cache, std::vector<TokenId>& ids) const override {
    std::string prepared;
    if (!parts_.normalizer.empty()) {
      prepared = text;
      parts_.normalizer.apply(prepared);
      text = prepared;
    }
    if (parts_.remove_extra_whitespaces) {
      prepared = without_extra_spaces(text);
      text = prepared;
    }
    if (text.empty()) return;
    const bool present = text.starts_with(' ') || text.starts_with(kSpaceMark);
    if ((parts_.prefix == SpacePrefix::kEverySegment || (parts_.prefix == SpacePrefix::kFirstSegment && is_first)) &&
        !(parts_.prefix_unless_present && present)) {
      std::string prefixed;
      prefixed.reserve(text.size() + 1);
      prefixed.append(" ").append(text);
      prepared = std::move(prefixed);
      text = prepared;
    }
    std::vector<TokenId> symbols;
    for (size_t at = 0; at < text.size();) {
      const size_t end = end_of_word(text, at);
      encode_word(text.substr(at, end - at), cache, symbols, ids);
      at = end;
    }
  }

 private:
  std::string decoded(const std::string& piece, TokenKind kind, TokenId id) {
    if (kind == TokenKind::kByte) {
      if (const auto byte = byte_of_spelling(piece)) {
        if (byte_ids_[*byte] == kNoSymbol) byte_ids_[*byte] = id;
        return {static_cast<char>(*byte)};
      }
    }
    if (added_token(id) != nullptr && added_token(id)->is_control) return piece;
    return with_spaces(piece);
  }

  // No piece has a mark behind another character, so nothing merges across a space that follows one: cutting there
  // changes no id, and words that repeat need not be merged again.
  size_t end_of_word(std::string_view text, size_t at) const {
    if (!words_can_be_cut_ && !parts_.every_space_starts_word) return text.size();
    for (size_t end = at + 1;; ++end) {
      end = text.find(' ', end);
      if (end == std::string_view::npos) return text.size();
      if (parts_.every_space_starts_word) return end;
      const bool follows_space =
          text[end - 1] == ' ' || (end >= kSpaceMark.size() && text.substr(end - kSpaceMark.size(), 3) == kSpaceMark);
      if (!follows_space) return end;
    }
  }

  void encode_word(std::string_view word, WordCache& cache, std::vector<TokenId>& symbols,
                   std::vector<TokenId>& ids) const {
    if (cache.append(word, ids)) return;
    symbols.clear();
    std::vector<std::string_view> unknown;  // the texts of the symbols that are none, in order
    for (size_t at = 0; at < word.size();) {
      const auto byte = static_cast<unsigned char>(word[at]);
      TokenId symbol = kNoSymbol;
      size_t length = 1;
      if (byte < 128) {
        symbol = tables_.ascii[byte];
      } else {
        const DecodedChar c = decode_utf8(word, at);
        length = static_cast<size_t>(c.length);
        if (c.valid) {
          const auto it = tables_.characters.find(c.code_point);
          if (it != tables_.characters.end()) symbol = it->second;
        }
      }
      if (symbol == kNoSymbol) unknown.push_back(word.substr(at, length));
      symbols.push_back(symbol);
      at += length;
    }
    tables_.merges.apply(symbols);
    const size_t from = ids.size();
    emit(symbols, unknown, ids);
    cache.remember(word, ids, from);
  }

  void emit(const std::vector<TokenId>& symbols, const std::vector<std::string_view>& unknown,
            std::vector<TokenId>& ids) const {
    const auto n_pieces = static_cast<TokenId>(vocabulary().pieces.size());
    size_t next_unknown = 0;
    bool after_unknown = false;
    for (const TokenId symbol : symbols) {
      if (symbol >= 0 && symbol < n_pieces) {
        ids.push_back(symbol);
        after_unknown = false;
        continue;
      }
      const std::string_view text = symbol == kNoSymbol
                                        ? unknown[next_unknown++]
                                        : std::string_view(tables_.extra[static_cast<size_t>(symbol - n_pieces)]);
      const bool has_bytes = std::all_of(text.begin(), text.end(),
                                         [&](char c) { return byte_ids_[static_cast<unsigned char>(c)] != kNoSymbol; });
      if (has_bytes) {
        for (const char c : text) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
      } else if (vocabulary().unknown && !(after_unknown && parts_.fuse_unknown)) {
        ids.push_back(*vocabulary().unknown);
      }
      after_unknown = !has_bytes;
    }
  }

  Tables tables_;
  SentencePieceBpe parts_;  // without its vocabulary
  std::array<TokenId, 256> byte_ids_{};
  std::vector<std::string> decoded_;
  bool words_can_be_cut_ = false;
};

Tables tables_of(const Symbols& symbols, MergeTable merges) {
  Tables tables;
  tables.merges = std::move(merges);
  tables.ascii.fill(kNoSymbol);
  symbols.for_each_character([&](char32_t c, TokenId symbol) {
    if (c < 128) {
      tables.ascii[c] = symbol;
    } else {
      tables.characters.emplace(c, symbol);
    }
    if (c == 0x2581) tables.ascii[' '] = symbol;
  });
  for (const std::string_view text : symbols.extra()) tables.extra.emplace_back(text);
  return tables;
}

std::unique_ptr<Tokenizer> make(SentencePieceBpe parts, Tables tables) {
  return std::make_unique<SentencePieceTokenizer>(std::move(parts), std::move(tables));
}

}  // namespace

std::optional<unsigned char> byte_of_spelling(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
  unsigned value = 0;
  for (const char c : piece.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  return static_cast<unsigned char>(value);
}

std::string with_spaces(std::string_view piece) {
  std::string text;
  for (size_t at = 0; at < piece.size();) {
    const bool mark = piece.substr(at).starts_with(kSpaceMark);
    text.push_back(mark ? ' ' : piece[at]);
    at += mark ? kSpaceMark.size() : 1;
  }
  return text;
}

std::string without_extra_spaces(std::string_view text) {
  std::string kept;
  for (const char c : text) {
    if (c != ' ' || (!kept.empty() && kept.back() != ' ')) kept.push_back(c);
  }
  if (kept.ends_with(' ')) kept.pop_back();
  return kept;
}

Result<std::unique_ptr<Tokenizer>> make_sentencepiece(SentencePieceBpe parts, const std::vector<float>& scores) {
  PHIAL_CHECKED(parts.vocabulary.check());
  const std::vector<std::string>& pieces = parts.vocabulary.pieces;
  if (scores.size() != pieces.size()) {
    return Error{Code::kCorrupt,
                 std::to_string(scores.size()) + " token scores for " + std::to_string(pieces.size()) + " tokens",
                 "get the tokenizer again"};
  }
  std::vector<float> distinct;
  for (size_t id = 0; id < scores.size(); ++id) {
    if (!std::isfinite(scores[id])) {
      return Error{Code::kCorrupt, "the score of token " + std::to_string(id) + " is not a number",
                   "get the tokenizer again"};
    }
    distinct.push_back(scores[id]);
  }
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());

  // A piece of n characters is cut in n - 1 ways and each cut is hashed; longer ones are not words but blobs.
  constexpr size_t kLongest = 512;
  const Symbols symbols(parts.vocabulary);
  MergeTable merges(pieces.size() * 4);
  for (size_t id = 0; id < pieces.size(); ++id) {
    const std::string_view piece = pieces[id];
    if (piece.size() > kLongest || symbols.find(piece) != static_cast<TokenId>(id)) continue;
    const auto rank = static_cast<uint32_t>(
        std::lower_bound(distinct.begin(), distinct.end(), scores[id], std::greater<>()) - distinct.begin());
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      if ((static_cast<unsigned char>(piece[cut]) & 0xC0) == 0x80) continue;
      const TokenId left = symbols.find(piece.substr(0, cut));
      const TokenId right = symbols.find(piece.substr(cut));
      if (left >= 0 && right >= 0) merges.add(left, right, {rank, static_cast<TokenId>(id)});
    }
  }
  Tables tables = tables_of(symbols, std::move(merges));
  return make(std::move(parts), std::move(tables));
}

Result<std::unique_ptr<Tokenizer>> make_sentencepiece(
    SentencePieceBpe parts, const std::vector<std::pair<std::string_view, std::string_view>>& list) {
  PHIAL_CHECKED(parts.vocabulary.check());
  const Symbols symbols(parts.vocabulary);
  MergeTable merges(list.size());
  uint32_t rank = 0;
  for (const auto& [left, right] : list) {
    const std::string joined = std::string(left).append(right);
    const TokenId ids[3] = {symbols.find(left), symbols.find(right), symbols.find(joined)};
    if (std::min({ids[0], ids[1], ids[2]}) < 0) {
      if (parts.vocabulary.find(left) && parts.vocabulary.find(right) && parts.vocabulary.find(joined)) {
        ++rank;  // into or from a special token: plain text never becomes one
        continue;
      }
      return Error{Code::kCorrupt,
                   "merge " + std::to_string(rank) + " makes the token '" + joined.substr(0, 80) +
                       "' or takes parts that the vocabulary lacks",
                   "get the tokenizer again"};
    }
    merges.add(ids[0], ids[1], {rank++, ids[2]});
  }
  Tables tables = tables_of(symbols, std::move(merges));
  return make(std::move(parts), std::move(tables));
}

void apply_phi3_attributes(std::vector<AddedToken>& added) {
  const auto has = [&](std::string_view text) {
    return std::any_of(added.begin(), added.end(), [&](const AddedToken& a) { return a.token.text == text; });
  };
  if (!has("<|user|>") || !has("<|assistant|>") || !has("<|end|>")) return;
  for (AddedToken& a : added) {
    a.token.rstrip = a.token.text != "<|endoftext|>" && a.token.text != "<unk>" && a.token.text != "<s>";
  }
}

}  // namespace phial::tokenizer

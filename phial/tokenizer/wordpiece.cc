#include "phial/tokenizer/wordpiece.h"

#include <utf8proc.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/tokenizer/unicode.h"

namespace phial::tokenizer {
namespace {

utf8proc_category_t category_of(char32_t c) {
  return static_cast<utf8proc_category_t>(utf8proc_category(static_cast<utf8proc_int32_t>(c)));
}

bool is_control(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  if (c < 128) return c < 32 || c == 127;
  switch (category_of(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS:
      return true;
    default:
      return false;
  }
}

bool is_punctuation(char32_t c) {
  if (c < 128) return c > 32 && c < 127 && ascii::kKinds[c] == CharKind::kOther;
  const utf8proc_category_t category = category_of(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

bool is_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class WordPieceTokenizer final : public VocabularyTokenizer {
 public:
  explicit WordPieceTokenizer(WordPiece parts)
      : VocabularyTokenizer(std::move(parts.vocabulary)), parts_(std::move(parts)) {
    for (size_t i = 0; i < vocabulary().pieces.size(); ++i) {
      const auto id = static_cast<TokenId>(i);
      std::string_view piece = vocabulary().pieces[i];
      if (vocabulary().kinds[i] != TokenKind::kNormal || added_token(id) != nullptr) continue;
      const bool inside = piece.starts_with(parts_.continuation);
      if (inside) piece.remove_prefix(parts_.continuation.size());
      longest_piece_ = std::max(longest_piece_, piece.size());
      (inside ? inside_ : starts_).emplace(piece, id);
    }
  }

  std::string decode(std::span<const TokenId> ids, bool show_special) const override {
    std::string text;
    for (const TokenId id : ids) text.append(bytes_of(id, show_special));
    if (text.starts_with(' ')) text.erase(0, 1);
    return text;
  }

  std::string bytes_of(TokenId id, bool show_special) const override {
    if (is_hidden(id, show_special)) return {};
    const std::string& piece = vocabulary().pieces[static_cast<size_t>(id)];
    if (piece.starts_with(parts_.continuation)) return piece.substr(parts_.continuation.size());
    if (parts_.tidy_punctuation && (piece == "." || piece == "," || piece == "?" || piece == "!")) return piece;
    return " " + piece;
  }

 protected:
  void encode_plain(std::string_view text, bool /*is_first*/, WordCache& cache,
                    std::vector<TokenId>& ids) const override {
    std::string normal;
    for (size_t at = 0; at < text.size();) {
      const size_t end = end_of_chunk(text, at);
      const std::string_view chunk = text.substr(at, end - at);
      if (!chunk.empty() && !cache.append(chunk, ids)) {
        const size_t from = ids.size();
        normalise(chunk, normal);
        encode_words(normal, ids);
        cache.remember(chunk, ids, from);
      }
      at = end;
      while (at < text.size()) {
        const size_t behind = behind_space(text, at);
        if (behind == at) break;
        at = behind;
      }
    }
  }

 private:
  // Behind the white space character at `at`, or `at` itself. What clean_text removes is not white space even where
  // Unicode calls it so: it glues its neighbours together.
  size_t behind_space(std::string_view text, size_t at) const {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte > ' ' && byte < 128) return at;
    const DecodedChar c = decode_utf8(text, at);
    const bool space = c.valid && is_white_space(c.code_point) && !(parts_.clean_text && is_control(c.code_point));
    return space ? at + static_cast<size_t>(c.length) : at;
  }

  size_t end_of_chunk(std::string_view text, size_t at) const {
    while (at < text.size()) {
      const auto byte = static_cast<unsigned char>(text[at]);
      if (byte > ' ' && byte < 128) {
        ++at;
        continue;
      }
      if (behind_space(text, at) > at) return at;
      at += static_cast<size_t>(decode_utf8(text, at).length);
    }
    return at;
  }

  void normalise(std::string_view chunk, std::string& normal) const {
    normal.clear();
    for (size_t at = 0; at < chunk.size();) {
      const DecodedChar c = decode_utf8(chunk, at);
      at += static_cast<size_t>(c.length);
      if (parts_.clean_text && (c.code_point == 0 || c.code_point == kReplacement || is_control(c.code_point)))
        continue;
      const bool alone = parts_.split_ideographs && is_ideograph(c.code_point);
      if (alone) normal.push_back(' ');
      append_folded(normal, c.code_point);
      if (alone) normal.push_back(' ');
    }
  }

  void append_folded(std::string& normal, char32_t c) const {
    if (c < 128) {
      normal.push_back(static_cast<char>(parts_.lower_case && c >= 'A' && c <= 'Z' ? c + 32 : c));
      return;
    }
    utf8proc_int32_t folded[32] = {static_cast<utf8proc_int32_t>(c)};
    utf8proc_ssize_t n = 1;
    if (parts_.strip_accents) {
      int boundary = 0;
      n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), folded, 32, UTF8PROC_DECOMPOSE, &boundary);
    }
    for (utf8proc_ssize_t i = 0; i < n; ++i) {
      const auto part = static_cast<char32_t>(folded[i]);
      if (parts_.strip_accents && category_of(part) == UTF8PROC_CATEGORY_MN) continue;
      append_utf8(normal, parts_.lower_case ? static_cast<char32_t>(utf8proc_tolower(folded[i])) : part);
      // The one character whose lower case is two: I with dot above.
      if (parts_.lower_case && part == 0x130) append_utf8(normal, 0x307);
    }
  }

  void encode_words(std::string_view text, std::vector<TokenId>& ids) const {
    size_t start = 0;
    const auto word = [&](size_t end) {
      if (end > start) encode_word(text.substr(start, end - start), ids);
    };
    for (size_t at = 0; at < text.size();) {
      const DecodedChar c = decode_utf8(text, at);
      const size_t end = at + static_cast<size_t>(c.length);
      if (is_white_space(c.code_point) || is_punctuation(c.code_point)) {
        word(at);
        start = at;
        if (is_punctuation(c.code_point)) word(end);
        start = end;
      }
      at = end;
    }
    word(text.size());
  }

  void encode_word(std::string_view word, std::vector<TokenId>& ids) const {
    const auto characters = std::count_if(word.begin(), word.end(), [](char c) { return (c & 0xC0) != 0x80; });
    const size_t from = ids.size();
    size_t start = 0;
    while (start < word.size() && characters <= parts_.longest_word) {
      const auto& pieces = start == 0 ? starts_ : inside_;
      size_t end = std::min(word.size(), start + longest_piece_);
      auto it = pieces.end();
      for (; end > start; --end) {
        if (end < word.size() && (word[end] & 0xC0) == 0x80) continue;
        it = pieces.find(word.substr(start, end - start));
        if (it != pieces.end()) break;
      }
      if (it == pieces.end()) break;
      ids.push_back(it->second);
      start = end;
    }
    if (start == word.size()) return;
    ids.resize(from);
    ids.push_back(*vocabulary().unknown);
  }

  WordPiece parts_;  // without its vocabulary
  std::unordered_map<std::string_view, TokenId> starts_, inside_;
  size_t longest_piece_ = 0;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_wordpiece(WordPiece parts) {
  PHIAL_CHECKED(parts.vocabulary.check());
  if (!parts.vocabulary.unknown) {
    return Error{Code::kCorrupt, "the WordPiece vocabulary has no unknown token such as [UNK]",
                 "get the tokenizer again"};
  }
  if (parts.longest_word < 1) {
    return Error{Code::kCorrupt,
                 "the longest word of the WordPiece vocabulary is " + std::to_string(parts.longest_word) +
                     " characters, wanted at least 1",
                 "get the tokenizer again"};
  }
  return std::unique_ptr<Tokenizer>(std::make_unique<WordPieceTokenizer>(std::move(parts)));
}

}  // namespace phial::tokenizer

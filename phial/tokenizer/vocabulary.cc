#include "phial/tokenizer/vocabulary.h"

#include <utility>

namespace phial::tokenizer {

std::optional<TokenId> Vocabulary::find(std::string_view text) const {
  std::optional<TokenId> found;
  for (size_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id] != text) continue;
    if (kinds[id] == TokenKind::kNormal) return static_cast<TokenId>(id);
    if (!found) found = static_cast<TokenId>(id);
  }
  return found;
}

Status Vocabulary::check() const {
  if (pieces.empty() || pieces.size() > kMostTokens) {
    return Error{
        Code::kCorrupt,
        "a vocabulary of " + std::to_string(pieces.size()) + " tokens, wanted 1 to " + std::to_string(kMostTokens),
        "get the tokenizer again"};
  }
  if (kinds.size() != pieces.size()) {
    return Error{Code::kCorrupt,
                 std::to_string(kinds.size()) + " token types for " + std::to_string(pieces.size()) + " tokens",
                 "get the tokenizer again"};
  }
  for (size_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id].size() <= kLongestPiece) continue;
    return Error{Code::kCorrupt,
                 "token " + std::to_string(id) + " is " + std::to_string(pieces[id].size()) + " bytes long, at most " +
                     std::to_string(kLongestPiece) + " make sense",
                 "get the tokenizer again"};
  }
  const auto known = [&](TokenId id, std::string_view what) -> Status {
    if (has(id)) return ok();
    return Error{Code::kCorrupt,
                 "the " + std::string(what) + " token has id " + std::to_string(id) + ", the vocabulary ends at " +
                     std::to_string(pieces.size() - 1),
                 "get the tokenizer again"};
  };
  if (bos) PHIAL_CHECKED(known(*bos, "beginning-of-text"));
  if (unknown) PHIAL_CHECKED(known(*unknown, "unknown"));
  for (const TokenId id : end_of_text) PHIAL_CHECKED(known(id, "end-of-text"));
  for (const AddedToken& a : added) PHIAL_CHECKED(known(a.token.id, "added"));
  return ok();
}

VocabularyTokenizer::VocabularyTokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)), specials_(vocabulary_.added) {
  for (const AddedToken& a : specials_.added()) added_.emplace(a.token.id, &a.token);
  ids_.reserve(vocabulary_.pieces.size());
  for (size_t i = 0; i < vocabulary_.pieces.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (vocabulary_.kinds[i] == TokenKind::kNormal && !added_.contains(id)) ids_.emplace(vocabulary_.pieces[i], id);
  }
}

std::vector<TokenId> VocabularyTokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<TokenId> ids;
  if (options.add_bos && vocabulary_.bos) ids.push_back(*vocabulary_.bos);
  WordCache cache;
  bool is_first = true;
  for (const SpecialTokens::Segment& segment : specials_.split(text, options)) {
    if (segment.id < 0) {
      encode_plain(segment.text, is_first, cache, ids);
    } else if (!(is_first && options.add_bos && segment.id == vocabulary_.bos)) {
      ids.push_back(segment.id);
    }
    is_first = false;
  }
  return ids;
}

std::optional<TokenId> VocabularyTokenizer::id_of(std::string_view token_text) const {
  for (const AddedToken& a : specials_.added()) {
    if (a.token.text == token_text) return a.token.id;
  }
  if (const auto id = plain_id(piece_of_spelling(token_text))) return id;
  return vocabulary_.find(token_text);  // byte tokens, padding rows
}

std::optional<TokenId> VocabularyTokenizer::plain_id(std::string_view piece) const {
  const auto it = ids_.find(piece);
  if (it == ids_.end()) return std::nullopt;
  return it->second;
}

const SpecialToken* VocabularyTokenizer::added_token(TokenId id) const {
  const auto it = added_.find(id);
  return it == added_.end() ? nullptr : it->second;
}

bool VocabularyTokenizer::is_hidden(TokenId id, bool show_special) const {
  if (!vocabulary_.has(id)) return true;
  if (show_special) return false;
  if (const SpecialToken* token = added_token(id)) return token->is_control;
  const TokenKind kind = vocabulary_.kinds[static_cast<size_t>(id)];
  return kind == TokenKind::kControl || kind == TokenKind::kUnused;
}

}  // namespace phial::tokenizer

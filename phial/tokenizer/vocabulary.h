// What all tokenizers here share: the pieces, what kind each is, and the walk over a text's special tokens.
//
// Threads: immutable once made.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "phial/base/result.h"
#include "phial/tokenizer/special_tokens.h"
#include "phial/tokenizer/tokenizer.h"
#include "phial/tokenizer/word_cache.h"

namespace phial::tokenizer {

inline constexpr size_t kMostTokens = size_t{1} << 24;    // more than any vocabulary has
inline constexpr size_t kLongestPiece = size_t{1} << 16;  // bytes

// The numbers are those of SentencePiece and of GGUF's tokenizer.ggml.token_type.
enum class TokenKind : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct Vocabulary {
  std::vector<std::string> pieces;  // by id, spelled as decode() needs them
  std::vector<TokenKind> kinds;     // by id
  std::vector<AddedToken> added;
  std::optional<TokenId> bos, unknown;
  std::vector<TokenId> end_of_text;
  bool adds_bos = false;

  bool has(int64_t id) const { return id >= 0 && static_cast<uint64_t>(id) < pieces.size(); }
  // The id of a piece that plain text may become, or of any piece if there is no such; by search, for use while
  // loading.
  std::optional<TokenId> find(std::string_view text) const;
  // kCorrupt where ids, kinds and sizes contradict each other.
  Status check() const;
};

class VocabularyTokenizer : public Tokenizer {
 public:
  using Tokenizer::encode;
  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const final;
  int vocab_size() const final { return static_cast<int>(vocabulary_.pieces.size()); }
  std::optional<TokenId> id_of(std::string_view token_text) const final;
  std::optional<TokenId> bos() const final { return vocabulary_.bos; }
  std::vector<TokenId> end_of_text() const final { return vocabulary_.end_of_text; }
  const std::vector<SpecialToken>& special_tokens() const final { return specials_.specials(); }
  bool adds_bos() const final { return vocabulary_.adds_bos; }

 protected:
  // Promise: vocabulary.check().
  explicit VocabularyTokenizer(Vocabulary vocabulary);

  // Appends the ids of a text without special tokens. `is_first`: nothing stands before it.
  virtual void encode_plain(std::string_view text, bool is_first, WordCache& cache,
                            std::vector<TokenId>& ids) const = 0;
  // A token's text as the vocabulary file spells it -> as `pieces` has it.
  virtual std::string piece_of_spelling(std::string_view spelling) const { return std::string(spelling); }

  const Vocabulary& vocabulary() const { return vocabulary_; }
  // The added token with that id, or null.
  const SpecialToken* added_token(TokenId id) const;
  // A piece that is not an added token.
  std::optional<TokenId> plain_id(std::string_view piece) const;
  bool is_hidden(TokenId id, bool show_special) const;

 private:
  Vocabulary vocabulary_;
  SpecialTokens specials_;
  std::unordered_map<std::string_view, TokenId> ids_;       // plain pieces; views into vocabulary_.pieces
  std::unordered_map<TokenId, const SpecialToken*> added_;  // into specials_
};

}  // namespace phial::tokenizer

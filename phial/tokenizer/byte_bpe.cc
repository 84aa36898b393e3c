#include "phial/tokenizer/byte_bpe.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "phial/base/utf8.h"

namespace phial::tokenizer {
namespace {

// Code point of GPT-2's byte alphabet -> byte, or -1. Printable Latin-1 stands for itself, the other 68 bytes follow
// from U+0100 on in order.
std::array<int16_t, 512> make_byte_alphabet() {
  std::array<int16_t, 512> bytes{};
  bytes.fill(-1);
  size_t next = 0x100;
  for (size_t byte = 0; byte < 256; ++byte) {
    const bool stands_for_itself = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    bytes[stands_for_itself ? byte : next++] = static_cast<int16_t>(byte);
  }
  return bytes;
}

class ByteBpeTokenizer final : public VocabularyTokenizer {
 public:
  explicit ByteBpeTokenizer(ByteBpe parts)
      : VocabularyTokenizer(std::move(parts.vocabulary)),
        merges_(std::move(parts.merges)),
        normalizer_(std::move(parts.normalizer)),
        splitter_(std::move(parts.splitter)),
        add_prefix_space_(parts.add_prefix_space),
        whole_words_first_(parts.whole_words_first),
        spells_bytes_(parts.spells_bytes),
        without_token_(parts.has_unknown && vocabulary().unknown ? *vocabulary().unknown : kNoToken) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      byte_ids_[byte] = plain_id(std::string_view(&c, 1)).value_or(without_token_);
    }
  }

  std::string decode(std::span<const TokenId> ids, bool show_special) const override {
    std::string text;
    for (const TokenId id : ids) {
      if (!is_hidden(id, show_special)) text.append(vocabulary().pieces[static_cast<size_t>(id)]);
    }
    return text;
  }

  std::string bytes_of(TokenId id, bool show_special) const override {
    return is_hidden(id, show_special) ? std::string() : vocabulary().pieces[static_cast<size_t>(id)];
  }

 protected:
  void encode_plain(std::string_view text, bool /*is_first*/, WordCache& cache,
                    std::vector<TokenId>& ids) const override {
    std::string normal;
    if (!normalizer_.empty()) {
      normal = text;
      normalizer_.apply(normal);
      text = normal;
    }
    std::string with_space;
    if (add_prefix_space_ && !text.empty() && text.front() != ' ') {
      with_space.reserve(text.size() + 1);
      with_space.append(" ").append(text);
      text = with_space;
    }
    std::vector<TokenId> symbols;
    if (splitter_ == nullptr) {
      encode_word(text, cache, symbols, ids);
      return;
    }
    std::vector<std::string_view> words;
    splitter_->split(text, words);
    for (const std::string_view word : words) encode_word(word, cache, symbols, ids);
  }

  std::string piece_of_spelling(std::string_view spelling) const override {
    return spells_bytes_ ? bytes_of_spelling(spelling) : std::string(spelling);
  }

 private:
  static constexpr TokenId kNoToken = -1;

  void encode_word(std::string_view word, WordCache& cache, std::vector<TokenId>& symbols,
                   std::vector<TokenId>& ids) const {
    if (cache.append(word, ids)) return;
    const size_t from = ids.size();
    if (whole_words_first_) {
      if (const auto id = plain_id(word)) {
        ids.push_back(*id);
        cache.remember(word, ids, from);
        return;
      }
    }
    symbols.clear();
    for (const char c : word) {
      const TokenId id = byte_ids_[static_cast<unsigned char>(c)];
      if (id != kNoToken) symbols.push_back(id);
    }
    merges_.apply(symbols);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
    cache.remember(word, ids, from);
  }

  MergeTable merges_;
  Normalizer normalizer_;
  std::unique_ptr<Splitter> splitter_;
  bool add_prefix_space_, whole_words_first_, spells_bytes_;
  TokenId without_token_;
  std::array<TokenId, 256> byte_ids_{};
};

}  // namespace

std::string bytes_of_spelling(std::string_view spelling) {
  static const std::array<int16_t, 512> kBytes = make_byte_alphabet();
  std::string bytes;
  bytes.reserve(spelling.size());
  for (size_t at = 0; at < spelling.size();) {
    const DecodedChar c = decode_utf8(spelling, at);
    if (!c.valid || c.code_point >= kBytes.size() || kBytes[c.code_point] < 0) return std::string(spelling);
    bytes.push_back(static_cast<char>(kBytes[c.code_point]));
    at += static_cast<size_t>(c.length);
  }
  return bytes;
}

std::string spelling_of_bytes(std::string_view bytes) {
  static const std::array<int16_t, 512> kBytes = make_byte_alphabet();
  std::string spelling;
  for (const char byte : bytes) {
    const auto at = std::ranges::find(kBytes, static_cast<int16_t>(static_cast<unsigned char>(byte)));
    append_utf8(spelling, static_cast<char32_t>(at - kBytes.begin()));
  }
  return spelling;
}

Result<std::unique_ptr<Tokenizer>> make_byte_bpe(ByteBpe parts) {
  PHIAL_CHECKED(parts.vocabulary.check());
  return std::unique_ptr<Tokenizer>(std::make_unique<ByteBpeTokenizer>(std::move(parts)));
}

MergeListBuilder::MergeListBuilder(const Vocabulary& vocabulary, size_t expected)
    : vocabulary_(vocabulary), table_(expected) {
  std::unordered_set<TokenId> added;
  for (const AddedToken& a : vocabulary.added) added.insert(a.token.id);
  ids_.reserve(vocabulary.pieces.size());
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    ids_.emplace(vocabulary.pieces[i], added.contains(id) ? -1 - id : id);
  }
}

Status MergeListBuilder::add(std::string_view left, std::string_view right) {
  const std::string joined = std::string(left).append(right);
  const std::string_view parts[3] = {left, right, joined};
  TokenId ids[3];
  for (int i = 0; i < 3; ++i) {
    const auto it = ids_.find(parts[i]);
    if (it == ids_.end()) {
      return Error{Code::kCorrupt,
                   "merge " + std::to_string(rank_) + " speaks of the token '" + std::string(parts[i].substr(0, 80)) +
                       "', which the vocabulary of " + std::to_string(vocabulary_.pieces.size()) + " lacks",
                   "get the tokenizer again"};
    }
    ids[i] = it->second;
  }
  const uint32_t rank = rank_++;
  if (ids[0] >= 0 && ids[1] >= 0 && ids[2] >= 0) table_.add(ids[0], ids[1], {rank, ids[2]});
  return ok();
}

MergeTable merges_of_ranks(const std::vector<std::string>& pieces, const std::vector<uint32_t>& ranks) {
  std::unordered_map<std::string_view, TokenId> ids;
  ids.reserve(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (ranks[i] != MergeTable::kNever && !pieces[i].empty()) ids.emplace(pieces[i], static_cast<TokenId>(i));
  }
  // A piece of n bytes is cut in n - 1 ways, and each cut is hashed; beyond this a piece is no word but a blob.
  constexpr size_t kLongest = 512;
  MergeTable table(pieces.size() * 4);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::string_view piece = pieces[i];
    if (ranks[i] == MergeTable::kNever || piece.size() > kLongest) continue;
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      const auto left = ids.find(piece.substr(0, cut));
      if (left == ids.end()) continue;
      const auto right = ids.find(piece.substr(cut));
      if (right != ids.end()) table.add(left->second, right->second, {ranks[i], ids.find(piece)->second});
    }
  }
  return table;
}

}  // namespace phial::tokenizer

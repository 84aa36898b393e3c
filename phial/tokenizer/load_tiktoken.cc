#include <algorithm>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "phial/tokenizer/byte_bpe.h"
#include "phial/tokenizer/charsmap.h"
#include "phial/tokenizer/load.h"

namespace phial::tokenizer {
namespace {

struct Ranked {
  std::string piece;
  uint32_t rank = 0;
};

Result<Ranked> read_line(std::string_view line, size_t number) {
  Ranked ranked;
  const size_t space = line.find(' ');
  const std::string_view digits = space == std::string_view::npos ? "" : line.substr(space + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), ranked.rank);
  auto piece = decode_base64(line.substr(0, space));
  if (error != std::errc() || end != digits.data() + digits.size() || !piece || piece->empty() ||
      ranked.rank >= kMostTokens) {
    return Error{Code::kCorrupt,
                 "line " + std::to_string(number) + " of the ranks is '" + std::string(line.substr(0, 80)) +
                     "', wanted a token in base64 and its rank",
                 "get the tokenizer again"};
  }
  ranked.piece = *std::move(piece);
  return ranked;
}

Result<std::vector<Ranked>> read_ranks(std::string_view bytes) {
  std::vector<Ranked> ranks;
  size_t number = 0;
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    PHIAL_TRY(Ranked ranked, read_line(line, number));
    ranks.push_back(std::move(ranked));
  }
  return ranks;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> from_tiktoken(std::string_view bytes, std::string_view pattern,
                                                 const std::vector<SpecialToken>& specials) {
  PHIAL_TRY(std::vector<Ranked> ranks, read_ranks(bytes));
  size_t size = 0;
  for (const Ranked& ranked : ranks) size = std::max<size_t>(size, ranked.rank + size_t{1});
  if (size == 0 || size > ranks.size() + 65'536) {
    return Error{Code::kCorrupt,
                 std::to_string(ranks.size()) + " ranks that go up to " + std::to_string(size) + " are no vocabulary",
                 "get the tokenizer again"};
  }
  ByteBpe parts;
  Vocabulary& vocabulary = parts.vocabulary;
  const auto grow = [&](size_t to) {
    vocabulary.pieces.resize(std::max(to, vocabulary.pieces.size()));
    vocabulary.kinds.resize(vocabulary.pieces.size(), TokenKind::kUnused);
  };
  grow(size);
  std::vector<uint32_t> order(size, MergeTable::kNever);
  for (Ranked& ranked : ranks) {
    vocabulary.pieces[ranked.rank] = std::move(ranked.piece);
    vocabulary.kinds[ranked.rank] = TokenKind::kNormal;
    order[ranked.rank] = ranked.rank;
  }
  parts.merges = merges_of_ranks(vocabulary.pieces, order);
  for (const SpecialToken& special : specials) {
    if (special.id < 0 || static_cast<size_t>(special.id) > size + 65'536) {
      return Error{Code::kCorrupt,
                   "the special token '" + special.text.substr(0, 80) + "' has id " + std::to_string(special.id) +
                       ", the ranks end at " + std::to_string(size - 1),
                   "get the tokenizer again"};
    }
    const auto id = static_cast<size_t>(special.id);
    grow(id + 1);
    if (id < size && order[id] != MergeTable::kNever) {
      return Error{Code::kCorrupt,
                   "the special token '" + special.text.substr(0, 80) + "' has id " + std::to_string(id) +
                       ", which is a rank already",
                   "get the tokenizer again"};
    }
    vocabulary.pieces[id] = special.text;
    vocabulary.kinds[id] = TokenKind::kControl;
    vocabulary.added.push_back({special, false, false});
    if (special.text == "<|endoftext|>") {
      vocabulary.bos = special.id;
      vocabulary.end_of_text = {special.id};
    }
  }
  PHIAL_TRY(parts.splitter, make_regex_splitter(pattern, SplitBehaviour::kIsolated));
  parts.whole_words_first = true;  // tiktoken looks a word up before it merges
  parts.spells_bytes = false;
  return make_byte_bpe(std::move(parts));
}

std::string_view phi3_small_pattern() {
  return R"(('s|'S|'t|'T|'re|'rE|'Re|'RE|'ve|'vE|'Ve|'VE|'m|'M|'ll|'lL|'Ll|'LL|'d|'D)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

std::vector<SpecialToken> phi3_small_specials() {
  std::vector<SpecialToken> specials = {
      {"<|endoftext|>", 100257},  {"<|fim_prefix|>", 100258}, {"<|fim_middle|>", 100259},
      {"<|fim_suffix|>", 100260}, {"<|system|>", 100261},     {"<|user|>", 100262},
      {"<|assistant|>", 100263},  {"<|end|>", 100266},        {"<|endofprompt|>", 100276}};
  // The numbered placeholders fill the ids that are left, in order, but for number 2.
  const auto dummy = [&](int number, TokenId id) {
    specials.push_back({"<|dummy_id_" + std::to_string(number) + "|>", id});
  };
  dummy(0, 100264);
  dummy(1, 100265);
  dummy(2, 100256);
  for (int number = 3; number <= 11; ++number) dummy(number, 100264 + number);
  for (int number = 12; number <= 86; ++number) dummy(number, 100265 + number);
  return specials;
}

}  // namespace phial::tokenizer

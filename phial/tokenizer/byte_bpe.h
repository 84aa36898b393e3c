// Byte-level BPE: a pre-tokenizer cuts the text into words, each word starts as its bytes and merges (GPT-2, SmolLM2,
// Llama-3, Qwen2; with tiktoken's ranks as merges: cl100k, Phi-3-small).
//
// Source: Radford et al. 2019 for the byte alphabet.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "phial/tokenizer/merges.h"
#include "phial/tokenizer/normalizer.h"
#include "phial/tokenizer/splitter.h"
#include "phial/tokenizer/vocabulary.h"

namespace phial::tokenizer {

// GPT-2's files spell bytes as printable characters (a space is U+0120). The bytes of such a spelling; a text with any
// other character stands for itself.
std::string bytes_of_spelling(std::string_view spelling);
// The spelling of any bytes.
std::string spelling_of_bytes(std::string_view bytes);

struct ByteBpe {
  Vocabulary vocabulary;  // pieces are bytes
  MergeTable merges;
  Normalizer normalizer;
  std::unique_ptr<Splitter> splitter;  // null: the whole segment is one word
  bool add_prefix_space = false;       // a segment that does not begin with a space gets one
  bool whole_words_first = false;      // a word that is itself a piece is that piece, whatever the merges say
  bool has_unknown = false;            // a byte without token becomes vocabulary.unknown, else it vanishes
  bool spells_bytes = true;            // id_of() takes GPT-2's spelling, else plain bytes
};

// kCorrupt if the vocabulary contradicts itself.
Result<std::unique_ptr<Tokenizer>> make_byte_bpe(ByteBpe parts);

// The merges of a GPT-2 style list, each a pair of pieces, best first. kCorrupt, naming the merge, if a piece does not
// exist. Merges into or from `added` tokens are left out: plain text never becomes a special token.
class MergeListBuilder {
 public:
  explicit MergeListBuilder(const Vocabulary& vocabulary, size_t expected);
  Status add(std::string_view left, std::string_view right);
  MergeTable take() { return std::move(table_); }

 private:
  const Vocabulary& vocabulary_;
  std::unordered_map<std::string_view, TokenId> ids_;
  MergeTable table_;
  uint32_t rank_ = 0;
};

// The merges that say the same as tiktoken's ranks: any two pieces whose bytes together are a piece merge into it, the
// lowest rank first. `ranks`: by id; MergeTable::kNever keeps a piece out.
MergeTable merges_of_ranks(const std::vector<std::string>& pieces, const std::vector<uint32_t>& ranks);

}  // namespace phial::tokenizer

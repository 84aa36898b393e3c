// Learns a byte-level BPE vocabulary of texts: the pairs of neighbours that are most frequent become tokens, one after
// the other.
//
// Words are cut as GPT-2 cuts them; nothing crosses their borders. Of pairs as frequent as each other, that of the
// smaller ids wins, as in Hugging Face's tokenizers: the merges are the same. Source: Sennrich et al. (arXiv
// 1508.07909); Radford et al. 2019 for the byte alphabet. Threads: one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/tokenizer/splitter.h"

namespace phial::tokenizer {

struct BpeVocabulary {
  std::vector<std::string> special_tokens;                       // ids 0, 1, ...
  std::vector<std::string> pieces;                               // bytes; their ids follow, the 256 bytes first
  std::vector<std::pair<std::string, std::string>> merges = {};  // of pieces, best first
};

class BpeTrainer {
 public:
  BpeTrainer() : splitter_(make_word_splitter(kGpt2Words)) {}

  void add(std::string_view text);
  uint64_t text_bytes() const { return text_bytes_; }

  // `vocab_size`: special tokens and bytes included; fewer come out where no pair occurs twice. kCancelled.
  Result<BpeVocabulary> learn(size_t vocab_size, std::span<const std::string> special_tokens,
                              const std::stop_token& stop, const std::function<void(size_t pieces)>& on_progress) const;

 private:
  std::unique_ptr<Splitter> splitter_;
  std::vector<std::string_view> words_;  // of the text that is added, kept for its memory
  std::unordered_map<std::string, uint64_t> counts_;
  uint64_t text_bytes_ = 0;
};

// As tokenizer.json has it.
Json tokenizer_json_of(const BpeVocabulary& vocabulary);

}  // namespace phial::tokenizer

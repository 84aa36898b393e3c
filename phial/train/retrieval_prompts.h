// Prompts that ask for a number told somewhere in a long text: is it found, wherever it stands?
//
// "passkey": a pass key among sentences that repeat; "needle": the secret number of a word, in real text. The number
// has another value in every prompt. Source: passkey retrieval, Landmark Attention (arXiv 2305.16300), appendix; needle
// in a haystack, G. Kamradt (2023), numbers as in RULER (arXiv 2404.06654). Threads: immutable once made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "phial/tokenizer/tokenizer.h"

namespace phial::train {

enum class RetrievalTask { kPasskey, kNeedle };

struct RetrievalPrompt {
  std::vector<tokenizer::TokenId> ids;  // the answer included
  size_t answer = 0;                    // where it begins
};

class RetrievalPrompts {
 public:
  // `tokenizer` outlives it. `documents`: real text, without special tokens; none is empty.
  RetrievalPrompts(const tokenizer::Tokenizer& tokenizer, std::vector<std::vector<tokenizer::TokenId>> documents,
                   int digits, uint64_t seed);

  // About `tokens` tokens, never more; the number stands at the end of a sentence near `depth` of the text, in [0, 1].
  // Nothing: question and number alone are longer, or there are no documents. `sample`: which of many.
  std::optional<RetrievalPrompt> prompt(RetrievalTask task, int64_t tokens, double depth, uint64_t sample) const;

 private:
  using Ids = std::vector<tokenizer::TokenId>;
  Ids inside_text(const std::string& text) const;
  size_t end_of_sentence(const Ids& text, size_t at) const;

  const tokenizer::Tokenizer& tokenizer_;
  std::vector<Ids> documents_;
  Ids filler_;
  int digits_;
  uint64_t seed_;
};

}  // namespace phial::train

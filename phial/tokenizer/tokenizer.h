// Text <-> token ids.
//
// Five algorithms stand behind one interface: SentencePiece BPE (Llama-2, Phi-3), byte-level BPE with merges (GPT-2,
// SmolLM2, Llama-3, Qwen2), tiktoken ranks (Phi-3-small), WordPiece (BERT) and unigram (XLM-R). Input may be any bytes;
// malformed UTF-8 never fails. decode(encode(text)) is `text` for the first three (the others normalise), for every
// byte string where the vocabulary has byte tokens; but SentencePiece takes U+2581 for a space, as its reference does,
// and a tokenizer.json may ask for a Unicode normal form. Encoders: bos() is [CLS] or <s>, end_of_text() begins with
// [SEP] or
// </s>; their input is encode(text, {.add_bos = true}) and then that.
// Threads: immutable once made.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"

namespace phial::tokenizer {

using TokenId = int32_t;

// Bytes [start, end) of a text.
struct TextRange {
  size_t start = 0, end = 0;
};

struct EncodeOptions {
  // True: text of special (added) tokens becomes their id. False, for anything that a person or a document wrote: it is
  // ordinary text, so that nobody can forge a role marker.
  bool parse_special = false;
  bool add_bos = false;  // prepends bos() if the model has one and the ids do not begin with it

  // With parse_special: what a person or a document wrote inside a prompt. A special token's text that touches one of
  // these ranges stays ordinary text. In order, without overlap; used during the call only.
  std::span<const TextRange> plain_ranges = {};
};

struct SpecialToken {
  std::string text;
  TokenId id = 0;
  bool lstrip = false, rstrip = false;  // swallows white space on that side (Phi-3: spec section 5.1)
  bool is_control = true;               // not shown by decode() unless asked
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const = 0;
  std::vector<TokenId> encode(std::string_view text) const { return encode(text, EncodeOptions{}); }

  // The text of `ids`. `show_special`: control tokens appear as their text, else they vanish. Unknown ids vanish.
  virtual std::string decode(std::span<const TokenId> ids, bool show_special = false) const = 0;

  // The bytes that one token contributes in the middle of a text (streaming: see Utf8Stream in generate/chat.h). The
  // space that SentencePiece drops at the start of a text is dropped by decode() only.
  virtual std::string bytes_of(TokenId id, bool show_special = false) const = 0;

  virtual int vocab_size() const = 0;
  virtual std::optional<TokenId> id_of(std::string_view token_text) const = 0;  // specials and pieces, exact text
  virtual std::optional<TokenId> bos() const = 0;
  virtual std::vector<TokenId> end_of_text() const = 0;  // what the vocabulary itself declares: eos, eot
  virtual const std::vector<SpecialToken>& special_tokens() const = 0;
  virtual bool adds_bos() const = 0;  // prompts of this model begin with bos()
};

}  // namespace phial::tokenizer

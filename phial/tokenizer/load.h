// The front door for tokenizers on disk: from a GGUF file's metadata, a Hugging Face folder, or one file's bytes.
//
// Everything a file says is checked before it is used. Errors: kNotFound (a folder without a tokenizer), kCorrupt (ids,
// sizes or references that cannot be), kUnsupported (by the name of what is not done). A message is one line and names
// what was found and what was wanted.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::tokenizer {

// `metadata`: a GGUF's key-value pairs as one flat object, arrays included (formats::Checkpoint::metadata()).
// tokenizer.ggml.model may be llama (SentencePiece), gpt2 (byte-level BPE), bert (WordPiece) or t5 (unigram).
// kNotFound: the file has no tokenizer; it may still be run with ids.
Result<std::unique_ptr<Tokenizer>> from_gguf(const Json& metadata);

// A Hugging Face model folder: tokenizer.json, else tokenizer.model, else a .tiktoken file, else vocab.txt, with what
// stands beside it (SideFiles).
Result<std::unique_ptr<Tokenizer>> from_folder(const std::filesystem::path& folder);

// The small JSON files beside a tokenizer; an empty object stands for one that is not there.
struct SideFiles {
  Json tokenizer_config = Json::object();   // tokenizer_config.json: bos, eos, added tokens with their attributes
  Json special_tokens = Json::object();     // special_tokens_map.json: bos, eos
  Json added_tokens = Json::object();       // added_tokens.json: text -> id
  Json generation_config = Json::object();  // generation_config.json: eos_token_id
};

// The .tiktoken file of a folder, the first by name; empty: there is none.
std::filesystem::path ranks_file(const std::filesystem::path& folder);

// Those of a folder.
Result<SideFiles> read_side_files(const std::filesystem::path& folder);

// tokenizer.json of type BPE (byte-level, or with SentencePiece's space marks), WordPiece or Unigram.
Result<std::unique_ptr<Tokenizer>> from_tokenizer_json(std::string_view text, const SideFiles& side = {});

// tokenizer.model: SentencePiece's own file, of type BPE or unigram.
Result<std::unique_ptr<Tokenizer>> from_sentencepiece(std::string_view bytes, const SideFiles& side = {});

// A .tiktoken ranks file, one "BASE64 RANK" a line. `pattern`: the pre-tokenizer's regular expression.
Result<std::unique_ptr<Tokenizer>> from_tiktoken(std::string_view bytes, std::string_view pattern,
                                                 const std::vector<SpecialToken>& specials);

// What Phi-3-small does around cl100k_base: its pattern and its special tokens (spec section 5.2).
// In a GGUF file its vocabulary has the pre-tokenizer of this name and no merges: the ids of its ordinary tokens are
// ranks.
inline constexpr std::string_view kPhi3SmallPre = "phi-3-small";
std::string_view phi3_small_pattern();
std::vector<SpecialToken> phi3_small_specials();

// BERT's vocab.txt, one piece a line. `lower_case`: the model is uncased.
Result<std::unique_ptr<Tokenizer>> from_vocab_txt(std::string_view text, bool lower_case);

}  // namespace phial::tokenizer

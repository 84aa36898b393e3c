// tokenizer.json as it is written, for byte-level BPE. Threads: any.
#pragma once

#include "phial/base/json.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::tokenizer {

// What differs between such files; each member as the file has it, null where it has none.
struct ByteBpeFile {
  Json added_tokens, pre_tokenizer, decoder, post_processor;
  bool ignore_merges = false;
  Json vocabulary, merges;
};

Json tokenizer_json(ByteBpeFile file);

// An entry of "added_tokens".
Json added_token_json(const SpecialToken& token);

}  // namespace phial::tokenizer

// What the files beside a tokenizer say about its special tokens.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "phial/tokenizer/load.h"
#include "phial/tokenizer/vocabulary.h"

namespace phial::tokenizer {

// Reads one entry of a list of added tokens: {"id", "content", "special", "lstrip", "rstrip", "single_word"}. In
// tokenizer_config.json the id is the entry's key and given here.
Result<AddedToken> read_added_token(const Json& entry, std::optional<int64_t> id);

// Adds `added` to the vocabulary, which grows if its id lies behind the end. An id that is there already is
// overwritten.
Status add_token(Vocabulary& vocabulary, AddedToken added);

// Every added token that tokenizer_config.json and added_tokens.json name. `with_attributes`: whether any file says
// what the tokens swallow.
Status add_side_tokens(Vocabulary& vocabulary, const SideFiles& side, bool* with_attributes);

// Sets bos, end_of_text and adds_bos from the side files where they speak. `bos_role`: "bos_token" or "cls_token".
void apply_roles(Vocabulary& vocabulary, const SideFiles& side, std::string_view bos_role, std::string_view end_role);

// A token that is mere text and no markup: it may come from anybody's words.
bool is_plain_text(std::string_view text);

}  // namespace phial::tokenizer

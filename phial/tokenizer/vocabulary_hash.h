// Tells vocabularies apart: two tokenizers with the same number are taken to give the same ids the same meaning.
//
// 64-bit FNV-1a over each id's bytes in order, as docs/formats.md has it; never 0. Threads: any.
#pragma once

#include <cstdint>

#include "phial/tokenizer/tokenizer.h"

namespace phial::tokenizer {

uint64_t vocabulary_hash(const Tokenizer& tokenizer);

}  // namespace phial::tokenizer

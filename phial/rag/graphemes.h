// Borders between what people take for one character.
//
// Source: Unicode UAX 29, extended grapheme clusters, through ICU. Threads: any.
#pragma once

#include <cstddef>
#include <string_view>

namespace phial::rag {

// The largest border <= at: no letter is parted from its accents, no joined emoji from its parts. Within one that is
// longer than any script makes them the largest border between code points.
size_t grapheme_floor(std::string_view text, size_t at);

}  // namespace phial::rag

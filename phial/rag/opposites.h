// Words that say the opposite of each other: "increases" and "reduces", "above" and "below".
//
// A table of plain pairs, in the languages of negation.h. It knows neither words with two senses nor what is increased:
// that two statements agree in their other words is for the caller to see.
// Threads: any.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace phial::rag {

// `stem` as content_words() has it; so are the results. Empty if the table has none.
std::span<const std::string> opposites_of(std::string_view stem);

}  // namespace phial::rag

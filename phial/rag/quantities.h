// Amounts in running text: a number and the unit that stands right behind it.
//
// Units are a table of plain words in English, German, French and Spanish; currency signs, and letters that stand for
// several units ("m"), are not in it. Threads: any.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace phial::rag {

struct Quantity {
  std::string number;     // as words_of() has it
  std::string_view unit;  // one name for all its spellings
  friend bool operator==(const Quantity&, const Quantity&) = default;
};

std::vector<Quantity> quantities_in(std::string_view text);

// Whether `stated` has the number of `claimed` with other units and never with that one: "5 weeks" beside "5 days".
bool has_other_unit(const Quantity& claimed, std::span<const Quantity> stated);

}  // namespace phial::rag

// Who exercises are about.
#pragma once

#include <array>
#include <string_view>

namespace phial::data {

inline constexpr std::array<std::string_view, 20> kPeople = {"Anna", "Ben",  "Clara", "David", "Emma", "Felix", "Grace",
                                                             "Hugo", "Ida",  "Jonas", "Kara",  "Leo",  "Mia",   "Noah",
                                                             "Olga", "Paul", "Rosa",  "Sam",   "Tina", "Victor"};

}  // namespace phial::data

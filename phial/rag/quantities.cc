#include "phial/rag/quantities.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "phial/rag/lexical.h"

namespace phial::rag {
namespace {

// The spellings of a unit, folded; the first is its name.
constexpr auto kUnits = std::to_array<std::string_view>({
    "second seconds sec secs sekunde sekunden seconde secondes segundo segundos",
    "minute minutes min mins minuten minuto minutos",
    "hour hours hr hrs stunde stunden std heure heures hora horas",
    "day days tage tagen jour jours d\u00EDa d\u00EDas",
    "week weeks wk wks woche wochen semaine semaines semana semanas",
    "month months monat monate monaten mois meses",
    "year years yr yrs jahr jahre jahren ans ann\u00E9e ann\u00E9es a\u00F1o a\u00F1os",
    "millimetre millimetres millimeter millimeters millimetern mm",
    "centimetre centimetres centimeter centimeters zentimeter zentimetern cm",
    "metre metres meter meters metern",
    "kilometre kilometres kilometer kilometers kilometern km",
    "inch inches",
    "foot feet ft",
    "yard yards",
    "mile miles",
    "milligram milligrams milligramme milligrammes milligramm mg",
    "gram grams gramme grammes gramm",
    "kilogram kilograms kilogramme kilogrammes kilogramm kilo kilos kg",
    "tonne tonnes ton tons tonnen",
    "ounce ounces oz",
    "millilitre millilitres milliliter milliliters millilitern ml",
    "litre litres liter liters litern",
    "gallon gallons",
    "cup cups",
    "teaspoon teaspoons tsp",
    "tablespoon tablespoons tbsp",
    "percent prozent",
    "euro euros eur",
    "dollar dollars usd",
    "pound pounds",
    "cent cents",
    "franc francs franken chf",
    "byte bytes",
    "kilobyte kilobytes kb",
    "megabyte megabytes mb",
    "gigabyte gigabytes gb",
    "terabyte terabytes tb",
    "watt watts",
    "kilowatt kilowatts kw",
    "volt volts",
});

std::string_view unit_of(std::string_view word) {
  static const auto kNames = [] {
    std::unordered_map<std::string_view, std::string_view> names;
    for (const std::string_view unit : kUnits) {
      const auto spellings = parts_at_spaces(unit);
      for (const std::string_view spelling : spellings) names.emplace(spelling, spellings.front());
    }
    return names;
  }();
  const auto found = kNames.find(word);
  return found == kNames.end() ? std::string_view() : found->second;
}

}  // namespace

std::vector<Quantity> quantities_in(std::string_view text) {
  std::vector<Quantity> found;
  const std::vector<Word> words = words_of(text);
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (!words[i].is_number) continue;
    const std::string_view unit = unit_of(words[i + 1].text);
    if (!unit.empty()) found.push_back({words[i].text, unit});
  }
  return found;
}

bool has_other_unit(const Quantity& claimed, std::span<const Quantity> stated) {
  const auto is_number = [&](const Quantity& one) { return one.number == claimed.number; };
  return std::ranges::any_of(stated, is_number) && std::ranges::find(stated, claimed) == stated.end();
}

}  // namespace phial::rag

#include <algorithm>
#include <array>
#include <cmath>

#include "phial/data/pick.h"
#include "phial/data/pictures/picture.h"
#include "phial/data/words.h"

namespace phial::data {
namespace {

std::string two_digits(int64_t value) { return (value < 10 ? "0" : "") + std::to_string(value); }

std::string capital(std::string word) {
  if (word.front() >= 'a' && word.front() <= 'z') word.front() = static_cast<char>(word.front() - 'a' + 'A');
  return word;
}

// A number, an amount, a date, a time, or a code without letters that look like digits.
std::string figures(Random& random) {
  const auto between = [&](int64_t least, int64_t most) { return std::to_string(number_between(random, least, most)); };
  const auto two_between = [&](int64_t least, int64_t most) { return two_digits(number_between(random, least, most)); };
  std::string item;
  switch (random.below(5)) {
    case 0:
      item = between(2, 9999);
      break;
    case 1:
      item = "$" + between(1, 99);
      item += "." + two_between(0, 99);
      break;
    case 2:
      item = between(1, 28);
      item += "." + between(1, 12);
      item += "." + between(1950, 2030);
      break;
    case 3:
      item = two_between(0, 23);
      item += ":" + two_between(0, 59);
      break;
    default: {
      constexpr std::string_view kCodeLetters = "ABCDEFGHKLMNPRTUVWXY";
      item += pick(random, kCodeLetters);
      item += pick(random, kCodeLetters);
      item += "-" + between(100, 999);
    }
  }
  return item;
}

std::string make_item(Random& random) {
  if (chance(random, 0.4)) return figures(random);
  const std::string& word = pick(random, plain_words());
  return chance(random, 0.1) ? capital(word) : word;
}

std::string make_line(Random& random, size_t most_letters) {
  std::string line = capital(make_item(random));
  const int64_t more = number_between(random, 0, 5);
  for (int64_t i = 0; i < more; ++i) {
    const std::string item = make_item(random);
    if (line.size() + 1 + item.size() > most_letters) break;
    line += " " + item;
  }
  return line;
}

Question ask_lines(Random& random, const std::vector<std::string>& lines) {
  const auto phrase = [&](const std::vector<std::string>& phrases) { return pick(random, phrases); };
  std::string whole;
  for (const std::string& line : lines) whole += (whole.empty() ? "" : "\n") + line;
  if (lines.size() == 1) {
    return {phrase({"Read the text.", "What does the picture say?", "Write down the line of text.",
                    "What is written here?"}),
            whole};
  }
  constexpr std::array<const char*, 6> kPlaces = {"first", "second", "third", "fourth", "fifth", "sixth"};
  const size_t line = random.below(lines.size());
  switch (random.below(6)) {
    case 0:
      return {phrase({"How many lines of text are there?", "Count the lines."}), std::to_string(lines.size())};
    case 1:
      return {phrase({"What does the last line say?", "Read the last line."}), lines.back()};
    case 2:
    case 3:
      return {
          phrase({std::string("What does the ") + kPlaces[line] + " line say?",
                  std::string("Read the ") + kPlaces[line] + " line.", "Read line " + std::to_string(line + 1) + "."}),
          lines[line]};
    default:
      return {phrase({"Read all lines.", "Write down the text, line by line.", "What does the whole text say?"}),
              whole};
  }
}

void draw_lines(Page& page, Random& layout, const std::vector<std::string>& lines) {
  double widest = 0;
  for (const std::string& line : lines) widest = std::max(widest, page.text_width(line));
  const double room = page.part(0.94);
  const double spacing = 2.2 + 0.8 * layout.uniform();
  const double fitting = std::min(
      {room / widest, page.part(0.9) / (page.text_height() * spacing * static_cast<double>(lines.size())), 2.5});
  if (fitting < 0.95) return page.give_up();
  const double scale = std::max(std::min(1.0, fitting), fitting * (0.6 + 0.4 * layout.uniform()));
  const double height = page.text_height(scale), step = height * spacing;
  const double whole = step * static_cast<double>(lines.size() - 1) + height;
  double base = height + (page.size() - whole) * (0.3 + 0.4 * layout.uniform());
  const bool in_the_middle = chance(layout, 0.35);
  const Colour bright = page.style().palette.front();
  const bool stands_out = std::abs(lightness(bright) - lightness(page.style().paper)) > 90;
  const Colour ink = stands_out && chance(layout, 0.4) ? bright : page.style().ink;
  const double free = page.size() - widest * scale * 1.01;
  const double left = free / 2 * (0.3 + 1.2 * layout.uniform() / 1.5);
  for (const std::string& line : lines) {
    page.text({in_the_middle ? page.size() / 2 : left, base}, in_the_middle ? Side::kMiddle : Side::kLeft, line, ink,
              scale);
    base += step;
  }
}

}  // namespace

Picture make_ocr_lines(Random& random, int size) {
  const auto count = static_cast<size_t>(number_between(random, 1, std::clamp<int64_t>(size / 45, 2, 6)));
  const size_t most_letters = static_cast<size_t>(std::clamp(size / 9, 10, 34));
  std::vector<std::string> lines;
  std::string content;
  for (size_t i = 0; i < count; ++i) {
    lines.push_back(make_line(random, most_letters));
    content += lines.back() + "\n";
  }
  return {.content = content,
          .ask = [lines](Random& choice) { return ask_lines(choice, lines); },
          .draw = [lines](Page& page, Random& layout) { draw_lines(page, layout, lines); }};
}

}  // namespace phial::data

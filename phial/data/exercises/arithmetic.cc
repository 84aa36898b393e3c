#include <string>
#include <vector>

#include "phial/data/exercises/exercise.h"
#include "phial/data/pick.h"

namespace phial::data {
namespace {

// A written expression and its value; `binds`: 1 for a sum, 2 for a product, 3 for a number.
struct Expression {
  std::string text;
  int64_t value = 0;
  int binds = 3;
};

int64_t operand(Random& random, int level) {
  constexpr std::array<int64_t, 5> kMost = {20, 100, 1000, 1000, 100000};
  return number_between(random, 0, kMost[static_cast<size_t>(level) - 1]);
}

Expression number(int64_t value) { return {std::to_string(value), value, 3}; }

std::string bracketed(const Expression& part, int binds) {
  return part.binds < binds ? "(" + part.text + ")" : part.text;
}

Expression joined(const Expression& left, char sign, const Expression& right) {
  const int binds = sign == '+' || sign == '-' ? 1 : 2;
  // Of two that bind alike the left one goes first.
  Expression whole{bracketed(left, binds) + " " + sign + " " + bracketed(right, binds + 1), 0, binds};
  switch (sign) {
    case '+':
      whole.value = left.value + right.value;
      break;
    case '-':
      whole.value = left.value - right.value;
      break;
    case '*':
      whole.value = left.value * right.value;
      break;
    default:
      whole.value = left.value / right.value;
      break;
  }
  return whole;
}

// One operator; quotients are whole.
Expression simple(Random& random, int level) {
  const int64_t factor = level == 2 ? 10 : level == 3 ? 12 : 99;
  const uint64_t sign = random.below(level == 1 ? 2 : 4);
  if (sign < 2) {
    int64_t left = operand(random, level), right = operand(random, level);
    if (sign == 1 && level < 3 && left < right) std::swap(left, right);
    return joined(number(left), sign == 0 ? '+' : '-', number(right));
  }
  if (sign == 2) {
    const int64_t left = number_between(random, 2, level == 3 ? 99 : factor), right = number_between(random, 2, factor);
    return joined(number(left), '*', number(right));
  }
  const int64_t divisor = number_between(random, 2, level < 5 ? 12 : 99), quotient = number_between(random, 2, factor);
  return joined(number(divisor * quotient), '/', number(divisor));
}

// `operators` of them, over small numbers; no quotients, which would have to be whole at every place.
Expression nested(Random& random, int operators) {
  if (operators == 0) return number(number_between(random, 1, 20));
  const int left = static_cast<int>(random.below(static_cast<uint64_t>(operators)));
  constexpr std::string_view kSigns = "++--*";
  const Expression before = nested(random, left), behind = nested(random, operators - 1 - left);
  return joined(before, pick(random, kSigns), behind);
}

Exercise remainder(Random& random, int level) {
  const int64_t divisor = number_between(random, 2, level < 5 ? 12 : 99);
  const int64_t value = number_between(random, divisor, level < 5 ? 200 : 5000);
  const std::string of = std::to_string(value) + " is divided by " + std::to_string(divisor);
  return {"", "What is the remainder when " + of + "?", std::to_string(value % divisor), of};
}

// "17 plus 25": for expressions of two numbers.
std::string in_words(const std::string& text) {
  std::string words;
  for (const char c : text) {
    switch (c) {
      case '+':
        words += "plus";
        break;
      case '-':
        words += "minus";
        break;
      case '*':
        words += "times";
        break;
      case '/':
        words += "divided by";
        break;
      default:
        words += c;
    }
  }
  return words;
}

}  // namespace

Exercise make_arithmetic(Random& random, int level) {
  if (level >= 3 && chance(random, 0.15)) return remainder(random, level);
  const bool is_nested = level >= 4 && chance(random, 0.6);
  const Expression whole =
      is_nested ? nested(random, static_cast<int>(number_between(random, 2, level - 1))) : simple(random, level);
  const std::vector<std::string> phrases = {
      "What is " + whole.text + "?", "Calculate " + whole.text + ".", "How much is " + whole.text + "?",
      "What is the value of " + whole.text + "?", "What is " + (is_nested ? whole.text : in_words(whole.text)) + "?"};
  return {"", pick(random, phrases), std::to_string(whole.value), whole.text};
}

}  // namespace phial::data

// Functions that a template may call, and what functions, methods and filters share.

#include <algorithm>
#include <array>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/generate/jinja/builtins.h"

namespace phial::generate::jinja {
namespace {

constexpr std::array<std::string_view, 5> kFunctions = {"dict", "namespace", "raise_exception", "range",
                                                        "strftime_now"};
constexpr int64_t kLongestRange = 100000;  // as Jinja's own sandbox has it

Result<Value> range(Interpreter& interpreter, const Arguments& arguments) {
  std::array<int64_t, 3> numbers = {0, 0, 1};
  const auto& given = arguments.positional;
  if (given.empty() || given.size() > 3) return Error{Code::kInvalid, "range() takes one to three numbers", ""};
  for (size_t i = 0; i < given.size(); ++i) {
    if (!given[i].as_integer(numbers[given.size() == 1 ? 1 : i])) {
      return Error{Code::kInvalid, "range() is given a " + std::string(given[i].type_name()), ""};
    }
  }
  const auto [start, stop, step] = numbers;
  if (step == 0) return Error{Code::kInvalid, "range() is given a step of zero", ""};
  std::vector<Value> items;
  for (__int128 i = start; step > 0 ? i < stop : i > stop; i += step) {
    if (items.size() >= kLongestRange) return Error{Code::kOutOfRange, "a range() has more than 100000 numbers", ""};
    items.push_back(Value::of(static_cast<int64_t>(i)));
  }
  PHIAL_CHECKED(interpreter.spend(items.size() * kWeightOfValue));
  return make_list(std::move(items));
}

std::string padded(int value, size_t width, char with = '0') {
  std::string text = std::to_string(value);
  return text.size() < width ? std::string(width - text.size(), with) + text : text;
}

// What one letter of a strftime format says, in the C locale.
Result<std::string> date_part(char letter, const std::tm& t) {
  constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                        "May",       "June",     "July",     "August",
                                                        "September", "October",  "November", "December"};
  constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                     "Thursday", "Friday", "Saturday"};
  const std::string_view month = kMonths[static_cast<size_t>(std::clamp(t.tm_mon, 0, 11))];
  const std::string_view day = kDays[static_cast<size_t>(std::clamp(t.tm_wday, 0, 6))];
  switch (letter) {
    case 'Y':
      return std::to_string(t.tm_year + 1900);
    case 'y':
      return padded(t.tm_year % 100, 2);
    case 'm':
      return padded(t.tm_mon + 1, 2);
    case 'd':
      return padded(t.tm_mday, 2);
    case 'B':
      return std::string(month);
    case 'b':
      return std::string(month.substr(0, 3));
    case 'A':
      return std::string(day);
    case 'a':
      return std::string(day.substr(0, 3));
    case 'H':
      return padded(t.tm_hour, 2);
    case 'I':
      return padded((t.tm_hour + 11) % 12 + 1, 2);
    case 'p':
      return std::string(t.tm_hour < 12 ? "AM" : "PM");
    case 'M':
      return padded(t.tm_min, 2);
    case 'S':
      return padded(t.tm_sec, 2);
    case 'j':
      return padded(t.tm_yday + 1, 3);
    case '%':
      return std::string("%");
    default:
      return Error{
          Code::kUnsupported,
          "strftime_now() is asked for %" + printable(std::string_view(&letter, 1)) + ", which is not supported", ""};
  }
}

Result<Value> strftime_now(const std::tm& now, const Arguments& arguments) {
  const Value* format = arguments.find(0, "format");
  if (!format || !format->text()) return Error{Code::kInvalid, "strftime_now() takes a format", ""};
  const std::string& letters = format->text()->bytes;
  Text text;
  for (size_t i = 0; i < letters.size(); ++i) {
    if (letters[i] != '%') {
      text.append(*format->text(), i, i + 1);
      continue;
    }
    const bool bare = i + 1 < letters.size() && letters[i + 1] == '-';  // no leading zero
    i += bare ? 2 : 1;
    if (i >= letters.size()) return Error{Code::kInvalid, "strftime_now() is given a format that ends in %", ""};
    PHIAL_TRY(std::string part, date_part(letters[i], now));
    if (bare && part.size() > 1) part.erase(0, std::min(part.find_first_not_of('0'), part.size() - 1));
    text.append(part);
  }
  return Value::of(std::move(text));
}

Result<Value> make_dict_of(Interpreter& interpreter, const Arguments& arguments) {
  std::vector<std::pair<Value, Value>> items;
  if (!arguments.positional.empty()) {
    const Dict* dict = arguments.positional[0].dict();
    if (!dict || arguments.positional.size() > 1) {
      return Error{Code::kUnsupported, "dict() of anything but another dictionary and names is not supported", ""};
    }
    items = dict->items;
  }
  for (const auto& [name, value] : arguments.named) items.emplace_back(Value::own_text(name), value);
  PHIAL_CHECKED(interpreter.spend(items.size() * (items.size() + kWeightOfValue)));
  return make_dict(std::move(items));
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace

bool is_function(std::string_view name) {
  return std::find(kFunctions.begin(), kFunctions.end(), name) != kFunctions.end();
}

Result<Value> call_function(Interpreter& interpreter, std::string_view name, const Arguments& arguments) {
  if (name == "range") return range(interpreter, arguments);
  if (name == "namespace") {
    PHIAL_CHECKED(interpreter.spend(arguments.named.size() * kWeightOfValue));
    return interpreter.make_namespace(arguments);
  }
  if (name == "dict") return make_dict_of(interpreter, arguments);
  if (name == "strftime_now") return strftime_now(interpreter.now(), arguments);
  const Value* message = arguments.find(0, "message");
  if (!message) return Error{Code::kInvalid, "raise_exception() takes a message", ""};
  PHIAL_TRY(const Text text, to_text(*message));
  return Error{Code::kInvalid, "the chat template refuses these messages: " + printable(text.bytes, 300), ""};
}

Result<std::vector<Value>> elements(Interpreter& interpreter, const Value& value) {
  std::vector<Value> items;
  if (const List* list = value.list()) {
    items = list->items;
  } else if (const Dict* dict = value.dict()) {
    for (const auto& item : dict->items) items.push_back(item.first);
  } else if (const Text* text = value.text()) {
    PHIAL_CHECKED(interpreter.spend(text->bytes.size() * 4 * kWeightOfValue));
    const std::vector<size_t> at = positions(text->bytes);
    for (size_t i = 0; i + 1 < at.size(); ++i) items.push_back(Value::of(text->part(at[i], at[i + 1])));
  } else if (!value.is_undefined()) {
    return Error{Code::kInvalid, "a " + std::string(value.type_name()) + " has no elements to go through", ""};
  }
  PHIAL_CHECKED(interpreter.spend(items.size() * kWeightOfValue));
  return items;
}

Result<bool> contains(Interpreter& interpreter, const Value& container, const Value& value) {
  PHIAL_CHECKED(interpreter.spend(container.weight()));
  if (const Text* text = container.text()) {
    if (const Text* part = value.text()) return text->bytes.find(part->bytes) != std::string::npos;
    return Error{Code::kInvalid, "a string is asked whether it holds a " + std::string(value.type_name()), ""};
  }
  if (const List* list = container.list()) {
    return std::any_of(list->items.begin(), list->items.end(), [&](const Value& item) { return equal(item, value); });
  }
  if (const Dict* dict = container.dict()) return dict->find(value) != nullptr;
  if (container.is_undefined()) return false;
  return Error{Code::kInvalid, "a " + std::string(container.type_name()) + " holds nothing to look for", ""};
}

Result<Text> change_case(const Text& text, std::string_view how) {
  Text result = text;
  bool inside_word = false;
  for (char& c : result.bytes) {
    if (static_cast<unsigned char>(c) >= 0x80) {
      return Error{Code::kUnsupported, std::string(how) + " of text that is not ASCII is not supported", ""};
    }
    const bool raise =
        how == "upper" || (how == "title" && !inside_word) || (how == "capitalize" && &c == result.bytes.data());
    c = raise ? upper(c) : lower(c);
    inside_word = upper(c) != lower(c);
  }
  return result;
}

Result<Text> replace(Interpreter& interpreter, const Text& text, const Text& from, const Text& to, int64_t count) {
  Text result;
  PHIAL_CHECKED(interpreter.spend(text.bytes.size()));
  const auto put = [&]() -> Status {
    PHIAL_CHECKED(interpreter.spend(1 + to.cost()));
    result.append(to);
    return ok();
  };
  size_t at = 0;
  while (count != 0 && at <= text.bytes.size()) {
    const size_t found = from.bytes.empty() ? at : text.bytes.find(from.bytes, at);
    if (found == std::string::npos) break;
    result.append(text, at, found);
    PHIAL_CHECKED(put());
    at = found + from.bytes.size();
    if (from.bytes.empty()) {
      if (at == text.bytes.size()) return result;
      const auto length = static_cast<size_t>(decode_utf8(text.bytes, at).length);
      result.append(text, at, at + length);
      at += length;
    }
    if (count > 0) --count;
  }
  result.append(text, at, text.bytes.size());
  return result;
}

Result<Text> join(Interpreter& interpreter, const Text& separator, const std::vector<Value>& items) {
  Text result;
  for (size_t i = 0; i < items.size(); ++i) {
    PHIAL_CHECKED(interpreter.spend(items[i].weight() + separator.cost()));
    if (i > 0) result.append(separator);
    PHIAL_TRY(const Text text, to_text(items[i]));
    result.append(text);
  }
  return result;
}

}  // namespace phial::generate::jinja

// The filters behind "|".

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/generate/jinja/builtins.h"

namespace phial::generate::jinja {
namespace {

Error takes(std::string_view filter, std::string_view what) {
  return {Code::kInvalid, "the filter '" + std::string(filter) + "' takes " + std::string(what), ""};
}

int64_t integer_or(const Value* value, int64_t standard) {
  int64_t number = standard;
  if (value) value->as_integer(number);
  return number;
}

// item.a.b of a dotted path; undefined where there is none.
Value field(const Value& item, std::string_view path) {
  Value at = item;
  for (size_t start = 0; start <= path.size();) {
    const size_t end = std::min(path.find('.', start), path.size());
    const Value* next = at.dict() ? at.dict()->find(path.substr(start, end - start)) : nullptr;
    if (!next) return Value::undefined(std::string(path));
    at = Value(*next);
    start = end + 1;
  }
  return at;
}

Result<Value> length(const Value& value) {
  size_t count = 0;
  if (value.text()) {
    count = code_points(value.text()->bytes);
  } else if (value.list()) {
    count = value.list()->items.size();
  } else if (value.dict()) {
    count = value.dict()->items.size();
  } else if (!value.is_undefined()) {
    return Error{Code::kInvalid, "a " + std::string(value.type_name()) + " has no length", ""};
  }
  return Value::of(static_cast<int64_t>(count));
}

Result<Value> json(Interpreter& interpreter, const Value& value, const Arguments& arguments) {
  JsonStyle style;
  if (const Value* indent = arguments.find(1, "indent"); indent && !indent->is_none()) {
    style.indent = static_cast<int>(std::clamp<int64_t>(integer_or(indent, -1), -1, 16));
  }
  if (const Value* ascii = arguments.find(0, "ensure_ascii")) style.ascii_only = ascii->is_true();
  if (const Value* sort = arguments.find(3, "sort_keys")) style.sort_keys = sort->is_true();
  if (const Value* separators = arguments.find(2, "separators"); separators && separators->list()) {
    const auto& both = separators->list()->items;
    if (both.size() != 2 || !both[0].text() || !both[1].text()) return takes("tojson", "two strings as separators");
    style.item_separator = both[0].text()->bytes;
    style.key_separator = both[1].text()->bytes;
  }
  const uint64_t space = static_cast<uint64_t>(std::max(style.indent, 0)) * kDeepestValue +
                         style.item_separator.size() + style.key_separator.size();
  PHIAL_CHECKED(interpreter.spend(value.weight() / kWeightOfValue * (space + 6 * kWeightOfValue)));
  PHIAL_TRY(Text text, to_json(value, style));
  return Value::of(std::move(text));
}

// Lines after the first (and the first if asked) moved to the right; empty ones are left alone unless asked.
Result<Value> indent(Interpreter& interpreter, const Text& text, const Arguments& arguments) {
  const Value* width = arguments.find(0, "width");
  const Value* first = arguments.find(1, "first");
  const Value* blank = arguments.find(2, "blank");
  Text margin;
  if (width && width->text()) {
    margin = *width->text();
  } else {
    margin.append(std::string(static_cast<size_t>(std::clamp<int64_t>(integer_or(width, 4), 0, 1000)), ' '));
  }
  Text result;
  bool is_first = true;
  for (size_t at = 0; at <= text.bytes.size();) {
    const size_t end = std::min(text.bytes.find('\n', at), text.bytes.size());
    PHIAL_CHECKED(interpreter.spend(end - at + margin.cost()));
    if (!is_first) result.append("\n");
    if ((!is_first || (first && first->is_true())) && (is_first || end > at || (blank && blank->is_true()))) {
      result.append(margin);
    }
    result.append(text, at, end);
    is_first = false;
    at = end + 1;
  }
  return Value::of(std::move(result));
}

Result<Value> to_integer(const Value& value, const Arguments& arguments) {
  const Value* standard = arguments.find(0, "default");
  const Value otherwise = standard ? *standard : Value::of(int64_t{0});
  int64_t number = 0;
  if (value.as_integer(number)) return Value::of(number);
  double real = 0;
  if (const Text* text = value.text()) {
    const TextRange core = strip(text->bytes, "", true, true);
    const char* first = text->bytes.data() + core.start;
    const char* last = text->bytes.data() + core.end;
    if (first != last && *first == '+') ++first;
    if (const auto r = std::from_chars(first, last, number); r.ec == std::errc() && r.ptr == last && first != last) {
      return Value::of(number);
    }
    if (const auto r = std::from_chars(first, last, real); r.ec != std::errc() || r.ptr != last || first == last) {
      return otherwise;
    }
  } else if (!value.as_number(real)) {
    return otherwise;
  }
  if (!(std::fabs(real) < 9e18)) return otherwise;
  return Value::of(static_cast<int64_t>(real));
}

Result<Value> to_float(const Value& value, const Arguments& arguments) {
  double number = 0;
  if (value.as_number(number)) return Value::of(number);
  if (const Text* text = value.text()) {
    const TextRange core = strip(text->bytes, "", true, true);
    const char* last = text->bytes.data() + core.end;
    const auto r = std::from_chars(text->bytes.data() + core.start, last, number);
    if (r.ec == std::errc() && r.ptr == last) return Value::of(number);
  }
  const Value* standard = arguments.find(0, "default");
  return standard ? *standard : Value::of(0.0);
}

// select, reject, selectattr, rejectattr: by a test, or by truth.
Result<Value> select(Interpreter& interpreter, std::string_view filter, const Value& value,
                     const Arguments& arguments) {
  const bool by_field = filter.ends_with("attr");
  const bool keeps = filter.starts_with("select");
  if (by_field && (arguments.positional.empty() || !arguments.positional[0].text())) {
    return takes(filter, "the name of a field");
  }
  const size_t at = by_field ? 1 : 0;
  Arguments rest;
  std::string test;
  if (arguments.positional.size() > at) {
    if (!arguments.positional[at].text()) return takes(filter, "the name of a test");
    test = arguments.positional[at].text()->bytes;
    rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                           arguments.positional.end());
  }
  PHIAL_TRY(const auto items, elements(interpreter, value));
  std::vector<Value> kept;
  for (const Value& item : items) {
    const Value tested = by_field ? field(item, arguments.positional[0].text()->bytes) : item;
    PHIAL_CHECKED(interpreter.spend(tested.weight()));
    bool holds = tested.is_true();
    if (test == "in" && rest.positional.size() == 1) {
      PHIAL_TRY(holds, contains(interpreter, rest.positional[0], tested));
    } else if (!test.empty()) {
      PHIAL_TRY(holds, apply_test(test, tested, rest));
    }
    if (holds == keeps) kept.push_back(item);
  }
  return make_list(std::move(kept));
}

Result<Value> map(Interpreter& interpreter, const Value& value, const Arguments& arguments) {
  PHIAL_TRY(const auto items, elements(interpreter, value));
  std::vector<Value> mapped;
  const Value* attribute = arguments.positional.empty() ? arguments.find(0, "attribute") : nullptr;
  const bool names_filter = !arguments.positional.empty() && arguments.positional[0].text();
  if (!names_filter && !(attribute && attribute->text())) return takes("map", "a filter's name, or attribute=");
  Arguments rest;
  if (names_filter) {
    rest.positional.assign(arguments.positional.begin() + 1, arguments.positional.end());
    rest.named = arguments.named;
  }
  for (const Value& item : items) {
    if (names_filter) {
      const std::string& filter = arguments.positional[0].text()->bytes;
      if (filter == "map") return Error{Code::kUnsupported, "map of map is not supported", ""};
      PHIAL_TRY(Value result, apply_filter(interpreter, filter, item, rest));
      mapped.push_back(std::move(result));
    } else {
      Value result = field(item, attribute->text()->bytes);
      const Value* standard = arguments.find(1, "default");
      if (result.is_undefined() && standard) result = *standard;
      mapped.push_back(std::move(result));
    }
  }
  return make_list(std::move(mapped));
}

Result<Value> first_or_last(std::string_view name, const Value& value) {
  if (const List* list = value.list(); list && !list->items.empty()) {
    return name == "first" ? list->items.front() : list->items.back();
  }
  if (const Dict* dict = value.dict(); dict && !dict->items.empty()) {
    return name == "first" ? dict->items.front().first : dict->items.back().first;
  }
  if (const Text* text = value.text(); text && !text->bytes.empty()) {
    const std::vector<size_t> at = positions(text->bytes);
    const size_t i = name == "first" ? 0 : at.size() - 2;
    return Value::of(text->part(at[i], at[i + 1]));
  }
  if (!value.list() && !value.dict() && !value.text() && !value.is_undefined()) {
    return takes(name, "a list or string, not a " + std::string(value.type_name()));
  }
  return Value::undefined("the " + std::string(name) + " item of nothing");
}

Result<Value> join_items(Interpreter& interpreter, const Value& value, const Arguments& arguments) {
  PHIAL_TRY(auto items, elements(interpreter, value));
  if (const Value* attribute = arguments.find(1, "attribute"); attribute && attribute->text()) {
    for (Value& item : items) item = field(item, attribute->text()->bytes);
  }
  Text separator;
  if (const Value* given = arguments.find(0, "d")) {
    PHIAL_TRY(separator, to_text(*given));
  }
  PHIAL_TRY(Text joined, join(interpreter, separator, items));
  return Value::of(std::move(joined));
}

// Filters that see their value as text. Nothing if `name` is not one.
Result<Value> of_text(Interpreter& interpreter, std::string_view name, const Value& value, const Arguments& arguments) {
  PHIAL_TRY(const Text text, to_text(value));
  if (name == "string" || name == "safe") return Value::of(text);
  if (name == "indent") return indent(interpreter, text, arguments);
  if (name == "trim") {
    const Value* characters = arguments.find(0, "chars");
    const bool given = characters && characters->text();
    const TextRange left = strip(text.bytes, given ? characters->text()->bytes : std::string_view(), true, true);
    return Value::of(text.part(left.start, left.end));
  }
  if (name == "replace") {
    const Value* from = arguments.find(0, "old");
    const Value* to = arguments.find(1, "new");
    if (!from || !to) return takes(name, "two strings");
    PHIAL_TRY(const Text old, to_text(*from));
    PHIAL_TRY(const Text fresh, to_text(*to));
    PHIAL_TRY(Text replaced, replace(interpreter, text, old, fresh, integer_or(arguments.find(2, "count"), -1)));
    return Value::of(std::move(replaced));
  }
  PHIAL_TRY(Text changed, change_case(text, name));
  return Value::of(std::move(changed));
}

constexpr std::array<std::string_view, 9> kTextFilters = {"trim",   "upper", "lower",  "title",  "capitalize",
                                                          "string", "safe",  "indent", "replace"};

}  // namespace

Result<Value> apply_filter(Interpreter& interpreter, std::string_view name, const Value& value,
                           const Arguments& arguments) {
  PHIAL_CHECKED(interpreter.spend(value.weight()));
  if (std::find(kTextFilters.begin(), kTextFilters.end(), name) != kTextFilters.end()) {
    return of_text(interpreter, name, value, arguments);
  }
  if (name == "length" || name == "count") return length(value);
  if (name == "default" || name == "d") {
    const Value* boolean = arguments.find(1, "boolean");
    if (!value.is_undefined() && (value.is_true() || !boolean || !boolean->is_true())) return value;
    const Value* standard = arguments.find(0, "default_value");
    return standard ? *standard : Value::own_text("");
  }
  if (name == "tojson") return json(interpreter, value, arguments);
  if (name == "join") return join_items(interpreter, value, arguments);
  if (name == "first" || name == "last") return first_or_last(name, value);
  if (name == "int") return to_integer(value, arguments);
  if (name == "float") return to_float(value, arguments);
  if (name == "map") return map(interpreter, value, arguments);
  if (name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr") {
    return select(interpreter, name, value, arguments);
  }
  if (name == "list" || name == "reverse") {
    PHIAL_TRY(auto items, elements(interpreter, value));
    if (name == "reverse") std::reverse(items.begin(), items.end());
    if (name == "list" || !value.text()) return make_list(std::move(items));
    PHIAL_TRY(Text text, join(interpreter, Text(), items));
    return Value::of(std::move(text));
  }
  if (name == "items") {
    if (value.is_undefined()) return make_list({});
    if (!value.dict()) return takes(name, "a dictionary, not a " + std::string(value.type_name()));
    return call_method(interpreter, value, "items", {});
  }
  if (name == "abs") {
    int64_t whole = 0;
    if (value.as_integer(whole) && whole != INT64_MIN) return Value::of(whole < 0 ? -whole : whole);
    if (value.floating()) return Value::of(std::fabs(*value.floating()));
    return takes(name, "a number");
  }
  return Error{Code::kUnsupported, "the filter '" + printable(name) + "' is not supported", ""};
}

}  // namespace phial::generate::jinja

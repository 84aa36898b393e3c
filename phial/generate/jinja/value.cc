#include "phial/generate/jinja/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "phial/base/utf8.h"

namespace phial::generate::jinja {
namespace {

// Python writes the shortest digits that read back the same, with an exponent below 1e-4 and from 1e16 on.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer{};
  const double size = std::fabs(value);
  const bool with_exponent = size != 0 && (size < 1e-4 || size >= 1e16);
  const auto format = with_exponent ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format).ptr;
  std::string text(buffer.data(), end);
  if (!with_exponent && text.find('.') == std::string::npos) text += ".0";
  return text;
}

// Takes `value` into the sums of the list or dictionary `to`.
template <class Container>
void account(const Value& value, Container& to) {
  to.depth = std::max(to.depth, value.depth() + 1);
  to.weight += value.weight();
}

Status check_size(int depth, uint64_t weight) {
  if (depth <= kDeepestValue && weight <= kHeaviestValue) return ok();
  return Error{Code::kOutOfRange, "a list or dictionary of the chat template is too large or nested too deeply", ""};
}

// A string in quotes as repr() writes it.
Text quoted(const Text& text) {
  const bool has_single = text.bytes.find('\'') != std::string::npos;
  const char quote = has_single && text.bytes.find('"') == std::string::npos ? '"' : '\'';
  Text result;
  result.append(std::string_view(&quote, 1));
  for (size_t at = 0; at < text.bytes.size();) {
    const DecodedChar c = decode_utf8(text.bytes, at);
    const auto length = static_cast<size_t>(c.length);
    std::string escape;
    if (c.code_point == '\n') escape = "\\n";
    if (c.code_point == '\r') escape = "\\r";
    if (c.code_point == '\t') escape = "\\t";
    if (c.code_point == '\\') escape = "\\\\";
    if (c.code_point == static_cast<char32_t>(quote)) escape = std::string("\\") + quote;
    if (escape.empty() && (c.code_point < 0x20 || c.code_point == 0x7F)) {
      constexpr std::string_view kHex = "0123456789abcdef";
      escape = {'\\', 'x', kHex[c.code_point >> 4], kHex[c.code_point & 15]};
    }
    if (escape.empty()) {
      result.append(text, at, at + length);
    } else if (text.is_plain(at)) {
      result.append_plain(escape);
    } else {
      result.append(escape);
    }
    at += length;
  }
  result.append(std::string_view(&quote, 1));
  return result;
}

Status append_repr(const Value& value, Text& to);

Status append_reprs(const std::vector<Value>& items, Text& to) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) to.append(", ");
    PHIAL_CHECKED(append_repr(items[i], to));
  }
  return ok();
}

Status append_repr(const Value& value, Text& to) {
  if (const Text* text = value.text()) {
    to.append(quoted(*text));
  } else if (const List* list = value.list()) {
    to.append(list->is_tuple ? "(" : "[");
    PHIAL_CHECKED(append_reprs(list->items, to));
    to.append(!list->is_tuple ? "]" : list->items.size() == 1 ? ",)" : ")");
  } else if (const Dict* dict = value.dict()) {
    to.append("{");
    bool first = true;
    for (const auto& [key, item] : dict->items) {
      if (!first) to.append(", ");
      first = false;
      PHIAL_CHECKED(append_repr(key, to));
      to.append(": ");
      PHIAL_CHECKED(append_repr(item, to));
    }
    to.append("}");
  } else if (value.is_undefined()) {
    to.append("Undefined");
  } else {
    PHIAL_TRY(const Text other, to_text(value));
    to.append(other);
  }
  return ok();
}

}  // namespace

bool Value::as_integer(int64_t& value) const {
  if (const int64_t* held = integer()) {
    value = *held;
  } else if (const bool* flag = boolean()) {
    value = *flag ? 1 : 0;
  } else {
    return false;
  }
  return true;
}

bool Value::as_number(double& value) const {
  int64_t whole = 0;
  if (const double* held = floating()) {
    value = *held;
  } else if (as_integer(whole)) {
    value = static_cast<double>(whole);
  } else {
    return false;
  }
  return true;
}

std::string_view Value::undefined_name() const {
  const auto* held = std::get_if<Undefined>(&state_);
  return held ? std::string_view(held->name) : std::string_view();
}

std::string_view Value::type_name() const {
  if (is_undefined()) return "undefined";
  if (is_none()) return "None";
  if (boolean()) return "bool";
  if (integer()) return "int";
  if (floating()) return "float";
  if (text()) return "str";
  if (const List* held = list()) return held->is_tuple ? "tuple" : "list";
  if (dict()) return "dict";
  return space() ? "namespace" : "function";
}

bool Value::is_true() const {
  double number = 0;
  if (as_number(number)) return number != 0;
  if (const Text* held = text()) return !held->bytes.empty();
  if (const List* held = list()) return !held->items.empty();
  if (const Dict* held = dict()) return !held->items.empty();
  return !is_undefined() && !is_none();
}

int Value::depth() const {
  if (const List* held = list()) return held->depth;
  if (const Dict* held = dict()) return held->depth;
  return 0;
}

uint64_t Value::weight() const {
  if (const Text* held = text()) return held->cost() + kWeightOfValue;
  if (const List* held = list()) return held->weight;
  if (const Dict* held = dict()) return held->weight;
  return kWeightOfValue;
}

const Value* Dict::find(const Value& key) const {
  const auto found = std::find_if(items.begin(), items.end(), [&](const auto& item) { return equal(item.first, key); });
  return found == items.end() ? nullptr : &found->second;
}

const Value* Dict::find(std::string_view key) const {
  const auto found = std::find_if(items.begin(), items.end(), [&](const auto& item) {
    const Text* text = item.first.text();
    return text && text->bytes == key;
  });
  return found == items.end() ? nullptr : &found->second;
}

Result<Value> make_list(std::vector<Value> items, bool is_tuple) {
  auto list = std::make_shared<List>();
  for (const Value& item : items) account(item, *list);
  list->items = std::move(items);
  list->is_tuple = is_tuple;
  PHIAL_CHECKED(check_size(list->depth, list->weight));
  return Value::of(std::shared_ptr<const List>(std::move(list)));
}

Result<Value> make_dict(std::vector<std::pair<Value, Value>> items) {
  auto dict = std::make_shared<Dict>();
  for (auto& [key, value] : items) {
    if (key.list() || key.dict() || key.space()) {
      return Error{Code::kInvalid, "a " + std::string(key.type_name()) + " cannot be the key of a dictionary", ""};
    }
    account(key, *dict);
    account(value, *dict);
    const auto same =
        std::find_if(dict->items.begin(), dict->items.end(), [&](const auto& item) { return equal(item.first, key); });
    if (same != dict->items.end()) {
      same->second = std::move(value);
    } else {
      dict->items.emplace_back(std::move(key), std::move(value));
    }
  }
  PHIAL_CHECKED(check_size(dict->depth, dict->weight));
  return Value::of(std::shared_ptr<const Dict>(std::move(dict)));
}

bool equal(const Value& a, const Value& b) {
  int64_t i = 0, j = 0;
  if (a.as_integer(i) && b.as_integer(j)) return i == j;
  double x = 0, y = 0;
  if (a.as_number(x) && b.as_number(y)) return x == y;
  if (a.text() && b.text()) return a.text()->bytes == b.text()->bytes;
  if (a.list() && b.list()) {
    return a.list()->is_tuple == b.list()->is_tuple &&
           std::equal(a.list()->items.begin(), a.list()->items.end(), b.list()->items.begin(), b.list()->items.end(),
                      equal);
  }
  if (a.dict() && b.dict()) {
    if (a.dict()->items.size() != b.dict()->items.size()) return false;
    return std::all_of(a.dict()->items.begin(), a.dict()->items.end(), [&](const auto& item) {
      const Value* other = b.dict()->find(item.first);
      return other && equal(item.second, *other);
    });
  }
  if (a.space() || b.space()) return a.space() == b.space();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

Result<int> compare(const Value& a, const Value& b) {
  double x = 0, y = 0;
  if (a.as_number(x) && b.as_number(y)) return x < y ? -1 : x > y ? 1 : 0;
  if (a.text() && b.text()) {
    const int order = a.text()->bytes.compare(b.text()->bytes);  // UTF-8 sorts as its code points do
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  return Error{Code::kInvalid,
               "a " + std::string(a.type_name()) + " and a " + std::string(b.type_name()) + " have no order", ""};
}

Result<Text> to_text(const Value& value) {
  if (const Text* text = value.text()) return *text;
  Text result;
  if (const bool* flag = value.boolean()) {
    result.append(*flag ? "True" : "False");
  } else if (const int64_t* number = value.integer()) {
    result.append(std::to_string(*number));
  } else if (value.floating()) {
    result.append(float_text(*value.floating()));
  } else if (value.is_none()) {
    result.append("None");
  } else if (value.list() || value.dict()) {
    PHIAL_CHECKED(append_repr(value, result));
  } else if (!value.is_undefined()) {
    return Error{Code::kUnsupported, "the chat template prints a " + std::string(value.type_name()), ""};
  }
  return result;
}

Result<Text> to_repr(const Value& value) {
  Text result;
  PHIAL_CHECKED(append_repr(value, result));
  return result;
}

}  // namespace phial::generate::jinja

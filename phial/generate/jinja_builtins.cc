#include "phial/generate/jinja_builtins.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "phial/base/utf8.h"

namespace phial::generate::jinja {
namespace {

Error unsupported(const char* what, std::string_view name) {
  return Error{Code::kUnsupported,
               std::string("chat template: the ") + what + " '" + std::string(name) + "' is not supported", ""};
}
Error wrong_type(std::string_view name) {
  return Error{Code::kInvalid, "chat template: '" + std::string(name) + "' got a value that it cannot work on", ""};
}

// White space as Python's str.strip() sees it.
bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

enum class Side { kLeft, kRight, kBoth };

Text strip(const Text& text, Side side, const Text* characters) {
  const auto goes = [&](char32_t c) {
    if (characters == nullptr) return is_space(c);
    for (size_t at = 0; at < characters->size();) {
      const DecodedChar other = decode_utf8(characters->bytes(), at);
      if (other.code_point == c) return true;
      at += static_cast<size_t>(other.length);
    }
    return false;
  };
  size_t start = 0, end = text.size();
  while (side != Side::kRight && start < end) {
    const DecodedChar c = decode_utf8(text.bytes(), start);
    if (!goes(c.code_point)) break;
    start += static_cast<size_t>(c.length);
  }
  while (side != Side::kLeft && end > start) {
    const size_t last = std::max(start, utf8_floor(text.bytes(), end - 1));
    if (!goes(decode_utf8(text.bytes(), last).code_point)) break;
    end = last;
  }
  return text.slice(start, end - start);
}

enum class Case { kUpper, kLower, kTitle, kCapitalize };

// Letters of ASCII only: templates change the case of role names and of their own words.
Text with_case(const Text& text, Case wanted) {
  Text out;
  bool starts_word = true;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text.bytes()[i]);
    const bool raise = wanted == Case::kUpper || (wanted != Case::kLower && starts_word);
    const int changed = byte >= 0x80 ? byte : raise ? std::toupper(byte) : std::tolower(byte);
    out.append(Text(std::string(1, static_cast<char>(changed)), text.is_data(i)));
    starts_word = wanted == Case::kTitle && byte < 0x80 && std::isalpha(byte) == 0;
  }
  return out;
}

Text replace_all(const Text& text, const Text& from, const Text& to, int64_t count) {
  Text out;
  size_t at = 0;
  while (count != 0) {
    const size_t found = from.size() == 0 ? std::string::npos : text.bytes().find(from.bytes(), at);
    if (found == std::string::npos) break;
    out.append(text.slice(at, found - at));
    out.append(to);
    at = found + from.size();
    --count;
  }
  out.append(text.slice(at, text.size() - at));
  return out;
}

List split(const Text& text, const Text* separator, int64_t limit) {
  List parts;
  if (separator != nullptr) {
    size_t at = 0;
    for (; limit != 0; --limit) {
      const size_t found = text.bytes().find(separator->bytes(), at);
      if (found == std::string::npos) break;
      parts.emplace_back(text.slice(at, found - at));
      at = found + separator->size();
    }
    parts.emplace_back(text.slice(at, text.size() - at));
    return parts;
  }
  Text rest = strip(text, Side::kLeft, nullptr);
  while (rest.size() > 0) {
    if (limit-- == 0) {
      parts.emplace_back(rest);
      break;
    }
    size_t end = 0;
    while (end < rest.size()) {
      const DecodedChar c = decode_utf8(rest.bytes(), end);
      if (is_space(c.code_point)) break;
      end += static_cast<size_t>(c.length);
    }
    parts.emplace_back(rest.slice(0, end));
    rest = strip(rest.slice(end, rest.size() - end), Side::kLeft, nullptr);
  }
  return parts;
}

Result<Value> join(const Value& value, const Arguments& arguments) {
  PHIAL_TRY(List items, items_of(value));
  const Text separator = to_text(arguments.get(0, "d"));
  const Value& attribute = arguments.get(1, "attribute");
  Text out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(separator);
    out.append(to_text(attribute.as_text() != nullptr ? member(items[i], attribute.as_text()->bytes()) : items[i]));
  }
  return Value(std::move(out));
}

Value length_of(const Value& value) {
  if (const Text* t = value.as_text()) return static_cast<int64_t>(count_characters(t->bytes()));
  if (const List* l = value.as_list()) return static_cast<int64_t>(l->size());
  if (const Dict* d = value.as_dict()) return static_cast<int64_t>(d->items.size());
  return static_cast<int64_t>(0);
}

List pairs_of(const Dict& dict) {
  List pairs;
  for (const auto& [key, value] : dict.items) pairs.emplace_back(List{Value::text(key), value});
  return pairs;
}

Value to_int(const Value& value, const Value& fallback) {
  double number = 0;
  if (value.as_double(&number) && std::fabs(number) < 9e18) return static_cast<int64_t>(number);
  if (const Text* text = value.as_text()) {
    const Text trimmed = strip(*text, Side::kBoth, nullptr);
    int64_t parsed = 0;
    const char* end = trimmed.bytes().data() + trimmed.size();
    const auto result = std::from_chars(trimmed.bytes().data(), end, parsed);
    if (trimmed.size() > 0 && result.ec == std::errc() && result.ptr == end) return parsed;
  }
  return fallback.is_undefined() ? Value(static_cast<int64_t>(0)) : fallback;
}

// select, reject, selectattr, rejectattr
Result<Value> select(std::string_view name, const Value& value, const Arguments& arguments) {
  const bool by_attribute = name.ends_with("attr");
  const bool wanted = name.starts_with("select");
  PHIAL_TRY(List items, items_of(value));
  const size_t first = by_attribute ? 1 : 0;
  const Text* attribute = arguments.get(0, "").as_text();
  if (by_attribute && attribute == nullptr) return wrong_type(name);
  const Text* test = arguments.get(first, "").as_text();
  Arguments rest;
  for (size_t i = first + 1; i < arguments.positional.size(); ++i) rest.positional.push_back(arguments.positional[i]);
  List kept;
  for (Value& item : items) {
    const Value tested = by_attribute ? member(item, attribute->bytes()) : item;
    bool passes = tested.truthy();
    if (test != nullptr) {
      PHIAL_TRY(const Value verdict, apply_test(test->bytes(), tested, rest));
      passes = verdict.truthy();
    }
    if (passes == wanted) kept.push_back(std::move(item));
  }
  return Value(std::move(kept));
}

Result<Value> map_items(const Value& value, const Arguments& arguments) {
  PHIAL_TRY(List items, items_of(value));
  const Value& attribute = arguments.get(~size_t{0}, "attribute");
  const Text* filter = arguments.get(0, "").as_text();
  if (attribute.as_text() == nullptr && filter == nullptr) return wrong_type("map");
  Arguments rest;
  for (size_t i = 1; i < arguments.positional.size(); ++i) rest.positional.push_back(arguments.positional[i]);
  for (Value& item : items) {
    if (attribute.as_text() != nullptr) {
      item = member(item, attribute.as_text()->bytes());
    } else {
      PHIAL_TRY(item, apply_filter(filter->bytes(), item, rest));
    }
  }
  return Value(std::move(items));
}

Result<Value> text_filter(std::string_view name, const Text& text, const Arguments& arguments) {
  if (name == "trim") {
    const Text* characters = arguments.get(0, "chars").as_text();
    return Value(strip(text, Side::kBoth, characters));
  }
  if (name == "upper") return Value(with_case(text, Case::kUpper));
  if (name == "lower") return Value(with_case(text, Case::kLower));
  if (name == "title") return Value(with_case(text, Case::kTitle));
  if (name == "capitalize") return Value(with_case(text, Case::kCapitalize));
  if (name == "replace") {
    int64_t count = -1;
    arguments.get(2, "count").as_int(&count);
    return Value(replace_all(text, to_text(arguments.get(0, "old")), to_text(arguments.get(1, "new")), count));
  }
  return unsupported("filter", name);
}

Result<Value> list_filter(std::string_view name, const Value& value, const Arguments& arguments) {
  PHIAL_TRY(List items, items_of(value));
  if (name == "list") return Value(std::move(items));
  if (name == "first") return items.empty() ? Value() : items.front();
  if (name == "last") return items.empty() ? Value() : items.back();
  if (name == "reverse") {
    std::reverse(items.begin(), items.end());
    return Value(std::move(items));
  }
  if (name == "unique") {
    List distinct;
    for (Value& item : items) {
      if (std::none_of(distinct.begin(), distinct.end(), [&](const Value& seen) { return equal(seen, item); })) {
        distinct.push_back(std::move(item));
      }
    }
    return Value(std::move(distinct));
  }
  (void)arguments;
  return unsupported("filter", name);
}

bool is_text_filter(std::string_view name) {
  return name == "trim" || name == "upper" || name == "lower" || name == "title" || name == "capitalize" ||
         name == "replace";
}

}  // namespace

const Value& Arguments::get(size_t index, std::string_view name) const {
  static const Value kUndefined;
  if (index < positional.size()) return positional[index];
  for (const auto& [key, value] : named) {
    if (key == name) return value;
  }
  return kUndefined;
}

Result<List> items_of(const Value& value) {
  if (const List* list = value.as_list()) return *list;
  if (value.is_undefined()) return List{};
  List items;
  if (const Text* text = value.as_text()) {
    for (size_t at = 0; at < text->size();) {
      const auto length = static_cast<size_t>(decode_utf8(text->bytes(), at).length);
      items.emplace_back(text->slice(at, length));
      at += length;
    }
    return items;
  }
  if (const Dict* dict = value.as_dict()) {
    for (const auto& [key, unused] : dict->items) items.push_back(Value::text(key));
    return items;
  }
  return wrong_type("for");
}

Result<bool> contains(const Value& haystack, const Value& needle) {
  if (const Text* text = haystack.as_text()) {
    if (needle.as_text() == nullptr) return wrong_type("in");
    return text->bytes().find(needle.as_text()->bytes()) != std::string::npos;
  }
  if (const List* list = haystack.as_list()) {
    return std::any_of(list->begin(), list->end(), [&](const Value& item) { return equal(item, needle); });
  }
  if (const Dict* dict = haystack.as_dict()) {
    return needle.as_text() != nullptr && dict->find(needle.as_text()->bytes()) != nullptr;
  }
  if (haystack.is_undefined()) return false;
  return wrong_type("in");
}

Value member(const Value& object, std::string_view name) {
  if (const Dict* dict = object.as_dict()) {
    const Value* found = dict->find(name);
    return found == nullptr ? Value() : *found;
  }
  int64_t index = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), index);
  if (const List* list = object.as_list();
      list != nullptr && parsed.ec == std::errc() && index >= 0 && static_cast<size_t>(index) < list->size()) {
    return (*list)[static_cast<size_t>(index)];
  }
  return {};
}

Result<Value> apply_filter(std::string_view name, const Value& value, const Arguments& arguments) {
  if (is_text_filter(name)) return text_filter(name, to_text(value), arguments);
  if (name == "length" || name == "count") return length_of(value);
  if (name == "string") return Value(to_text(value));
  if (name == "safe" || name == "e" || name == "escape") {
    return name == "safe" ? Result<Value>(value) : unsupported("filter", name);
  }
  if (name == "default" || name == "d") {
    const bool replaces_falsy = arguments.get(1, "boolean").truthy();
    const bool replaced = value.is_undefined() || (replaces_falsy && !value.truthy());
    if (!replaced) return value;
    const Value& fallback = arguments.get(0, "default_value");
    return fallback.is_undefined() ? Value::text("") : fallback;
  }
  if (name == "tojson") {
    int64_t indent = -1;
    arguments.get(~size_t{0}, "indent").as_int(&indent);
    return Value(to_json_text(value, static_cast<int>(std::min<int64_t>(indent, 16))));
  }
  if (name == "int") return to_int(value, arguments.get(0, "default"));
  if (name == "float") {
    double number = 0;
    return value.as_double(&number) ? Result<Value>(Value(number)) : wrong_type(name);
  }
  if (name == "abs") {
    int64_t i = 0;
    double d = 0;
    if (value.as_int(&i)) return Value(i < 0 && i != INT64_MIN ? -i : i);
    return value.as_double(&d) ? Result<Value>(Value(std::fabs(d))) : wrong_type(name);
  }
  if (name == "join") return join(value, arguments);
  if (name == "items" || name == "dictsort") {
    if (value.as_dict() == nullptr) return wrong_type(name);
    List pairs = pairs_of(*value.as_dict());
    if (name == "dictsort") {
      std::stable_sort(pairs.begin(), pairs.end(), [](const Value& a, const Value& b) {
        return to_text((*a.as_list())[0]).bytes() < to_text((*b.as_list())[0]).bytes();
      });
    }
    return Value(std::move(pairs));
  }
  if (name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr") {
    return select(name, value, arguments);
  }
  if (name == "map") return map_items(value, arguments);
  return list_filter(name, value, arguments);
}

Result<Value> apply_test(std::string_view name, const Value& value, const Arguments& arguments) {
  const Value& other = arguments.get(0, "");
  int64_t a = 0, b = 0;
  if (name == "defined") return Value(!value.is_undefined());
  if (name == "undefined") return Value(value.is_undefined());
  if (name == "none") return Value(value.is_none());
  if (name == "string") return Value(value.as_text() != nullptr);
  if (name == "mapping") return Value(value.as_dict() != nullptr);
  if (name == "sequence" || name == "iterable") {
    return Value(value.as_list() != nullptr || value.as_text() != nullptr || value.as_dict() != nullptr ||
                 value.is_undefined());
  }
  if (name == "boolean") return Value(value.is_bool());
  if (name == "true" || name == "false") {
    return Value(value.is_bool() && value.truthy() == (name == "true"));
  }
  if (name == "integer") return Value(std::holds_alternative<int64_t>(value.data));
  if (name == "float") return Value(std::holds_alternative<double>(value.data));
  if (name == "number") return Value(value.is_number());
  if (name == "callable") return Value(std::holds_alternative<Function>(value.data));
  if (name == "equalto" || name == "eq" || name == "sameas") return Value(equal(value, other));
  if (name == "ne") return Value(!equal(value, other));
  if (name == "in") {
    PHIAL_TRY(const bool found, contains(other, value));
    return Value(found);
  }
  if (name == "odd" || name == "even" || name == "divisibleby") {
    if (!value.as_int(&a)) return wrong_type(name);
    if (name != "divisibleby") return Value((a % 2 != 0) == (name == "odd"));
    if (!other.as_int(&b) || b == 0) return wrong_type(name);
    return Value(b == -1 || a % b == 0);
  }
  if (name == "lower" || name == "upper") {
    const Text text = to_text(value);
    return Value(equal(Value(with_case(text, name == "lower" ? Case::kLower : Case::kUpper)), Value(text)));
  }
  return unsupported("test", name);
}

Result<Value> call_method(std::string_view name, const Value& object, const Arguments& arguments) {
  if (const Dict* dict = object.as_dict()) {
    if (name == "items") return Value(pairs_of(*dict));
    if (name == "keys") {
      PHIAL_TRY(List keys, items_of(object));
      return Value(std::move(keys));
    }
    if (name == "values") {
      List values;
      for (const auto& [unused, value] : dict->items) values.push_back(value);
      return Value(std::move(values));
    }
    if (name == "get") {
      const Text* key = arguments.get(0, "key").as_text();
      const Value* found = key == nullptr ? nullptr : dict->find(key->bytes());
      if (found != nullptr) return *found;
      return arguments.positional.size() > 1 ? arguments.positional[1] : Value::none();
    }
  }
  const Text* text = object.as_text();
  if (text == nullptr) return unsupported("method", name);
  const Text* first = arguments.get(0, "").as_text();
  if (name == "strip") return Value(strip(*text, Side::kBoth, first));
  if (name == "lstrip") return Value(strip(*text, Side::kLeft, first));
  if (name == "rstrip") return Value(strip(*text, Side::kRight, first));
  if (name == "split") {
    int64_t limit = -1;
    arguments.get(1, "maxsplit").as_int(&limit);
    if (first != nullptr && first->size() == 0) return wrong_type(name);
    return Value(split(*text, first, limit));
  }
  if (name == "startswith" || name == "endswith") {
    PHIAL_TRY(const List choices, arguments.get(0, "").as_list() != nullptr ? items_of(arguments.get(0, ""))
                                                                            : Result<List>(List{arguments.get(0, "")}));
    for (const Value& choice : choices) {
      if (choice.as_text() == nullptr) return wrong_type(name);
      const std::string& affix = choice.as_text()->bytes();
      if (name == "startswith" ? text->bytes().starts_with(affix) : text->bytes().ends_with(affix)) return Value(true);
    }
    return Value(false);
  }
  if (name == "find") {
    if (first == nullptr) return wrong_type(name);
    const size_t at = text->bytes().find(first->bytes());
    if (at == std::string::npos) return Value(static_cast<int64_t>(-1));
    return Value(static_cast<int64_t>(count_characters(std::string_view(text->bytes()).substr(0, at))));
  }
  if (is_text_filter(name) && name != "trim") return text_filter(name, *text, arguments);
  return unsupported("method", name);
}

}  // namespace phial::generate::jinja

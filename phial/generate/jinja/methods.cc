// Methods of strings, dictionaries and lists. What would change its object is refused, as Hugging Face's sandbox does.

#include <algorithm>
#include <array>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/generate/jinja/builtins.h"

namespace phial::generate::jinja {
namespace {

constexpr std::array<std::string_view, 20> kTextMethods = {
    "capitalize", "count",      "endswith",     "find",         "isdigit", "isspace", "join",
    "lower",      "lstrip",     "removeprefix", "removesuffix", "replace", "rsplit",  "rstrip",
    "split",      "splitlines", "startswith",   "strip",        "title",   "upper"};
constexpr std::array<std::string_view, 5> kOfDict = {"copy", "get", "items", "keys", "values"};
constexpr std::array<std::string_view, 5> kOfList = {"append", "count", "extend", "index", "insert"};

Error wants(std::string_view method, std::string_view what) {
  return {Code::kInvalid, std::string(method) + "() takes " + std::string(what), ""};
}

// Strings at position `at`, or nothing: None counts as left out.
Result<const Text*> text_argument(const Arguments& arguments, size_t at, std::string_view name,
                                  std::string_view method) {
  const Value* value = arguments.find(at, name);
  if (!value || value->is_none()) return nullptr;
  if (!value->text()) return wants(method, "a string, not a " + std::string(value->type_name()));
  return value->text();
}

Result<Value> split_at_space(const Text& text, int64_t limit, bool from_right) {
  const std::string& bytes = text.bytes;
  std::vector<TextRange> parts;
  TextRange rest = strip(bytes, "", true, true);
  while (rest.start < rest.end) {
    const std::vector<size_t> at = positions(std::string_view(bytes).substr(rest.start, rest.end - rest.start));
    const auto is_space = [&](size_t i) { return is_python_space(decode_utf8(bytes, rest.start + at[i]).code_point); };
    if (limit == 0) {
      parts.push_back(rest);
      break;
    }
    if (from_right) {
      size_t i = at.size() - 1;
      while (i > 0 && !is_space(i - 1)) --i;
      parts.push_back({rest.start + at[i], rest.end});
      rest.end = rest.start + at[i];
      rest.end =
          rest.start + strip(std::string_view(bytes).substr(rest.start, rest.end - rest.start), "", false, true).end;
      if (limit > 0) --limit;
      continue;
    }
    // From the left every part can be cut in one pass.
    size_t i = 0;
    while (i + 1 < at.size() && limit != 0) {
      size_t end = i;
      while (end + 1 < at.size() && !is_space(end)) ++end;
      parts.push_back({rest.start + at[i], rest.start + at[end]});
      while (end + 1 < at.size() && is_space(end)) ++end;
      i = end;
      if (limit > 0) --limit;
    }
    if (i + 1 < at.size()) parts.push_back({rest.start + at[i], rest.end});
    break;
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const TextRange& part : parts) items.push_back(Value::of(text.part(part.start, part.end)));
  return make_list(std::move(items));
}

Result<Value> split(Interpreter& interpreter, const Text& text, std::string_view method, const Arguments& arguments) {
  const bool from_right = method == "rsplit";
  int64_t limit = -1;
  if (const Value* given = arguments.find(1, "maxsplit"); given && !given->as_integer(limit)) {
    return wants(method, "a number of splits");
  }
  PHIAL_CHECKED(interpreter.spend(text.bytes.size() * 2));
  PHIAL_TRY(const Text* separator, text_argument(arguments, 0, "sep", method));
  if (!separator) {
    // From the right each part costs a pass over the text.
    if (from_right && limit != 0) {
      PHIAL_CHECKED(interpreter.spend(
          text.bytes.size() *
          (limit < 0 ? text.bytes.size() / 2 : static_cast<uint64_t>(std::min<int64_t>(limit, 1 << 20)))));
    }
    return split_at_space(text, limit, from_right);
  }
  const std::string& between = separator->bytes;
  if (between.empty()) return wants(method, "a separator that is not empty");
  std::vector<Value> items;
  size_t start = 0, end = text.bytes.size();
  for (; limit != 0; limit -= limit > 0 ? 1 : 0) {
    PHIAL_CHECKED(interpreter.spend(2 * kWeightOfValue));
    size_t found = std::string::npos;
    if (!from_right) {
      found = text.bytes.find(between, start);
    } else if (end >= between.size()) {
      found = text.bytes.rfind(between, end - between.size());
    }
    if (found == std::string::npos) break;
    items.push_back(Value::of(from_right ? text.part(found + between.size(), end) : text.part(start, found)));
    (from_right ? end : start) = from_right ? found : found + between.size();
  }
  items.push_back(Value::of(text.part(start, end)));
  if (from_right) std::reverse(items.begin(), items.end());
  return make_list(std::move(items));
}

Result<Value> splitlines(const Text& text) {
  std::vector<Value> items;
  size_t start = 0;
  for (size_t at = 0; at < text.bytes.size(); ++at) {
    if (text.bytes[at] != '\n' && text.bytes[at] != '\r') continue;
    items.push_back(Value::of(text.part(start, at)));
    if (text.bytes.compare(at, 2, "\r\n") == 0) ++at;
    start = at + 1;
  }
  if (start < text.bytes.size()) items.push_back(Value::of(text.part(start, text.bytes.size())));
  return make_list(std::move(items));
}

// startswith, endswith: a string, or a tuple of several.
Result<Value> has_affix(const Text& text, std::string_view method, const Arguments& arguments) {
  const auto holds = [&](const Text& affix) {
    return method == "startswith" ? text.bytes.starts_with(affix.bytes) : text.bytes.ends_with(affix.bytes);
  };
  if (arguments.positional.size() != 1) return wants(method, "one string or tuple of strings");
  const Value& affix = arguments.positional[0];
  if (affix.text()) return Value::of(holds(*affix.text()));
  if (!affix.list()) return wants(method, "a string, not a " + std::string(affix.type_name()));
  const auto& all = affix.list()->items;
  return Value::of(std::any_of(all.begin(), all.end(), [&](const Value& v) { return v.text() && holds(*v.text()); }));
}

Value count_or_find(const Text& text, std::string_view method, const Text& part) {
  if (method == "find") {
    const size_t at = text.bytes.find(part.bytes);
    if (at == std::string::npos) return Value::of(int64_t{-1});
    return Value::of(static_cast<int64_t>(code_points(std::string_view(text.bytes).substr(0, at))));
  }
  if (part.bytes.empty()) return Value::of(static_cast<int64_t>(code_points(text.bytes)) + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = text.bytes.find(part.bytes, at)) != std::string::npos; at += part.bytes.size()) ++count;
  return Value::of(count);
}

bool consists_of(const Text& text, std::string_view method) {
  if (text.bytes.empty()) return false;
  for (size_t at = 0; at < text.bytes.size();) {
    const DecodedChar c = decode_utf8(text.bytes, at);
    const bool fits = method == "isspace" ? is_python_space(c.code_point) : c.code_point >= '0' && c.code_point <= '9';
    if (!fits) return false;
    at += static_cast<size_t>(c.length);
  }
  return true;
}

Result<Value> text_method(Interpreter& interpreter, const Text& text, std::string_view method,
                          const Arguments& arguments) {
  PHIAL_CHECKED(interpreter.spend(text.bytes.size()));
  if (method == "strip" || method == "lstrip" || method == "rstrip") {
    PHIAL_TRY(const Text* characters, text_argument(arguments, 0, "chars", method));
    const TextRange left = strip(text.bytes, characters ? std::string_view(characters->bytes) : std::string_view(),
                                 method != "rstrip", method != "lstrip");
    return Value::of(text.part(left.start, left.end));
  }
  if (method == "split" || method == "rsplit") return split(interpreter, text, method, arguments);
  if (method == "splitlines") return splitlines(text);
  if (method == "startswith" || method == "endswith") return has_affix(text, method, arguments);
  if (method == "isspace" || method == "isdigit") return Value::of(consists_of(text, method));
  if (method == "upper" || method == "lower" || method == "title" || method == "capitalize") {
    PHIAL_TRY(Text changed, change_case(text, method));
    return Value::of(std::move(changed));
  }
  if (method == "join") {
    if (arguments.positional.size() != 1) return wants(method, "one list of strings");
    PHIAL_TRY(const auto items, elements(interpreter, arguments.positional[0]));
    for (const Value& item : items) {
      if (!item.text()) return wants(method, "strings, not a " + std::string(item.type_name()));
    }
    PHIAL_TRY(Text joined, join(interpreter, text, items));
    return Value::of(std::move(joined));
  }
  PHIAL_TRY(const Text* first, text_argument(arguments, 0, "", method));
  if (!first) return wants(method, "a string");
  if (method == "count" || method == "find") return count_or_find(text, method, *first);
  if (method == "removeprefix") {
    return Value::of(text.part(text.bytes.starts_with(first->bytes) ? first->bytes.size() : 0, text.bytes.size()));
  }
  if (method == "removesuffix") {
    return Value::of(text.part(0, text.bytes.size() - (text.bytes.ends_with(first->bytes) ? first->bytes.size() : 0)));
  }
  PHIAL_TRY(const Text* second, text_argument(arguments, 1, "", method));  // replace
  if (!second) return wants(method, "two strings");
  int64_t count = -1;
  if (const Value* given = arguments.find(2, "count")) given->as_integer(count);
  PHIAL_TRY(Text replaced, replace(interpreter, text, *first, *second, count));
  return Value::of(std::move(replaced));
}

Result<Value> dict_method(Interpreter& interpreter, const Value& self, std::string_view method,
                          const Arguments& arguments) {
  const Dict& dict = *self.dict();
  PHIAL_CHECKED(interpreter.spend(dict.items.size() * 4 * kWeightOfValue));
  if (method == "copy") return self;
  if (method == "get") {
    const Value* key = arguments.find(0, "key");
    if (!key) return wants(method, "a key");
    if (const Value* value = dict.find(*key)) return *value;
    const Value* standard = arguments.find(1, "default");
    return standard ? *standard : Value::none();
  }
  std::vector<Value> items;
  for (const auto& [key, value] : dict.items) {
    if (method == "items") {
      PHIAL_TRY(Value pair, make_list({key, value}, true));
      items.push_back(std::move(pair));
    } else {
      items.push_back(method == "keys" ? key : value);
    }
  }
  return make_list(std::move(items));
}

Result<Value> list_method(Interpreter& interpreter, const List& list, std::string_view method,
                          const Arguments& arguments) {
  if (method != "count" && method != "index") {
    return Error{Code::kUnsupported, "a template may not change a list (" + std::string(method) + ")", ""};
  }
  if (arguments.positional.size() != 1) return wants(method, "one value");
  PHIAL_CHECKED(interpreter.spend(list.weight));
  const Value& wanted = arguments.positional[0];
  const auto same = [&](const Value& item) { return equal(item, wanted); };
  if (method == "count") {
    return Value::of(static_cast<int64_t>(std::count_if(list.items.begin(), list.items.end(), same)));
  }
  const auto found = std::find_if(list.items.begin(), list.items.end(), same);
  if (found == list.items.end()) return Error{Code::kInvalid, "index(): the value is not in the list", ""};
  return Value::of(static_cast<int64_t>(found - list.items.begin()));
}

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool has_method(const Value& value, std::string_view name) {
  if (value.text()) return is_one_of(kTextMethods, name);
  if (value.dict()) return is_one_of(kOfDict, name);
  return value.list() && is_one_of(kOfList, name);
}

Result<Value> call_method(Interpreter& interpreter, const Value& self, std::string_view name,
                          const Arguments& arguments) {
  if (self.text()) return text_method(interpreter, *self.text(), name, arguments);
  if (self.dict()) return dict_method(interpreter, self, name, arguments);
  return list_method(interpreter, *self.list(), name, arguments);
}

}  // namespace phial::generate::jinja

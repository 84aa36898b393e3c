#include "phial/generate/jinja_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "phial/base/utf8.h"

namespace phial::generate::jinja {
namespace {

Text plain(std::string_view s) { return Text(std::string(s), false); }

std::string spell_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// `text` between quotes with its special characters escaped: in Python's way or in JSON's.
Text quoted(const Text& text, char quote, bool json) {
  Text out = plain(std::string(1, quote));
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    const bool is_data = text.is_data(i);
    const auto escape = [&](const char* spelled) { out.append(Text(spelled, is_data)); };
    if (c == quote || c == '\\') {
      out.append(Text(std::string{'\\', c}, is_data));
    } else if (c == '\n') {
      escape("\\n");
    } else if (c == '\t') {
      escape("\\t");
    } else if (c == '\r') {
      escape("\\r");
    } else if (json && c == '\b') {
      escape("\\b");
    } else if (json && c == '\f') {
      escape("\\f");
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr char kHex[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      std::string spelled = json ? "\\u00" : "\\x";
      spelled.push_back(kHex[byte >> 4]);
      spelled.push_back(kHex[byte & 15]);
      out.append(Text(std::move(spelled), is_data));
    } else {
      out.append(text.slice(i, 1));
    }
  }
  out.append(plain(std::string(1, quote)));
  return out;
}

Text spelled_scalar(const Value& value, const char* none, const char* yes, const char* no) {
  if (value.is_none()) return plain(none);
  if (const bool* b = std::get_if<bool>(&value.data)) return plain(*b ? yes : no);
  if (const int64_t* i = std::get_if<int64_t>(&value.data)) return plain(std::to_string(*i));
  if (const double* d = std::get_if<double>(&value.data)) return plain(spell_double(*d));
  return {};
}

}  // namespace

const Value* Dict::find(std::string_view key) const {
  for (const auto& [name, value] : items) {
    if (name == key) return &value;
  }
  return nullptr;
}

void Dict::set(std::string_view key, Value value) {
  for (auto& [name, old] : items) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  items.emplace_back(std::string(key), std::move(value));
}

Value::Value(List l) : nesting(1) {
  for (const Value& item : l) nesting = std::max(nesting, item.nesting + 1);
  data = std::make_shared<const List>(std::move(l));
}
Value::Value(Dict d) : nesting(1) {
  for (const auto& [key, item] : d.items) nesting = std::max(nesting, item.nesting + 1);
  data = std::make_shared<const Dict>(std::move(d));
}

const Text* Value::as_text() const {
  const auto* p = std::get_if<std::shared_ptr<const Text>>(&data);
  return p == nullptr ? nullptr : p->get();
}
const List* Value::as_list() const {
  const auto* p = std::get_if<std::shared_ptr<const List>>(&data);
  return p == nullptr ? nullptr : p->get();
}
Dict* Value::as_namespace() const {
  const auto* p = std::get_if<std::shared_ptr<Dict>>(&data);
  return p == nullptr ? nullptr : p->get();
}
const Dict* Value::as_dict() const {
  if (const Dict* d = as_namespace()) return d;
  const auto* p = std::get_if<std::shared_ptr<const Dict>>(&data);
  return p == nullptr ? nullptr : p->get();
}
bool Value::as_int(int64_t* value) const {
  if (const bool* b = std::get_if<bool>(&data)) {
    *value = *b ? 1 : 0;
    return true;
  }
  const int64_t* i = std::get_if<int64_t>(&data);
  if (i != nullptr) *value = *i;
  return i != nullptr;
}
bool Value::as_double(double* value) const {
  int64_t i = 0;
  if (as_int(&i)) {
    *value = static_cast<double>(i);
    return true;
  }
  const double* d = std::get_if<double>(&data);
  if (d != nullptr) *value = *d;
  return d != nullptr;
}
bool Value::is_number() const {
  double unused = 0;
  return as_double(&unused);
}

bool Value::truthy() const {
  double number = 0;
  if (as_double(&number)) return number != 0;
  if (const Text* t = as_text()) return t->size() > 0;
  if (const List* l = as_list()) return !l->empty();
  if (as_namespace() != nullptr) return true;
  if (const Dict* d = as_dict()) return !d->items.empty();
  return !is_undefined() && !is_none();
}

bool equal(const Value& a, const Value& b) {
  double x = 0, y = 0;
  if (a.as_double(&x) && b.as_double(&y)) return x == y;
  if (a.as_text() != nullptr && b.as_text() != nullptr) return a.as_text()->bytes() == b.as_text()->bytes();
  if (a.as_list() != nullptr && b.as_list() != nullptr) {
    const List &p = *a.as_list(), &q = *b.as_list();
    if (p.size() != q.size()) return false;
    for (size_t i = 0; i < p.size(); ++i) {
      if (!equal(p[i], q[i])) return false;
    }
    return true;
  }
  if (a.as_dict() != nullptr && b.as_dict() != nullptr) {
    const Dict &p = *a.as_dict(), &q = *b.as_dict();
    if (p.items.size() != q.items.size()) return false;
    for (const auto& [key, value] : p.items) {
      const Value* other = q.find(key);
      if (other == nullptr || !equal(value, *other)) return false;
    }
    return true;
  }
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

Text to_text(const Value& value) {
  if (const Text* text = value.as_text()) return *text;
  if (value.is_undefined()) return {};
  return to_repr(value);
}

Text to_repr(const Value& value) {
  if (const Text* text = value.as_text()) {
    const bool double_quotes =
        text->bytes().find('\'') != std::string::npos && text->bytes().find('"') == std::string::npos;
    return quoted(*text, double_quotes ? '"' : '\'', false);
  }
  if (const List* list = value.as_list()) {
    Text out = plain("[");
    for (size_t i = 0; i < list->size(); ++i) {
      if (i > 0) out.append(plain(", "));
      out.append(to_repr((*list)[i]));
    }
    out.append(plain("]"));
    return out;
  }
  if (const Dict* dict = value.as_dict()) {
    Text out = plain("{");
    for (size_t i = 0; i < dict->items.size(); ++i) {
      if (i > 0) out.append(plain(", "));
      out.append(quoted(plain(dict->items[i].first), '\'', false));
      out.append(plain(": "));
      out.append(to_repr(dict->items[i].second));
    }
    out.append(plain("}"));
    return out;
  }
  if (value.is_undefined()) return plain("Undefined");
  if (const auto* function = std::get_if<Function>(&value.data)) return plain("<function " + function->name + ">");
  return spelled_scalar(value, "None", "True", "False");
}

Text to_json_text(const Value& value, int indent, int level) {
  const auto line = [&](int depth) {
    return indent < 0 ? plain("") : plain("\n" + std::string(static_cast<size_t>(indent * depth), ' '));
  };
  if (const Text* text = value.as_text()) return quoted(*text, '"', true);
  const List* list = value.as_list();
  const Dict* dict = value.as_dict();
  if (list == nullptr && dict == nullptr) return spelled_scalar(value, "null", "true", "false");
  const size_t count = list != nullptr ? list->size() : dict->items.size();
  Text out = plain(list != nullptr ? "[" : "{");
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out.append(plain(indent < 0 ? ", " : ","));
    out.append(line(level + 1));
    if (dict != nullptr) {
      out.append(quoted(plain(dict->items[i].first), '"', true));
      out.append(plain(": "));
    }
    out.append(to_json_text(list != nullptr ? (*list)[i] : dict->items[i].second, indent, level + 1));
  }
  if (count > 0) out.append(line(level));
  out.append(plain(list != nullptr ? "]" : "}"));
  return out;
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) at += static_cast<size_t>(decode_utf8(text, at).length);
  return count;
}

size_t byte_of_character(std::string_view text, size_t index) {
  size_t at = 0;
  while (index-- > 0 && at < text.size()) at += static_cast<size_t>(decode_utf8(text, at).length);
  return at;
}

}  // namespace phial::generate::jinja

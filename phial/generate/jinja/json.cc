// Values as JSON, the way Python's json.dumps() spaces and escapes it. What a message holds stays marked as such.

#include <algorithm>
#include <functional>
#include <string>

#include "phial/base/utf8.h"
#include "phial/generate/jinja/value.h"

namespace phial::generate::jinja {
namespace {

void append_unit(std::string& to, uint32_t unit) {
  constexpr std::string_view kHex = "0123456789abcdef";
  to += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) to += kHex[(unit >> shift) & 15];
}

std::string escape_of(char32_t c, bool ascii_only) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    default:
      break;
  }
  std::string escape;
  if (c < 0x20 || (ascii_only && c >= 0x7F && c < 0x10000)) {
    append_unit(escape, c);
  } else if (ascii_only && c >= 0x10000) {
    append_unit(escape, 0xD800 + ((c - 0x10000) >> 10));
    append_unit(escape, 0xDC00 + ((c - 0x10000) & 0x3FF));
  }
  return escape;
}

class Writer {
 public:
  explicit Writer(const JsonStyle& style) : style_(style) {
    separator_ = !style.item_separator.empty() ? style.item_separator : style.indent >= 0 ? "," : ", ";
  }

  Status write(const Value& value, int level) {
    if (const Text* text = value.text()) {
      write_string(*text);
    } else if (const List* list = value.list()) {
      return write_items("[", "]", list->items.size(), level,
                         [&](size_t i) { return write(list->items[i], level + 1); });
    } else if (const Dict* dict = value.dict()) {
      return write_dict(*dict, level);
    } else if (value.is_none()) {
      result.append("null");
    } else if (const bool* flag = value.boolean()) {
      result.append(*flag ? "true" : "false");
    } else if (value.integer() || value.floating()) {
      PHIAL_TRY(const Text number, to_text(value));
      result.append(number);
    } else {
      return Error{Code::kInvalid, "JSON cannot say a value of type " + std::string(value.type_name()), ""};
    }
    return ok();
  }

  Text result;

 private:
  template <class WriteItem>
  Status write_items(const char* open, const char* close, size_t count, int level, const WriteItem& write_item) {
    result.append(open);
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) result.append(separator_);
      new_line(level + 1);
      PHIAL_CHECKED(write_item(i));
    }
    if (count > 0) new_line(level);
    result.append(close);
    return ok();
  }

  Status write_dict(const Dict& dict, int level) {
    std::vector<std::pair<Text, const Value*>> members;
    for (const auto& [key, value] : dict.items) {
      Text name;
      if (key.is_none()) {
        name.append("null");
      } else if (const bool* flag = key.boolean()) {
        name.append(*flag ? "true" : "false");
      } else {
        PHIAL_TRY(name, to_text(key));
      }
      members.emplace_back(std::move(name), &value);
    }
    if (style_.sort_keys) {
      // Equal names stay in the order of the dictionary, which the values' addresses have.
      std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
        return a.first.bytes != b.first.bytes ? a.first.bytes < b.first.bytes : std::less<>()(a.second, b.second);
      });
    }
    return write_items("{", "}", members.size(), level, [&](size_t i) {
      write_string(members[i].first);
      result.append(style_.key_separator);
      return write(*members[i].second, level + 1);
    });
  }

  void new_line(int level) {
    if (style_.indent < 0) return;
    result.append("\n");
    result.append(std::string(static_cast<size_t>(style_.indent) * static_cast<size_t>(level), ' '));
  }

  void write_string(const Text& text) {
    result.append("\"");
    for (size_t at = 0; at < text.bytes.size();) {
      const DecodedChar c = decode_utf8(text.bytes, at);
      const size_t end = at + static_cast<size_t>(c.length);
      const std::string escape = escape_of(c.code_point, style_.ascii_only);
      if (escape.empty()) {
        result.append(text, at, end);
      } else if (text.is_plain(at)) {
        result.append_plain(escape);
      } else {
        result.append(escape);
      }
      at = end;
    }
    result.append("\"");
  }

  const JsonStyle& style_;
  std::string separator_;
};

}  // namespace

Result<Text> to_json(const Value& value, const JsonStyle& style) {
  Writer writer(style);
  PHIAL_CHECKED(writer.write(value, 0));
  return std::move(writer.result);
}

}  // namespace phial::generate::jinja

#include "phial/base/utf8.h"

#include <algorithm>

namespace phial {
namespace {

struct Lead {
  int length;                             // 0: not a lead byte
  unsigned char low = 0x80, high = 0xBF;  // bounds of the second byte
};

// Table 3-7 of the Unicode standard.
Lead lead(unsigned char c) {
  if (c < 0x80) return {1};
  if (c < 0xC2) return {0};
  if (c < 0xE0) return {2};
  if (c == 0xE0) return {3, 0xA0, 0xBF};
  if (c == 0xED) return {3, 0x80, 0x9F};
  if (c < 0xF0) return {3};
  if (c == 0xF0) return {4, 0x90, 0xBF};
  if (c < 0xF4) return {4};
  if (c == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

bool continues(const Lead& first, int index, unsigned char c) {
  return index == 1 ? c >= first.low && c <= first.high : (c & 0xC0) == 0x80;
}

}  // namespace

DecodedChar decode_utf8(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const Lead first = lead(byte(at));
  if (first.length == 1) return {byte(at), 1, true};
  if (first.length == 0) return {};
  char32_t code_point = byte(at) & (0xFF >> (first.length + 1));
  for (int i = 1; i < first.length; ++i) {
    const size_t next = at + static_cast<size_t>(i);
    if (next >= text.size() || !continues(first, i, byte(next))) return {kReplacement, i, false};
    code_point = (code_point << 6) | (byte(next) & 0x3F);
  }
  return {code_point, first.length, true};
}

bool is_valid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const DecodedChar c = decode_utf8(text, at);
    if (!c.valid) return false;
    at += static_cast<size_t>(c.length);
  }
  return true;
}

void append_utf8(std::string& to, char32_t c) {
  const auto put = [&](char32_t byte) { to.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::string repair_utf8(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const DecodedChar c = decode_utf8(text, at);
    if (c.valid) {
      repaired.append(text.substr(at, static_cast<size_t>(c.length)));
    } else {
      append_utf8(repaired, kReplacement);
    }
    at += static_cast<size_t>(c.length);
  }
  return repaired;
}

std::string printable(std::string_view text, size_t max_bytes) {
  const auto is_control = [](char32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200E && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);  // line ends and marks that turn the reading direction
  };
  std::string shown;
  for (size_t at = 0; at < text.size();) {
    const DecodedChar c = decode_utf8(text, at);
    if (at + static_cast<size_t>(c.length) > max_bytes) return shown + "\u2026";
    if (c.valid && is_control(c.code_point)) {
      for (const char byte : text.substr(at, static_cast<size_t>(c.length))) {
        constexpr char kDigits[] = "0123456789abcdef";
        const auto value = static_cast<unsigned char>(byte);
        shown.append("\\x").push_back(kDigits[value >> 4]);
        shown.push_back(kDigits[value & 15]);
      }
    } else {
      append_utf8(shown, c.valid ? c.code_point : kReplacement);
    }
    at += static_cast<size_t>(c.length);
  }
  return shown;
}

size_t whole_utf8_prefix(std::string_view text) {
  // Only the last three bytes can belong to a character that is still incomplete.
  const size_t from = text.size() - std::min<size_t>(text.size(), 3);
  for (size_t at = from; at < text.size(); ++at) {
    const Lead first = lead(static_cast<unsigned char>(text[at]));
    if (first.length < 2 || at + static_cast<size_t>(first.length) <= text.size()) continue;
    bool may_grow = true;
    for (size_t i = at + 1; i < text.size(); ++i) {
      may_grow = may_grow && continues(first, static_cast<int>(i - at), static_cast<unsigned char>(text[i]));
    }
    if (may_grow) return at;
  }
  return text.size();
}

size_t utf8_floor(std::string_view text, size_t at) {
  at = std::min(at, text.size());
  const size_t lowest = at - std::min<size_t>(at, 3);
  for (size_t start = at; start > lowest;) {
    --start;
    const DecodedChar c = decode_utf8(text, start);
    if (c.valid) return start + static_cast<size_t>(c.length) > at ? start : at;
  }
  return at;
}

std::string in_quotes(std::string_view text) { return "'" + printable(text) + "'"; }

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

}  // namespace phial

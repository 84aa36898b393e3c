#include "phial/tokenizer/charsmap.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

#include "phial/base/bytes.h"
#include "phial/base/utf8.h"

namespace phial::tokenizer {

Result<Charsmap> Charsmap::make(std::string_view bytes) {
  Charsmap map;
  if (bytes.empty()) return map;
  Reader in(std::as_bytes(std::span(bytes)));
  PHIAL_TRY(const uint32_t trie_bytes, in.u32());
  if (trie_bytes % 4 != 0 || trie_bytes > in.left()) {
    return Error{Code::kCorrupt,
                 "the character map promises a trie of " + std::to_string(trie_bytes) + " bytes, " +
                     std::to_string(in.left()) + " are left",
                 "get the tokenizer again"};
  }
  PHIAL_TRY(const auto units, in.take(trie_bytes));
  map.trie_.resize(units.size() / 4);
  if (!units.empty()) std::memcpy(map.trie_.data(), units.data(), units.size());
  PHIAL_TRY(const std::string_view rest, in.text(in.left()));
  map.replacements_ = rest;
  return map;
}

Charsmap::Match Charsmap::find(std::string_view text, bool shortest) const {
  Match match;
  if (trie_.empty()) return match;
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & 0x200U) >> 6); };
  size_t node = offset(trie_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= trie_.size()) break;
    const uint32_t unit = trie_[node];
    if ((unit & 0x800000FFU) != byte) break;
    node ^= offset(unit);
    if (((unit >> 8) & 1) == 0) continue;
    if (node >= trie_.size()) break;
    match = {i + 1, trie_[node] & 0x7FFFFFFFU};
    if (shortest) break;
  }
  return match;
}

std::optional<std::string_view> Charsmap::replacement(uint32_t value) const {
  if (value >= replacements_.size()) return std::nullopt;
  const size_t end = replacements_.find('\0', value);
  if (end == std::string::npos) return std::nullopt;
  return std::string_view(replacements_).substr(value, end - value);
}

std::string Charsmap::apply_longest(std::string_view text) const {
  std::string mapped;
  mapped.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Match match = longest(text.substr(at));
    const auto to = match.length > 0 ? replacement(match.value) : std::nullopt;
    const size_t length = to ? match.length : static_cast<size_t>(decode_utf8(text, at).length);
    mapped.append(to ? *to : text.substr(at, length));
    at += length;
  }
  return mapped;
}

void Charsmap::append_grapheme(std::string_view grapheme, std::string& to) const {
  const auto replaced = [&](std::string_view part) {
    const Match match = find(part, /*shortest=*/true);
    const auto with = match.length > 0 ? replacement(match.value) : std::nullopt;
    if (with) to.append(*with);
    return with.has_value();
  };
  constexpr size_t kShort = 6;  // bytes
  if (grapheme.size() < kShort && replaced(grapheme)) return;
  for (size_t at = 0; at < grapheme.size();) {
    const std::string_view part = grapheme.substr(at, static_cast<size_t>(decode_utf8(grapheme, at).length));
    if (!replaced(part)) to.append(part);
    at += part.size();
  }
}

std::string Charsmap::apply_by_grapheme(std::string_view text) const {
  std::string mapped;
  mapped.reserve(text.size());
  size_t start = 0;
  char32_t previous = 0;
  utf8proc_int32_t state = 0;
  for (size_t at = 0; at < text.size();) {
    const DecodedChar c = decode_utf8(text, at);
    if (at > start && utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(previous),
                                                       static_cast<utf8proc_int32_t>(c.code_point), &state)) {
      append_grapheme(text.substr(start, at - start), mapped);
      start = at;
      state = 0;
    }
    previous = c.code_point;
    at += static_cast<size_t>(c.length);
  }
  if (start < text.size()) append_grapheme(text.substr(start), mapped);
  return mapped;
}

Result<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  int n_bits = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0) {
      return Error{Code::kCorrupt,
                   "a text that should be base64 holds the byte " + std::to_string(static_cast<unsigned char>(c)),
                   "get the tokenizer again"};
    }
    bits = (bits << 6) | static_cast<uint32_t>(value);
    n_bits += 6;
    if (n_bits >= 8) {
      n_bits -= 8;
      bytes.push_back(static_cast<char>((bits >> n_bits) & 0xFF));
    }
  }
  return bytes;
}

std::string encode_base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t bits = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    for (size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    for (size_t i = 0; i < 4; ++i) text.push_back(i <= count ? kDigits[bits >> (18 - 6 * i) & 63] : '=');
  }
  return text;
}

}  // namespace phial::tokenizer

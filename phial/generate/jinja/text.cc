#include "phial/generate/jinja/text.h"

#include <algorithm>

#include "phial/base/utf8.h"

namespace phial::generate::jinja {
namespace {

void add_range(std::vector<TextRange>& ranges, size_t start, size_t end) {
  if (start >= end) return;
  if (!ranges.empty() && ranges.back().end == start) {
    ranges.back().end = end;
  } else {
    ranges.push_back({start, end});
  }
}

auto first_ending_after(const std::vector<TextRange>& ranges, size_t at) {
  return std::partition_point(ranges.begin(), ranges.end(), [&](const TextRange& r) { return r.end <= at; });
}

}  // namespace

void Text::append_plain(std::string_view foreign) {
  add_range(plain, bytes.size(), bytes.size() + foreign.size());
  bytes += foreign;
}

void Text::append(const Text& other, size_t start, size_t end) {
  const size_t at = bytes.size();
  bytes.append(other.bytes, start, end - start);
  for (auto r = first_ending_after(other.plain, start); r != other.plain.end() && r->start < end; ++r) {
    add_range(plain, std::max(r->start, start) - start + at, std::min(r->end, end) - start + at);
  }
}

Text Text::part(size_t start, size_t end) const {
  Text result;
  if (start < end) result.append(*this, start, end);
  return result;
}

bool Text::is_plain(size_t at) const {
  const auto r = first_ending_after(plain, at);
  return r != plain.end() && r->start <= at;
}

bool is_python_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

size_t code_points(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += static_cast<size_t>(decode_utf8(text, at).length)) ++count;
  return count;
}

std::vector<size_t> positions(std::string_view text) {
  std::vector<size_t> starts;
  starts.reserve(text.size() + 1);
  for (size_t at = 0; at < text.size(); at += static_cast<size_t>(decode_utf8(text, at).length)) starts.push_back(at);
  starts.push_back(text.size());
  return starts;
}

TextRange strip(std::string_view text, std::string_view characters, bool left, bool right) {
  const auto drops = [&](std::string_view one) {
    return characters.empty() ? is_python_space(decode_utf8(one, 0).code_point)
                              : characters.find(one) != std::string_view::npos;
  };
  size_t start = 0, end = text.size();
  while (left && start < end) {
    const auto length = static_cast<size_t>(decode_utf8(text, start).length);
    if (!drops(text.substr(start, length))) break;
    start += length;
  }
  while (right && start < end) {
    size_t last = end - 1;
    while (last > start && (static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
    if (!drops(text.substr(last, end - last))) break;
    end = last;
  }
  return {start, end};
}

}  // namespace phial::generate::jinja

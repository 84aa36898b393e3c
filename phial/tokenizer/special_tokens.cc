#include "phial/tokenizer/special_tokens.h"

#include <algorithm>

#include "phial/base/utf8.h"
#include "phial/tokenizer/unicode.h"

namespace phial::tokenizer {
namespace {

unsigned char first_byte(const AddedToken& added) { return static_cast<unsigned char>(added.token.text.front()); }

// Where white space that ends at `end` begins, not before `floor`.
size_t space_before(std::string_view text, size_t floor, size_t end) {
  while (end > floor) {
    size_t start = end - 1;
    while (start > floor && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    const Char c = classify(text, start);
    if (start + c.length != end || !is_space(c.kind)) break;
    end = start;
  }
  return end;
}

size_t space_after(std::string_view text, size_t at) {
  while (at < text.size()) {
    const Char c = classify(text, at);
    if (!is_space(c.kind)) break;
    at += c.length;
  }
  return at;
}

bool touches_word(std::string_view text, size_t start, size_t end) {
  const auto in_word = [](CharKind kind) { return kind == CharKind::kLetter || kind == CharKind::kNumber; };
  if (end < text.size() && (in_word(classify(text, end).kind) || text[end] == '_')) return true;
  if (start == 0) return false;
  size_t before = start - 1;
  while (before > 0 && (static_cast<unsigned char>(text[before]) & 0xC0) == 0x80) --before;
  return in_word(classify(text, before).kind) || text[before] == '_';
}

// Whether [start, end) has a byte in one of the ranges.
bool touches(std::span<const TextRange> ranges, size_t start, size_t end) {
  const auto after =
      std::partition_point(ranges.begin(), ranges.end(), [&](const TextRange& r) { return r.end <= start; });
  return after != ranges.end() && after->start < end;
}

}  // namespace

SpecialTokens::SpecialTokens(std::vector<AddedToken> added) : added_(std::move(added)) {
  std::erase_if(added_, [](const AddedToken& a) { return a.token.text.empty(); });
  for (const AddedToken& a : added_) {
    if (!a.is_plain) specials_.push_back(a.token);
    any_plain_ = any_plain_ || a.is_plain;
  }
  std::sort(added_.begin(), added_.end(), [](const AddedToken& a, const AddedToken& b) {
    if (first_byte(a) != first_byte(b)) return first_byte(a) < first_byte(b);
    if (a.token.text.size() != b.token.text.size()) return a.token.text.size() > b.token.text.size();
    return a.token.id < b.token.id;
  });
  uint32_t at = 0;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    first_of_byte_[byte] = at;
    while (at < added_.size() && first_byte(added_[at]) == byte) ++at;
  }
  first_of_byte_[256] = at;
}

const AddedToken* SpecialTokens::match(std::string_view text, size_t at, const EncodeOptions& options) const {
  const auto byte = static_cast<unsigned char>(text[at]);
  for (uint32_t i = first_of_byte_[byte]; i < first_of_byte_[byte + 1]; ++i) {
    const AddedToken& added = added_[i];
    if (!options.parse_special && !added.is_plain) continue;
    if (text.compare(at, added.token.text.size(), added.token.text) != 0) continue;
    const size_t end = at + added.token.text.size();
    if (!added.is_plain && touches(options.plain_ranges, at, end)) continue;
    if (added.single_word && touches_word(text, at, end)) continue;
    return &added;
  }
  return nullptr;
}

std::vector<SpecialTokens::Segment> SpecialTokens::split(std::string_view text, const EncodeOptions& options) const {
  std::vector<Segment> segments;
  const auto plain = [&](size_t from, size_t to) {
    if (to > from) segments.push_back({text.substr(from, to - from), -1});
  };
  if (!(options.parse_special ? !added_.empty() : any_plain_)) {
    plain(0, text.size());
    return segments;
  }
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken* added = match(text, at, options);
    if (added == nullptr) {
      ++at;
      continue;
    }
    size_t end = at + added->token.text.size();
    plain(done, added->token.lstrip ? space_before(text, done, at) : at);
    if (added->token.rstrip) end = space_after(text, end);
    segments.push_back({text.substr(at, end - at), added->token.id});
    done = at = end;
  }
  plain(done, text.size());
  return segments;
}

}  // namespace phial::tokenizer

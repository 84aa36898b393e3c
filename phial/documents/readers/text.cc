// Plain text: blocks are what blank lines separate; the lines stay as they are, since in a plain file they may mean
// something. A line alone that is numbered, in capitals or underlined is taken for a heading.
#include <algorithm>
#include <vector>

#include "phial/base/utf8.h"
#include "phial/documents/charset.h"
#include "phial/documents/readers/readers.h"

namespace phial::documents {
namespace {

constexpr size_t kLongestTitle = 80;

std::string_view without_margins(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t\r\f");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r\f") - first + 1);
}

bool is_underline(std::string_view line) {
  return line.size() >= 3 && (line[0] == '=' || line[0] == '-' || line[0] == '~') &&
         line.find_first_not_of(line[0]) == std::string_view::npos;
}

// Levels named by "2.", "2.3", "2.3.1 ...": 0 if the line does not begin so.
int numbered_level(std::string_view line) {
  int parts = 0;
  size_t at = 0;
  while (at < line.size() && line[at] >= '0' && line[at] <= '9') {
    const size_t digits = at;
    while (at < line.size() && line[at] >= '0' && line[at] <= '9') ++at;
    if (at - digits > 3) return 0;
    ++parts;
    if (at >= line.size() || line[at] != '.') break;
    ++at;
  }
  const bool named = parts > 0 && at + 1 < line.size() && line[at] == ' ';
  const size_t word = named ? line.find_first_not_of(' ', at) : std::string_view::npos;
  const bool starts_a_title = word != std::string_view::npos && !(line[word] >= 'a' && line[word] <= 'z');
  return starts_a_title ? std::min(parts, 6) : 0;
}

bool in_capitals(std::string_view line) {
  int capitals = 0;
  for (const char c : line) {
    if (c >= 'a' && c <= 'z') return false;
    capitals += c >= 'A' && c <= 'Z' ? 1 : 0;
  }
  return capitals >= 4;
}

// Of a line that stands alone; 0: it is none.
int heading_level(std::string_view line) {
  if (line.empty() || line.size() > kLongestTitle) return 0;
  const char last = line.back();
  if (last == '.' || last == ',' || last == ';' || last == '!' || last == '?') return 0;
  if (const int level = numbered_level(line); level > 0) return level;
  return in_capitals(line) ? 1 : 0;
}

// `raw` without the white space that all of its lines begin with.
std::string dedented(std::string_view raw) {
  size_t indent = raw.size();
  const auto each_line = [&](const auto& visit) {
    for (size_t at = 0; at < raw.size();) {
      const size_t end = std::min(raw.find('\n', at), raw.size());
      visit(raw.substr(at, end - at));
      at = end + 1;
    }
  };
  each_line([&](std::string_view line) { indent = std::min(indent, std::min(line.find_first_not_of(" \t"), indent)); });
  std::string text;
  each_line([&](std::string_view line) { text.append(line.substr(std::min(indent, line.size()))).push_back('\n'); });
  return text;
}

void add_block(DocumentBuilder& builder, std::string_view raw, const std::vector<std::string_view>& lines) {
  if (lines.size() == 1) {
    const int level = heading_level(lines[0]);
    builder.add({level > 0 ? BlockKind::kHeading : BlockKind::kParagraph, level}, lines[0]);
    return;
  }
  if (lines.size() >= 2 && lines[0].size() <= kLongestTitle && is_underline(lines[1])) {
    builder.add({BlockKind::kHeading, lines[1][0] == '=' ? 1 : 2}, lines[0]);
    const size_t rest = static_cast<size_t>(lines[1].data() + lines[1].size() - raw.data());
    builder.add({}, dedented(raw.substr(rest)), WhiteSpace::kKeep);
    return;
  }
  builder.add({}, dedented(raw), WhiteSpace::kKeep);
}

}  // namespace

Status read_text(ReaderJob& job) {
  PHIAL_TRY(const DecodedText decoded, to_utf8(job.source.bytes));
  std::string unified;
  std::string_view text = decoded.text;
  if (text.find('\n') == std::string_view::npos) {  // old Macintosh files
    unified = text;
    std::replace(unified.begin(), unified.end(), '\r', '\n');
    text = unified;
  }
  std::vector<std::string_view> lines;
  size_t block = 0;
  for (size_t at = 0; at <= text.size() && !job.builder.full();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = without_margins(text.substr(at, end - at));
    // A form feed begins a page, and with it a block.
    if (!lines.empty() && at < text.size() && text[at] == '\f') {
      add_block(job.builder, text.substr(block, at - block), lines);
      lines.clear();
    }
    if (!line.empty()) {
      if (lines.empty()) block = at;
      lines.push_back(line);
    }
    if (!lines.empty() && (line.empty() || end == text.size())) {
      add_block(job.builder, text.substr(block, end - block), lines);
      lines.clear();
    }
    at = end + 1;
  }
  return ok();
}

}  // namespace phial::documents

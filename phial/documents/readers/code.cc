// Source code: one block for each group of lines that begins at the left margin after a blank line, which is where
// languages with functions, classes and sections put them.
#include <algorithm>

#include "phial/documents/charset.h"
#include "phial/documents/readers/readers.h"

namespace phial::documents {
namespace {

constexpr size_t kLongestBlock = 4000;  // bytes; then the next blank line ends a block wherever it stands

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r\f") == std::string_view::npos; }

// Closing brackets and the like belong to what they close.
bool opens_block(std::string_view line) {
  return !line.empty() && line[0] != ' ' && line[0] != '\t' && line[0] != '}' && line[0] != ')' && line[0] != ']';
}

}  // namespace

Status read_code(ReaderJob& job) {
  PHIAL_TRY(const DecodedText decoded, to_utf8(job.source.bytes));
  const std::string_view text = decoded.text;
  size_t block = 0;
  bool after_blank = false;
  for (size_t at = 0; at < text.size() && !job.builder.full();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    const bool long_enough = at - block > kLongestBlock;
    if (after_blank && !is_blank(line) && (opens_block(line) || long_enough)) {
      job.builder.add({BlockKind::kCode}, text.substr(block, at - block), WhiteSpace::kKeep);
      block = at;
    }
    after_blank = is_blank(line);
    at = end + 1;
  }
  job.builder.add({BlockKind::kCode}, text.substr(block), WhiteSpace::kKeep);
  return ok();
}

}  // namespace phial::documents

// What pages repeat, which paragraphs are headings, and paragraphs as text.
#include <utf8proc.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <span>
#include <unordered_set>

#include "phial/base/utf8.h"
#include "phial/documents/readers/page_direction.h"
#include "phial/documents/readers/page_layout.h"

namespace phial::documents {
namespace {

constexpr float kMargin = 0.17F;         // of the page's height, in which running lines stand
constexpr size_t kLongestHeading = 200;  // bytes
constexpr size_t kMostHeadingWords = 14;

bool is_letter_or_more(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0; }

// The words of the row at the page's edge, from left to right: indices into page.words.
std::vector<size_t> edge_row(const PageOfWords& page, bool top) {
  const auto from_edge = [&](const PageWord& word) { return top ? word.top : page.height - word.bottom; };
  const PageWord* first = nullptr;
  for (size_t i = 0; i < page.words.size(); ++i) {
    const PageWord& word = page.words[i];
    if (word.rotation != 0) continue;
    if (first == nullptr || from_edge(word) < from_edge(*first)) first = &word;
  }
  std::vector<size_t> row;
  if (first == nullptr || from_edge(*first) > kMargin * page.height) return row;
  for (size_t i = 0; i < page.words.size(); ++i) {
    const PageWord& word = page.words[i];
    if (word.rotation == 0 && overlap_share(first->top, first->bottom, word.top, word.bottom) >= 0.5F) {
      row.push_back(i);
    }
  }
  std::sort(row.begin(), row.end(), [&](size_t a, size_t b) { return page.words[a].left < page.words[b].left; });
  return row;
}

bool is_roman(std::string_view word) { return !word.empty() && word.find_first_not_of("ivxlcdm") == word.npos; }

// What a row says, with its numbers made alike: "Page 12 of 50" is "Page # of #".
std::string row_text(const PageOfWords& page, const std::vector<size_t>& row) {
  std::string text;
  if (row.size() == 1 && is_roman(page.words[row[0]].text)) return "#";
  for (const size_t i : row) {
    for (const char c : page.words[i].text) {
      if (c < '0' || c > '9') {
        text.push_back(c);
      } else if (text.empty() || text.back() != '#') {
        text.push_back('#');
      }
    }
    text.push_back(' ');
  }
  return text;
}

// A page number, with at most a short word or two about it. Other lines stay on the first page, since a letterhead
// may stand nowhere else.
bool is_page_number(const std::string& text) {
  const auto letters = std::count_if(text.begin(), text.end(), is_letter_or_more);
  return text.find('#') != std::string::npos && letters <= 8 && text.size() <= 20;
}

struct EdgeRow {
  std::vector<size_t> words;
  std::string text;
  std::string key;    // the same for the same line on other pages
  std::string place;  // of a row that begins or ends with a number, such as a running title with the page's: the same
                      // for all rows there; else empty
};

EdgeRow edge_of(const PageOfWords& page, bool top) {
  EdgeRow edge{edge_row(page, top), {}, {}, {}};
  if (edge.words.empty()) return edge;
  edge.text = row_text(page, edge.words);
  const float y = page.words[edge.words[0]].top;
  edge.key = std::to_string(std::lround(y / 8));
  edge.key.append(top ? "t" : "b");
  if (edge.text.starts_with("# ") || edge.text.ends_with(" # ") || edge.text == "#") edge.place = edge.key;
  edge.key.append(edge.text);
  return edge;
}

// One round of removing: the outermost row of each edge. True if any page lost one.
bool remove_outermost(std::vector<PageOfWords>& pages) {
  std::map<std::string, size_t> seen;
  for (const PageOfWords& page : pages) {
    for (const bool top : {true, false}) {
      const EdgeRow edge = edge_of(page, top);
      if (!edge.words.empty()) ++seen[edge.key];
      if (!edge.place.empty()) ++seen[edge.place];
    }
  }
  const size_t enough = std::max<size_t>(3, pages.size() / 20), most = std::max<size_t>(3, pages.size() / 2);
  bool removed = false;
  for (PageOfWords& page : pages) {
    std::set<size_t> gone;
    for (const bool top : {true, false}) {
      const EdgeRow edge = edge_of(page, top);
      if (edge.words.empty()) continue;
      const bool with_number = !edge.place.empty() && seen[edge.place] >= most;
      if (seen[edge.key] < enough && !with_number) continue;
      if (&page == &pages.front() && !is_page_number(edge.text)) continue;
      gone.insert(edge.words.begin(), edge.words.end());
    }
    removed = removed || !gone.empty();
    for (auto it = gone.rbegin(); it != gone.rend(); ++it)
      page.words.erase(page.words.begin() + static_cast<ptrdiff_t>(*it));
  }
  return removed;
}

std::string plain(const PageParagraph& paragraph) {
  std::string text;
  for (const PageLine& line : paragraph.lines) {
    for (const PageWord& word : line.words) text.append(text.empty() ? "" : " ").append(word.text);
  }
  return text;
}

// For comparing a heading with the outline: letters and digits only, without the number that may lead it.
std::string title_key(std::string_view title) {
  std::string key;
  for (const char c : ascii_lower(title)) {
    const bool digit = c >= '0' && c <= '9';
    if (is_letter_or_more(c) || (digit && !key.empty())) key.push_back(c);
  }
  return key;
}

float body_size(const std::vector<PageParagraph>& paragraphs) {
  std::map<long, size_t> characters;
  for (const PageParagraph& paragraph : paragraphs) {
    for (const PageLine& line : paragraph.lines) {
      for (const PageWord& word : line.words) characters[std::lround(word.size * 4)] += word.text.size();
    }
  }
  long best = 0;
  size_t most = 0;
  for (const auto& [size, count] : characters) {
    if (count > most) best = size, most = count;
  }
  return static_cast<float>(best) / 4;
}

struct Look {
  float size = 0;
  bool bold = true;
  size_t words = 0;
};

Look look_of(const PageParagraph& paragraph) {
  Look look;
  for (const PageLine& line : paragraph.lines) {
    look.size = std::max(look.size, line.size);
    look.bold = look.bold && line.bold;
    look.words += line.words.size();
  }
  return look;
}

bool may_be_heading(const PageParagraph& paragraph, const std::string& text) {
  if (paragraph.kind == BlockKind::kTable || text.size() > kLongestHeading || paragraph.lines.size() > 3) return false;
  const std::string_view name =
      std::string_view(text).substr(std::min(text.find_first_not_of("0123456789.() "), text.size()));
  const auto letters = std::count_if(name.begin(), name.end(), is_letter_or_more);
  return letters >= 2 && static_cast<size_t>(letters) * 2 > name.size() && text.back() != ',' && text.back() != ';';
}

bool stands_out(const Look& look, const std::string& text, float body) {
  if (look.words > kMostHeadingWords) return false;
  if (look.size >= 1.12F * body) return true;
  return look.bold && look.size >= 0.95F * body && text.back() != '.';
}

// Larger type is a higher level; the outline's word counts more.
int level_of(const Look& look, const std::set<long, std::greater<>>& sizes) {
  const auto rank = std::distance(sizes.begin(), sizes.find(std::lround(look.size)));
  return static_cast<int>(std::min<ptrdiff_t>(rank, 5)) + 1;
}

// Whether a paragraph goes on in the next column or on the next page: it ends within a sentence, in a full line, and
// what follows is set alike and goes on small.
bool runs_on(const PageParagraph& paragraph, const PageParagraph& next) {
  const bool is_prose = paragraph.kind == BlockKind::kParagraph || paragraph.kind == BlockKind::kListItem;
  if (!is_prose || next.kind != BlockKind::kParagraph) return false;
  const PageLine& last = paragraph.lines.back();
  const PageLine& first = next.lines.front();
  if (last.ends_early || last.bold != first.bold || std::fabs(last.size - first.size) > 0.08F * last.size) return false;
  const char end = last.words.back().text.back();
  const bool is_open = is_letter_or_more(end) || (end >= '0' && end <= '9') || end == ',' || end == '-';
  const char32_t begin = decode_utf8(first.words.front().text, 0).code_point;
  return is_open && utf8proc_category(static_cast<utf8proc_int32_t>(begin)) == UTF8PROC_CATEGORY_LL;
}

class Writer {
 public:
  Writer(const std::vector<PageParagraph>& paragraphs, DocumentBuilder& builder) : builder_(builder) {
    for (const PageParagraph& paragraph : paragraphs) {
      for (const PageLine& line : paragraph.lines) {
        for (size_t i = 0; i + 1 < line.words.size(); ++i) known_.insert(bare(line.words[i].text));
      }
    }
  }

  // The parts of one paragraph, each of a column.
  void write(std::span<const PageParagraph> parts) {
    const PageParagraph& first = parts.front();
    builder_.begin({first.kind, first.level, first.page});
    for (size_t part = 0; part < parts.size(); ++part) {
      const PageParagraph& paragraph = parts[part];
      const PageLine* after = part + 1 < parts.size() ? &parts[part + 1].lines.front() : nullptr;
      for (size_t i = 0; i < paragraph.lines.size(); ++i) {
        const PageLine* next = i + 1 < paragraph.lines.size() ? &paragraph.lines[i + 1] : after;
        if (paragraph.kind == BlockKind::kTable) {
          write_row(paragraph.lines[i], paragraph.page);
          if (next != nullptr) builder_.text("\n");
        } else {
          write_line(paragraph.lines[i], next, paragraph.page);
        }
      }
    }
    builder_.end();
  }

 private:
  // A word without the punctuation around it, in lower case.
  static std::string bare(std::string_view word) {
    while (!word.empty() && !is_letter_or_more(word.front())) word.remove_prefix(1);
    while (!word.empty() && !is_letter_or_more(word.back())) word.remove_suffix(1);
    return ascii_lower(word);
  }

  static WordBox box_of(const PageWord& word, int page) {
    // Back from the turned page, see upright().
    const bool swapped = (word.rotation & 1) != 0;
    WordBox box{.page = page, .left = word.left, .top = word.top, .right = word.right, .bottom = word.bottom};
    if ((word.rotation & 3) == 1) {
      box.left = -word.bottom, box.right = -word.top, box.top = word.left, box.bottom = word.right;
    } else if ((word.rotation & 3) == 2) {
      box.left = -word.right, box.right = -word.left, box.top = -word.bottom, box.bottom = -word.top;
    } else if (swapped) {
      box.left = word.top, box.right = word.bottom, box.top = -word.right, box.bottom = -word.left;
    }
    box.top += word.drop;
    box.bottom += word.drop;
    return box;
  }

  void write_row(const PageLine& line, int page) {
    size_t at = 0;
    for (size_t cell = 0; cell < line.cells.size(); ++cell) {
      if (cell > 0) builder_.text(" | ");
      for (size_t i = 0; i < line.cells[cell]; ++i, ++at) {
        if (i > 0) builder_.text(" ");
        builder_.word(line.words[at].text, box_of(line.words[at], page));
      }
    }
  }

  void write_line(const PageLine& line, const PageLine* next, int page) {
    for (size_t i = 0; i < line.words.size(); ++i) {
      const PageWord& word = line.words[i];
      const bool last = i + 1 == line.words.size();
      if (last && next != nullptr) {
        end_line(word, next->words.front(), line.ends_early ? "\n" : " ", page);
        continue;
      }
      builder_.word(word.text, box_of(word, page));
      if (!last && separated(word, line.words[i + 1])) builder_.text(" ");
    }
  }

  static bool separated(const PageWord& word, const PageWord& next) {
    const float gap = is_right_to_left(word.text) ? word.left - next.right : next.left - word.right;
    return word.space_after || gap > 0.25F * std::max(word.size, 1.0F);
  }

  // Scripts that set no spaces between words.
  static bool is_ideographic(char32_t c) {
    return (c >= 0x2E80 && c < 0xA4D0) || (c >= 0xF900 && c < 0xFB00) || (c >= 0xFF00 && c < 0xFFF0);
  }

  void end_line(const PageWord& word, const PageWord& next, const char* space, int page) {
    if (const size_t kept = without_hyphen(word.text, next.text); kept < word.text.size()) {
      builder_.word(std::string_view(word.text).substr(0, kept), box_of(word, page));
      return;
    }
    builder_.word(word.text, box_of(word, page));
    const size_t last = utf8_floor(word.text, word.text.size() - 1);
    const bool ends_in_hyphen =
        word.text.size() > 1 && word.text.back() == '-' && is_letter_or_more(word.text[word.text.size() - 2]);
    const bool no_space =
        is_ideographic(decode_utf8(word.text, last).code_point) && is_ideographic(decode_utf8(next.text, 0).code_point);
    if (!no_space && !ends_in_hyphen) builder_.text(space);
  }

  // The length of `word` without a hyphen that only the line's end put there; else all of it. A hyphen stays where the
  // document writes the compound with one elsewhere.
  size_t without_hyphen(const std::string& word, const std::string& next) const {
    size_t kept = word.size();
    if (word.ends_with("-")) kept -= 1;
    if (word.ends_with("\u2010")) kept -= 3;
    if (kept == word.size() || kept == 0 || !is_letter_or_more(word[kept - 1])) return word.size();
    const bool goes_on = (next[0] >= 'a' && next[0] <= 'z') || (next[0] & 0x80) != 0;
    if (!goes_on) return word.size();
    const std::string head = word.substr(0, kept);
    const bool joined = known_.contains(bare(head + next));
    return !joined && known_.contains(bare(head + "-" + next)) ? word.size() : kept;
  }

  DocumentBuilder& builder_;
  std::unordered_set<std::string> known_;
};

}  // namespace

void remove_running_lines(std::vector<PageOfWords>& pages) {
  constexpr int kRounds = 3;  // a running title of two lines and a page number
  if (pages.size() < 3) return;
  for (int round = 0; round < kRounds && remove_outermost(pages); ++round) {
  }
}

void find_headings(std::vector<PageParagraph>& paragraphs, const std::vector<OutlineEntry>& outline) {
  std::map<std::string, int> levels;
  for (const OutlineEntry& entry : outline) levels.emplace(title_key(entry.title), std::min(entry.level, 6));
  const float body = body_size(paragraphs);
  std::set<long, std::greater<>> sizes;
  std::vector<PageParagraph*> unnamed;
  for (PageParagraph& paragraph : paragraphs) {
    const std::string text = plain(paragraph);
    if (!may_be_heading(paragraph, text)) continue;
    const auto named = levels.find(title_key(text));
    const Look look = look_of(paragraph);
    if (named != levels.end() && !named->first.empty()) {
      paragraph.kind = BlockKind::kHeading;
      paragraph.level = named->second;
    } else if (stands_out(look, text, body)) {
      paragraph.kind = BlockKind::kHeading;
      sizes.insert(std::lround(look.size));
      unnamed.push_back(&paragraph);
    }
  }
  for (PageParagraph* paragraph : unnamed) paragraph->level = level_of(look_of(*paragraph), sizes);
}

void write_paragraphs(const std::vector<PageParagraph>& paragraphs, DocumentBuilder& builder) {
  Writer writer(paragraphs, builder);
  for (size_t i = 0; i < paragraphs.size() && !builder.full();) {
    size_t end = i + 1;
    while (end < paragraphs.size() && runs_on(paragraphs[end - 1], paragraphs[end])) ++end;
    writer.write(std::span(paragraphs).subspan(i, end - i));
    i = end;
  }
}

}  // namespace phial::documents

// A document becomes sections (runs of blocks under the same headings), a section becomes units that should not be cut,
// and units are packed in order until the section's even share is reached.
#include "phial/rag/chunk.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "phial/base/utf8.h"
#include "phial/rag/graphemes.h"
#include "phial/rag/sentences.h"

namespace phial::rag {
namespace {

using formats::BlockKind;
using formats::DocumentBlock;
using formats::ExtractedDocument;

struct Unit {
  Span span;
  int page = 0;
  int tokens = 0;
  std::string table_header = {};  // of a row that is not the header itself
  bool leads = false;             // a heading or a question: nothing without what follows it
};

struct Section {
  std::vector<std::string> headings;  // outermost first
  size_t own_headings = 0;            // how many of them, from the end, stand in the section's own text
  std::vector<Unit> units;
};

class Chunker {
 public:
  Chunker(const ExtractedDocument& document, const ChunkOptions& options, const CountTokens& count_tokens)
      : document_(document), text_(document.text), options_(options), count_tokens_(count_tokens) {}

  std::vector<Passage> run() {
    for (const Section& section : sections()) pack(section);
    return std::move(passages_);
  }

 private:
  std::string_view text_of(const DocumentBlock& block) const {
    return text_.substr(block.start, block.end - block.start);
  }

  // Text that a reader gave no blocks for is one paragraph. Numbered questions with an answer become the innermost
  // headings, whatever they are printed as.
  std::vector<DocumentBlock> blocks() const {
    std::vector<DocumentBlock> all = document_.blocks;
    if (all.empty()) all.push_back({.kind = BlockKind::kParagraph, .start = 0, .end = text_.size()});
    std::vector<DocumentBlock> found;
    for (size_t i = 0; i < all.size(); ++i) {
      split_at_questions(all[i], i + 1 < all.size() && may_answer(all[i + 1]), found);
    }
    return found;
  }

  static bool is_prose(const DocumentBlock& block) {
    return block.kind == BlockKind::kParagraph || block.kind == BlockKind::kListItem;
  }

  bool may_answer(const DocumentBlock& block) const {
    if (!is_prose(block)) return block.kind != BlockKind::kHeading;
    const std::string_view text = text_of(block);
    const auto sentences = split_sentences(text);
    return !sentences.empty() && !is_question(text.substr(sentences[0].start, sentences[0].size()));
  }

  void split_at_questions(const DocumentBlock& block, bool is_answered, std::vector<DocumentBlock>& found) const {
    constexpr int kQuestionLevel = 7;  // inside all headings
    const std::string_view text = text_of(block);
    DocumentBlock rest = block;
    if (is_prose(block) && has_question_mark(text)) {
      const auto sentences = split_sentences(text);
      for (size_t i = 0; i < sentences.size(); ++i) {
        const std::string_view sentence = text.substr(sentences[i].start, sentences[i].size());
        const Span next = i + 1 < sentences.size() ? sentences[i + 1] : Span();
        const bool has_answer = next.size() > 0 ? !is_question(text.substr(next.start, next.size())) : is_answered;
        if (!has_answer || !is_numbered_question(sentence) || !begins_line(text, sentences[i].start)) continue;
        DocumentBlock question = block;
        question.kind = BlockKind::kHeading;
        question.level = kQuestionLevel;
        question.start = block.start + sentences[i].start;
        question.end = block.start + sentences[i].end;
        if (question.start > rest.start) {
          rest.end = question.start;
          found.push_back(rest);
        }
        found.push_back(question);
        rest.start = question.end;
        rest.end = block.end;
      }
    }
    if (rest.end > rest.start) found.push_back(rest);
  }

  std::vector<Section> sections() const {
    std::vector<Section> sections(1);
    std::vector<std::pair<int, std::string>> open;  // level, heading
    for (const DocumentBlock& block : blocks()) {
      const Span span = trim(text_, {block.start, block.end});
      if (span.size() == 0) continue;
      if (block.kind == BlockKind::kHeading) {
        const bool continues = !sections.back().units.empty() && sections.back().own_headings > 0 &&
                               has_only_headings(sections.back()) && block.level > open.back().first;
        while (!open.empty() && open.back().first >= block.level) open.pop_back();
        open.emplace_back(block.level, one_line(text_.substr(span.start, span.size())));
        if (!continues) sections.emplace_back();
        Section& section = sections.back();
        section.headings.clear();
        for (const auto& [level, heading] : open) section.headings.push_back(heading);
        ++section.own_headings;
      }
      append_units(block, span, sections.back().units);
    }
    return sections;
  }

  static bool has_only_headings(const Section& section) { return section.units.size() == section.own_headings; }

  static std::string one_line(std::string_view text) {
    std::string line(text.substr(0, grapheme_floor(text, 200)));
    std::replace(line.begin(), line.end(), '\n', ' ');
    return line;
  }

  void append_units(const DocumentBlock& block, Span span, std::vector<Unit>& units) const {
    const std::string_view text = text_.substr(span.start, span.size());
    std::string header;
    std::vector<Span> parts;
    if (block.kind == BlockKind::kTable || block.kind == BlockKind::kCode) {
      parts = lines(text);
      if (block.kind == BlockKind::kTable && parts.size() > 1) {
        header = one_line(text.substr(parts[0].start, parts[0].size()));
      }
    } else if (block.kind == BlockKind::kHeading) {
      parts = {{0, text.size()}};
    } else {
      parts = split_sentences(text);
    }
    for (size_t i = 0; i < parts.size(); ++i) {
      const Span part{span.start + parts[i].start, span.start + parts[i].end};
      append_cut(part, block, i > 0 ? header : std::string(), units);
    }
  }

  static std::vector<Span> lines(std::string_view text) {
    std::vector<Span> found;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const Span line = trim(text, {at, end});
      // The indentation of code belongs to it.
      if (line.size() > 0) found.push_back({at, line.end});
      at = end + 1;
    }
    return found;
  }

  // Room for text beside a context of full length.
  int budget() const { return std::max(options_.max_tokens - options_.max_context_tokens, 16); }

  // A unit that alone exceeds the budget is cut at the best border before it: space, else character.
  void append_cut(Span span, const DocumentBlock& block, const std::string& header, std::vector<Unit>& units) const {
    while (span.size() > 0) {
      const Span piece = trim(text_, {span.start, span.start + prefix_that_fits(span)});
      const std::string_view text = text_.substr(piece.start, piece.size());
      if (!text.empty()) {
        units.push_back(
            {piece, page_at(piece.start, block), std::max(count_tokens_(text), 1), header, leads(block, text)});
      }
      span.start = std::max(piece.end, span.start + 1);
      span = trim(text_, span);
    }
  }

  // A block may run on from the page that it begins on.
  int page_at(uint64_t at, const DocumentBlock& block) const {
    const auto after = std::ranges::upper_bound(document_.words, at, {}, &formats::WordBox::start);
    return after == document_.words.begin() ? block.page : std::max(block.page, std::prev(after)->page);
  }

  static bool leads(const DocumentBlock& block, std::string_view text) {
    return block.kind == BlockKind::kHeading || (is_prose(block) && is_question(text));
  }

  // At least one character, so that cutting always moves on.
  size_t prefix_that_fits(Span span) const {
    const std::string_view text = text_.substr(span.start, span.size());
    size_t limit = text.size();
    if (limit > options_.max_passage_bytes) limit = cut_before(text, options_.max_passage_bytes);
    while (count_tokens_(text.substr(0, limit)) > budget()) {
      const size_t shorter = cut_before(text, limit * 3 / 4);
      if (shorter >= limit) break;
      limit = shorter;
    }
    return limit;
  }

  static size_t cut_before(std::string_view text, size_t at) {
    const size_t first = static_cast<size_t>(decode_utf8(text, 0).length);
    at = std::max(grapheme_floor(text, at), first);
    const size_t space = text.find_last_of(" \n\t", at);
    return space != std::string_view::npos && space > at / 2 ? space : at;
  }

  void pack(const Section& section) {
    int total = 0;
    for (const Unit& unit : section.units) total += unit.tokens;
    const int parts = (total + budget() - 1) / budget();
    const int share = parts == 0 ? 0 : (total + parts - 1) / parts;
    size_t first = 0;
    int tokens = 0;
    for (size_t i = 0; i < section.units.size(); ++i) {
      const Unit& unit = section.units[i];
      const bool too_long = tokens + unit.tokens > budget() ||
                            unit.span.end - section.units[first].span.start > options_.max_passage_bytes;
      // Nearer to the even share without the unit than with it.
      const bool reached = tokens + unit.tokens / 2 > share;
      if (i > first && (too_long || reached)) {
        size_t cut = before_what_leads_to(section.units, first, i);
        if (cut == first && too_long) cut = i;
        if (cut > first) {
          emit(section, first, cut);
          first = cut;
          tokens = 0;
          for (size_t kept = cut; kept < i; ++kept) tokens += section.units[kept].tokens;
        }
      }
      tokens += unit.tokens;
    }
    if (first < section.units.size()) emit(section, first, section.units.size());
  }

  // Where a passage that begins with unit `first` ends if unit `i` is to stand in the next one: what leads to it goes
  // along, as far as there is room.
  size_t before_what_leads_to(std::span<const Unit> units, size_t first, size_t i) const {
    int tokens = units[i].tokens;
    size_t cut = i;
    while (cut > first && units[cut - 1].leads) {
      tokens += units[cut - 1].tokens;
      const bool has_room =
          tokens <= budget() && units[i].span.end - units[cut - 1].span.start <= options_.max_passage_bytes;
      if (!has_room) break;
      --cut;
    }
    return cut;
  }

  void emit(const Section& section, size_t first, size_t last) {
    Passage passage;
    passage.start = section.units[first].span.start;
    passage.end = section.units[last - 1].span.end;
    passage.page = section.units[first].page;
    for (const std::string& heading : section.headings) {
      passage.heading += (passage.heading.empty() ? "" : " > ") + heading;
    }
    passage.context = context(section, first);
    passages_.push_back(std::move(passage));
  }

  std::string context(const Section& section, size_t first) const {
    std::vector<std::string> parts;
    const size_t outside =
        section.headings.size() - (first == 0 ? std::min(section.own_headings, section.headings.size()) : 0);
    const std::string title = one_line(document_.title);
    const bool stands_there = (!section.headings.empty() && section.headings.front() == title) ||
                              text_.substr(section.units[first].span.start).starts_with(title);
    if (!stands_there) parts.push_back(title);
    for (size_t i = 0; i < outside; ++i) parts.push_back(section.headings[i]);
    if (!section.units[first].table_header.empty()) parts.push_back(section.units[first].table_header);
    std::string joined;
    int tokens = 0;
    for (size_t i = parts.size(); i-- > 0;) {
      tokens += count_tokens_(parts[i]) + 1;
      if (tokens > options_.max_context_tokens) break;
      joined.insert(0, joined.empty() ? parts[i] : parts[i] + "\n");
    }
    return joined;
  }

  const ExtractedDocument& document_;
  const std::string_view text_;
  const ChunkOptions& options_;
  const CountTokens& count_tokens_;
  std::vector<Passage> passages_;
};

}  // namespace

std::vector<Passage> chunk(const ExtractedDocument& document, const ChunkOptions& options,
                           const CountTokens& count_tokens) {
  return Chunker(document, options, count_tokens).run();
}

std::string embedding_text(const Passage& passage, std::string_view document_text) {
  const std::string_view text = document_text.substr(passage.start, passage.end - passage.start);
  if (passage.context.empty()) return std::string(text);
  return passage.context + "\n" + std::string(text);
}

}  // namespace phial::rag

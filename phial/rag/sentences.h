// Cuts running text into sentences, in any script.
//
// Source: Unicode UAX 29 through ICU, with single line ends read as spaces (paragraphs wrapped by hand) unless an item
// of a list, a row of a table or the next of several fields follows or the line was clearly not full, and cuts after
// common abbreviations, after the number of an item, within "2.X", "?day=sunday" and "12. Juni" undone. Threads: any.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace phial::rag {

struct Span {
  size_t start = 0, end = 0;  // bytes
  size_t size() const { return end - start; }
  friend bool operator==(const Span&, const Span&) = default;
};

// Sentences in order. White space around each is left out, so that spans need not touch; empty ones do not occur.
std::vector<Span> split_sentences(std::string_view text);

// The bytes of what only numbers a line or marks it as an item, "(27) ", "9.2.3. ", "- ", and of the space after it; 0:
// nothing does, or nothing follows.
size_t numbering(std::string_view line);

bool has_question_mark(std::string_view text);

// Whether a sentence ends with a question mark.
bool is_question(std::string_view sentence);

// A question as lists of them have it: "12. How ...?", "Q3: ...?", "Frage 3: ...?".
bool is_numbered_question(std::string_view sentence);

// Whether text[at] is the first of its line, white space left out.
bool begins_line(std::string_view text, size_t at);

// A row of a table as documents/ writes them: cells joined by " | ", or "Name: value; Name: value".
bool is_row(std::string_view line);

// A line of a form or of settings: "Serial number: 4711", "workers = 6", "logging:", "[server]".
bool is_field(std::string_view line);

// Where the line of text[at] begins if it is a row.
std::optional<size_t> row_at(std::string_view text, size_t at);

// `span` of `text` without white space at either end.
Span trim(std::string_view text, Span span);

}  // namespace phial::rag

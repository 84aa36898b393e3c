// A document cut into passages: structure first, then sentences, never more than the embedder reads.
//
// Each passage is one exact run of bytes of the extracted text, from its first unit (heading, sentence, list item,
// table row, code line) to its last. A section that needs several passages is cut into parts of about equal length.
// A heading, and a question, stays with what follows it; a numbered question that is answered ("12. How ...?", "Q3:
// ...?") is taken for a heading, so that each question and its answer are a passage of their own.
// What stands around a passage (the headings above it, the header of its table) is kept apart and goes into the
// embedding and the word index only. Threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "phial/formats/extracted_document.h"

namespace phial::rag {

struct Passage {
  uint64_t start = 0, end = 0;  // bytes of ExtractedDocument::text
  int page = 0;                 // where it begins; 0: the format has no pages
  std::string heading;          // "Install > Debian"; the nearest heading comes last
  std::string context;          // title, headings and table header that do not stand in the passage itself
};

struct ChunkOptions {
  int max_tokens = 254;             // of context and text together
  int max_context_tokens = 48;      // longer contexts lose their outermost parts
  size_t max_passage_bytes = 4096;  // text without words (base64, one endless line) counts few tokens
};

// The embedder's own count, special tokens left out.
using CountTokens = std::function<int(std::string_view)>;

std::vector<Passage> chunk(const formats::ExtractedDocument& document, const ChunkOptions& options,
                           const CountTokens& count_tokens);

// What is embedded for a passage: its context, then its text.
std::string embedding_text(const Passage& passage, std::string_view document_text);

}  // namespace phial::rag

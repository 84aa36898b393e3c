// What a model that sees writes about the figures of a document, put into the document's text where they stand, so that
// words find them and models that do not see can read them. Each picture is described once: the library keeps what was
// written by the hash of its pixels.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/extracted_document.h"
#include "phial/generate/language_model.h"
#include "phial/rag/reader_client.h"
#include "phial/rag/store.h"

namespace phial::rag {

// `texts`: for each figure a line, or nothing. Each becomes a paragraph behind the block that its figure's text ends
// with, and part of that text. Promise: no line holds control characters.
formats::ExtractedDocument with_descriptions(const formats::ExtractedDocument& document,
                                             std::span<const std::string> texts);

// Whether a sentence of a document's text is one of those: what a model saw, which nothing has checked.
bool is_description(std::string_view sentence);

struct DescribeOptions {
  std::string model_name = {};  // as the text names it
  ReaderOptions reader = {};    // who draws them
  std::stop_token cancel = {};
  std::function<void()> on_written = {};  // after each description that was not known
};

struct DescribedFigures {
  std::vector<ContentHash> pictures;  // of each figure; empty for one that was not described
  std::vector<Error> left;            // why not, where another try may do better: of limits, and of the machine
};

// A figure that cannot be drawn, or that the model does not take, is a warning of the document. kCancelled: what was
// written stays in the library; errors of the store and other errors of the model.
Result<DescribedFigures> describe_figures(Store& store, generate::LanguageModel& model,
                                          const std::filesystem::path& path, const DescribeOptions& options,
                                          formats::ExtractedDocument& document);

}  // namespace phial::rag

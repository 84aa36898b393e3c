// The figures of passages, shown to a model that sees: each stands in the prompt where its passage does.
// Threads: any.
#pragma once

#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/formats/extracted_document.h"
#include "phial/rag/prompt.h"
#include "phial/rag/reader_client.h"
#include "phial/rag/retrieve.h"

namespace phial::rag {

struct FigureOptions {
  int most = 1;  // that are shown
  int answer_tokens = 0;
  int seconds = 0;  // on the clock for drawing all of them: somebody waits for the answer
  ReaderOptions reader = {};
  std::stop_token cancel = {};
};

// A figure that was looked at, in the order of the prompt.
struct ShownFigure {
  size_t hit = 0;
  formats::Figure figure = {};
  int tokens = 0;            // of the prompt; 0: it is not shown
  std::string why_not = {};  // empty: it is
};

// Draws figures of the prompt's passages and puts them in as long as they and the answer fit into the model's context.
// One that cannot be drawn, or not in time, is left out. kCancelled; errors of count_prompt_tokens().
Result<std::vector<ShownFigure>> show_figures(GroundedPrompt& prompt, std::span<const Hit> hits,
                                              const FigureOptions& options, const generate::LanguageModel& model);

// {"page", "left", "top", "width", "height"}: page null for a file that is a picture.
Json to_json(const formats::Figure& figure);

}  // namespace phial::rag

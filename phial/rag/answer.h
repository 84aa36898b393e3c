// Answers a question from a library, with citations that hold.
//
//   retrieve -> is there an answer at all? -> generate within budget -> check sentence by sentence -> or quote
//
// An answer is `generated` as long as its passages support what the model writes; where they support none of it, or
// there is no model, it is `quoted`: the sentences of the passages that answer the question best. Where the passages do
// not answer it, it says so and names the nearest ones. The text is handed on sentence by sentence as it passes the
// check, so that what was shown is what was checked.
//
// A model that sees is shown figures of the passages. What it reads there no text can support: a sentence that it marks
// with the number of a passage whose picture stands in the prompt is taken, and called seen. Where the text alone
// would hold no answer but a figure is among the nearest passages, such a model is asked all the same, and only what
// it has seen is an answer. Threads: one at a time an Answerer.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/generate/language_model.h"
#include "phial/rag/answerable.h"
#include "phial/rag/citations.h"
#include "phial/rag/reader_client.h"
#include "phial/rag/retrieve.h"

namespace phial::rag {

struct AnswerOptions {
  SearchOptions search;
  int max_tokens = 160;
  int passage_tokens = 1200;  // of the prompt, pictures apart; reading it costs the time to the first word
  int figures = 1;            // shown at most to a model that sees, each as long as the context has room; 0: none
  int figure_seconds = 10;    // for drawing them
  ReaderOptions reader;       // who does
  generate::SamplingOptions sampling;
  std::vector<std::string> stop;
  std::string wishes;  // of the person, told to the model behind the rules: "Answer in French."
  bool only_quote = false;
  bool explain = false;
  std::stop_token cancel;
};

struct Citation {
  int n = 0;  // the mark [n] in the answer
  std::string path, title;
  std::string heading;          // above the evidence; of a search, above the passage's beginning
  int page = 0;                 // likewise; 0: the format has none
  uint64_t start = 0, end = 0;  // bytes of the extracted text
  std::string text;
  double score = 0;
  uint64_t evidence_start = 0, evidence_end = 0;  // the sentence that carries the answer, inside start..end
  std::vector<formats::Figure> figures;           // that the passage tells of
};

// One sentence of the answer and what it rests on.
struct AnswerSentence {
  std::string text;            // as shown, without marks
  std::vector<int> citations;  // n
  bool supported = false;
  // Read from a picture of the passage that it names, by the model itself or by the one that described the picture for
  // the library, which nothing checks; not supported.
  bool seen = false;
  bool corrected = false;  // a number was put right or taken out
};

enum class AnswerMode { kGenerated, kQuoted };

struct Answer {
  std::string question;  // as asked
  std::string searched;  // as searched: a follow-up question stands alone here
  std::string text;
  bool answerable = false;
  double confidence = 0;  // that the documents hold the answer, 0 to 1
  AnswerMode mode = AnswerMode::kQuoted;
  std::vector<Citation> citations;
  std::vector<AnswerSentence> sentences;
  std::string model;
  double retrieve_ms = 0, first_token_ms = 0, total_ms = 0;
  double decode_ms = 0;  // of all tokens after the first, their check included
  int prompt_tokens = 0, generated_tokens = 0;
  int drafted_tokens = 0, accepted_tokens = 0;
  std::vector<std::string> warnings;  // one line each: figures that could not be shown
  size_t hits_dropped = 0;            // found, but without room in the prompt
  std::string draft;                  // what the model wrote, before the check; with `explain`
  Json explanation;                   // with `explain`
};

class AnswerWriter;

class Answerer {
 public:
  // `model` may be null: then answers are quoted.
  Answerer(Store& store, Embedder& embedder, generate::LanguageModel* model)
      : store_(store), embedder_(embedder), model_(model), retriever_(store, embedder) {}

  using OnText = std::function<void(std::string_view)>;

  // `history`: earlier turns of the conversation, oldest first; a follow-up is understood in their light.
  Result<Answer> answer(std::string_view question, std::span<const generate::Message> history,
                        const AnswerOptions& options, const OnText& on_text);

 private:
  Result<bool> let_write(const Evidence& evidence, std::span<const Hit> hits, const AnswerOptions& options,
                         AnswerWriter& writer, Answer& answer);

  Store& store_;
  Embedder& embedder_;
  generate::LanguageModel* model_;
  Retriever retriever_;
};

// The contract's object for `ask --json`, and the fields of one citation or search result.
Json to_json(const Answer& answer);
Json to_json(const Citation& citation);
// A search result as a citation: n is its rank.
Citation citation_of(const Hit& hit, int n);

}  // namespace phial::rag

#include "phial/rag/answer.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <utility>

#include "phial/rag/prompt.h"
#include "phial/rag/quote.h"
#include "phial/rag/rewrite.h"
#include "phial/rag/sentence_gate.h"
#include "phial/rag/shown_figures.h"

namespace phial::rag {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kEvidenceHits = 5;  // whose sentences are looked at one by one
constexpr size_t kNearestShown = 3;  // when there is no answer
constexpr std::string_view kNoAnswer = "This is not in your documents.";
// From here on a model's "not in the documents" is not believed, and the best sentence is quoted.
constexpr double kSurelyAnswerable = 0.9;
constexpr uint64_t kSmallModel = 1'000'000'000;  // weights

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Whether the model may find in a picture what no text says.
bool has_figure_near(std::span<const Hit> hits) {
  const auto nearest = hits.first(std::min(kNearestShown, hits.size()));
  return std::ranges::any_of(nearest, [](const Hit& hit) { return !hit.figures.empty(); });
}

// Tells of the figures in the answer; gives the hits whose pictures are shown.
std::set<size_t> tell_figures(std::span<const ShownFigure> figures, std::span<const Hit> hits, bool explains,
                              Answer& answer) {
  std::set<size_t> seen;
  Json told = Json::array();
  for (const ShownFigure& one : figures) {
    if (one.why_not.empty()) seen.insert(one.hit);
    const std::string page = one.figure.page > 0 ? " on page " + std::to_string(one.figure.page) : "";
    if (!one.why_not.empty()) {
      answer.warnings.push_back("a figure" + page + " is not shown to the model: " + one.why_not);
    }
    Json json = to_json(one.figure);
    json["passage"] = one.hit + 1;
    json["path"] = hits[one.hit].path;
    json["tokens"] = one.tokens;
    json["why_not"] = one.why_not;
    told.push_back(std::move(json));
  }
  if (explains) answer.explanation["figures"] = std::move(told);
  return seen;
}

}  // namespace

// Has the model write, if there is one and something to write from. True: something of it was shown.
Result<bool> Answerer::let_write(const Evidence& evidence, std::span<const Hit> hits, const AnswerOptions& options,
                                 AnswerWriter& writer, Answer& answer) {
  if (model_ == nullptr || options.only_quote) return false;
  const bool sees = model_->sees() && options.figures > 0;
  const bool only_seen = !answer.answerable && sees && has_figure_near(hits);
  if (!answer.answerable && !only_seen) return false;

  const std::span<const Hit> offered = hits.first(evidence.hits());
  PHIAL_TRY(GroundedPrompt prompt, make_prompt(answer.searched, offered,
                                               PromptOptions{.passage_tokens = options.passage_tokens,
                                                             .answer_tokens = options.max_tokens,
                                                             .wishes = options.wishes},
                                               *model_));
  answer.hits_dropped = hits.size() - prompt.hits_used;
  std::set<size_t> seen;
  if (sees) {
    const FigureOptions showing{.most = options.figures,
                                .answer_tokens = options.max_tokens,
                                .seconds = options.figure_seconds,
                                .reader = options.reader,
                                .cancel = options.cancel};
    PHIAL_TRY(const auto figures, show_figures(prompt, offered, showing, *model_));
    seen = tell_figures(figures, offered, options.explain, answer);
  }
  if (only_seen && seen.empty()) return false;
  generate::GenerateRequest request;
  request.messages = std::move(prompt.messages);
  request.max_tokens = options.max_tokens;
  request.sampling = options.sampling;
  request.stop = options.stop;
  std::stop_source enough;
  const std::stop_callback stops_too(options.cancel, [&enough] { enough.request_stop(); });
  request.cancel = enough.get_token();
  CitationCheck check(evidence, embedder_);
  const uint64_t parameters = model_->parameters();
  const bool is_small = parameters > 0 && parameters < kSmallModel;
  SentenceGate gate(check, writer, evidence, offered, is_small, std::move(seen), only_seen);
  PHIAL_TRY(const auto generation, model_->generate(request, [&](std::string_view text) {
    gate.take(text);
    if (gate.is_repeating()) enough.request_stop();
  }));
  answer.prompt_tokens = generation.prompt_tokens;
  answer.generated_tokens = static_cast<int>(generation.ids.size());
  answer.first_token_ms = answer.retrieve_ms + generation.first_token_ms;
  answer.decode_ms = generation.decode_ms;
  answer.drafted_tokens = generation.drafted_tokens;
  answer.accepted_tokens = generation.accepted_tokens;
  if (options.explain) answer.draft = generation.text;
  if (options.cancel.stop_requested()) return Error{Code::kCancelled, "the answer was stopped", ""};
  gate.finish(generation.stop == generate::StopReason::kMaxTokens || gate.is_repeating());
  if (gate.failure()) return *gate.failure();
  if (gate.any_supported()) {
    answer.mode = AnswerMode::kGenerated;
    answer.answerable = true;
    return true;
  }
  // A model that finds nothing is believed unless the passages speak plainly.
  if (says_no_answer(generation.text) && answer.confidence < kSurelyAnswerable) answer.answerable = false;
  return false;
}

Result<Answer> Answerer::answer(std::string_view question, std::span<const generate::Message> history,
                                const AnswerOptions& options, const OnText& on_text) {
  const auto start = Clock::now();
  Answer answer;
  answer.question = question;
  if (model_ != nullptr) answer.model = model_->name();
  generate::LanguageModel* writer_model = options.only_quote ? nullptr : model_;
  PHIAL_TRY(answer.searched, standalone_question(question, history, writer_model, options.cancel));
  SearchOptions search = options.search;
  search.cancel = options.cancel;
  PHIAL_TRY(const Retrieval retrieval, retriever_.search(answer.searched, search));
  PHIAL_TRY(const Evidence evidence, Evidence::make(answer.searched, retrieval.hits, store_, embedder_, kEvidenceHits));
  const AnswerSigns signs = signs_of(evidence);
  // What has no word of its own ("???", "how are you") asks for nothing, nor do thanks.
  const bool asks = !evidence.question_words().empty() && !is_courtesy(question);
  answer.confidence = retrieval.hits.empty() || !asks ? 0 : confidence(signs);
  answer.answerable = answer.confidence >= kAnswerable;
  answer.retrieve_ms = ms_since(start);
  if (options.explain) {
    answer.explanation = explain(retrieval);
    answer.explanation["signs"] = to_json(signs);
  }

  AnswerWriter writer(answer, retrieval.hits, evidence, on_text);
  PHIAL_TRY(const bool is_written, let_write(evidence, retrieval.hits, options, writer, answer));
  if (!answer.answerable) {
    std::string text(kNoAnswer);
    const size_t shown = std::min(kNearestShown, retrieval.hits.size());
    if (shown > 0) text += " The nearest passages:";
    for (size_t hit = 0; hit < shown; ++hit) {
      text.append(" [").append(std::to_string(writer.number_of(hit, std::nullopt))).append("]");
    }
    writer.show(text);
  } else if (!is_written) {
    for (const CheckedSentence& quoted : quote(evidence, retrieval.hits)) writer.write(quoted);
  }
  if (answer.first_token_ms == 0) answer.first_token_ms = ms_since(start);
  answer.total_ms = ms_since(start);
  return answer;
}

Citation citation_of(const Hit& hit, int n) {
  const StoredPassage& passage = hit.passage;
  return {.n = n,
          .path = hit.path,
          .title = passage.title.empty() ? std::filesystem::path(hit.path).filename().string() : passage.title,
          .heading = passage.heading,
          .page = passage.page,
          .start = passage.start,
          .end = passage.end,
          .text = passage.text,
          .score = hit.score,
          .evidence_start = passage.start,
          .evidence_end = passage.end,
          .figures = hit.figures};
}

Json to_json(const Citation& citation) {
  Json figures = Json::array();
  for (const formats::Figure& figure : citation.figures) figures.push_back(to_json(figure));
  return {{"n", citation.n},
          {"path", citation.path},
          {"title", citation.title},
          {"page", citation.page > 0 ? Json(citation.page) : Json()},
          {"heading", citation.heading},
          {"start", citation.start},
          {"end", citation.end},
          {"text", citation.text},
          {"score", citation.score},
          {"figures", std::move(figures)},
          {"evidence", {{"start", citation.evidence_start}, {"end", citation.evidence_end}}}};
}

Json to_json(const Answer& answer) {
  Json citations = Json::array();
  for (const Citation& citation : answer.citations) citations.push_back(to_json(citation));
  Json sentences = Json::array();
  for (const AnswerSentence& sentence : answer.sentences) {
    sentences.push_back({{"text", sentence.text},
                         {"citations", sentence.citations},
                         {"supported", sentence.supported},
                         {"seen", sentence.seen},
                         {"corrected", sentence.corrected}});
  }
  Json json = {{"question", answer.question},
               {"answer", answer.text},
               {"answerable", answer.answerable},
               {"confidence", answer.confidence},
               {"mode", answer.mode == AnswerMode::kGenerated ? "generated" : "quoted"},
               {"citations", citations},
               {"sentences", sentences},
               {"model", answer.model},
               {"timings",
                {{"retrieve_ms", answer.retrieve_ms},
                 {"first_token_ms", answer.first_token_ms},
                 {"decode_ms", answer.decode_ms},
                 {"total_ms", answer.total_ms}}},
               {"tokens", {{"prompt", answer.prompt_tokens}, {"generated", answer.generated_tokens}}}};
  if (answer.searched != answer.question) json["searched"] = answer.searched;
  if (!answer.explanation.is_null()) {
    json["explain"] = answer.explanation;
    json["explain"]["draft"] = answer.draft;
    json["explain"]["hits_dropped"] = answer.hits_dropped;
    json["explain"]["drafting"] = {{"drafted", answer.drafted_tokens}, {"accepted", answer.accepted_tokens}};
  }
  return json;
}

}  // namespace phial::rag

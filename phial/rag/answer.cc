#include "phial/rag/answer.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <unordered_set>

#include "phial/rag/lexical.h"
#include "phial/rag/prompt.h"
#include "phial/rag/quote.h"
#include "phial/rag/rewrite.h"

namespace phial::rag {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kEvidenceHits = 5;  // whose sentences are looked at one by one
constexpr size_t kNearestShown = 3;  // when there is no answer
constexpr std::string_view kUnsupportedMark = " (not supported by your documents)";
// What our own prompt talks about: a model that speaks of its passages has said nothing of what stands in them.
constexpr std::string_view kPromptWords = "passage document question answer number";
constexpr std::string_view kNoAnswer = "This is not in your documents.";
// From here on a model's "not in the documents" is not believed, and the best sentence is quoted.
constexpr double kSurelyAnswerable = 0.9;
constexpr uint64_t kSmallModel = 1'000'000'000;  // weights

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// A sentence as it may be shown: no mark that is not ours, and no Markdown that a page would turn into a link or a
// picture from elsewhere.
std::string harmless(std::string_view sentence) {
  std::string text = defuse_marks(sentence);
  for (size_t at = 0; (at = text.find("](", at)) != std::string::npos; ++at) text.insert(at + 1, " ");
  for (size_t at = 0; (at = text.find("![", at)) != std::string::npos;) text.erase(at, 1);
  return text;
}

// Writes the answer: sentences as they are settled, each mark numbered at its first use.
class Writer {
 public:
  Writer(Answer& answer, std::span<const Hit> hits, const Answerer::OnText& on_text)
      : answer_(answer), hits_(hits), on_text_(on_text) {}

  void write(const CheckedSentence& checked) {
    AnswerSentence sentence{.text = harmless(checked.text),
                            .citations = {},
                            .supported = !checked.hits.empty(),
                            .corrected = checked.corrected};
    for (size_t i = 0; i < checked.hits.size(); ++i) {
      sentence.citations.push_back(number_of(checked.hits[i], checked.evidence[i]));
    }
    std::string shown = answer_.text.empty() ? "" : " ";
    shown += sentence.text;
    if (!sentence.supported) shown += kUnsupportedMark;
    for (const int n : sentence.citations) shown.append(" [").append(std::to_string(n)).append("]");
    show(shown);
    answer_.sentences.push_back(std::move(sentence));
  }

  void show(std::string_view text) {
    answer_.text += text;
    if (on_text_) on_text_(text);
  }

  int number_of(size_t hit, std::optional<Span> evidence) {
    const auto known = numbers_.find(hit);
    if (known != numbers_.end()) return known->second;
    const int n = static_cast<int>(numbers_.size()) + 1;
    numbers_.emplace(hit, n);
    Citation citation = citation_of(hits_[hit], n);
    if (evidence) {
      citation.evidence_start = citation.start + evidence->start;
      citation.evidence_end = citation.start + evidence->end;
      const Hit::Part& part = hits_[hit].part_at(citation.evidence_start);
      citation.heading = part.heading;
      citation.page = part.page;
    }
    answer_.citations.push_back(std::move(citation));
    return n;
  }

 private:
  Answer& answer_;
  std::span<const Hit> hits_;
  const Answerer::OnText& on_text_;
  std::map<size_t, int> numbers_;
};

// Takes the model's text as it comes, cuts it into sentences, checks each and hands it on. What is unsupported waits
// until a supported sentence follows, so that an answer of which nothing holds is never shown. A sentence that has lost
// a number is shown only if it is to the point. One that says nothing beyond the question and the headings, that
// repeats the instructions, or that was said before, is left out.
//
// A small model likes to say what is true and was not asked: its answer begins with a sentence whose evidence is nearly
// the most relevant that there is, what it copied on the way there is left out, and so is what has next to nothing to
// do with the question. A larger one finds what words and vectors do not, and lists steps that do not repeat the
// question.
class SentenceGate {
 public:
  SentenceGate(CitationCheck& check, Writer& writer, const Evidence& evidence, std::span<const Hit> hits, bool is_small)
      : check_(check), writer_(writer), is_small_(is_small) {
    for (const QuestionWord& word : evidence.question_words()) known_.insert(word.stem);
    for (std::string& stem : content_words(kPromptWords)) known_.insert(std::move(stem));
    for (std::string& stem : content_words(instructions())) instructed_.insert(std::move(stem));
    for (const Hit& hit : hits) {
      for (std::string& stem : content_words(hit.passage.title)) known_.insert(std::move(stem));
      for (std::string& stem : content_words(hit.passage.heading)) known_.insert(std::move(stem));
    }
  }

  void take(std::string_view text) {
    pending_ += text;
    // The last sentence may still grow, and a mark may follow it.
    const auto sentences = split_sentences(pending_);
    if (sentences.size() < 3) return;
    settle(pending_.substr(sentences[0].start, sentences[1].start - sentences[0].start),
           pending_.substr(sentences[1].start));
  }

  // `is_cut`: the text ends in the middle, because no more tokens were allowed; half a sentence is no answer.
  void finish(bool is_cut) {
    while (!pending_.empty() && !failure_) {
      const auto sentences = split_sentences(pending_);
      if (sentences.empty() || (is_cut && sentences.size() == 1)) break;
      const size_t end = sentences.size() > 1 ? sentences[1].start : pending_.size();
      settle(pending_.substr(0, end), pending_.substr(end));
    }
  }

  bool any_supported() const { return any_supported_; }
  // The model goes round in circles: there is nothing more to come.
  bool is_repeating() const { return repeats_ >= kMaxRepeats; }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  void settle(std::string sentence, std::string rest) {
    // A mark that stands after the full stop belongs to the sentence before it.
    const size_t marks = leading_marks(rest);
    sentence += rest.substr(0, marks);
    rest.erase(0, marks);
    pending_ = std::move(rest);
    const Span whole = trim(sentence, {0, sentence.size()});
    if (whole.size() == 0 || failure_ || !says_something_new(take_marks(sentence).text)) return;
    auto checked = check_unnumbered(std::string_view(sentence).substr(whole.start, whole.size()));
    if (!checked) {
      failure_ = checked.error();
      return;
    }
    if (is_beside_the_point(*checked)) return;
    if (checked->hits.empty() || (!any_supported_ && !is_to_the_point(*checked))) {
      waiting_.push_back(*std::move(checked));
      return;
    }
    any_supported_ = true;
    for (const CheckedSentence& earlier : waiting_) {
      if (!earlier.is_copied) writer_.write(earlier);
    }
    waiting_.clear();
    writer_.write(*checked);
  }

  // The number of an item in the model's own list is no claim; one that is copied from a passage stays.
  Result<CheckedSentence> check_unnumbered(std::string_view sentence) {
    PHIAL_TRY(CheckedSentence checked, check_.check(sentence));
    const size_t marker = numbering(sentence);
    if (marker == 0 || (!checked.hits.empty() && !checked.corrected)) return checked;
    return check_.check(sentence.substr(marker));
  }

  bool is_to_the_point(const CheckedSentence& checked) const {
    return checked.relevance >= (is_small_ ? kSmallToThePoint : checked.has_gap ? kToThePoint : 0);
  }

  // What is not shown at all, even beside an answer.
  bool is_beside_the_point(const CheckedSentence& checked) const {
    if (checked.has_gap || (is_small_ && speaks_of_passages(checked.text))) return !is_to_the_point(checked);
    return is_small_ && !checked.hits.empty() && checked.relevance < kAside;
  }

  // "Passage 2 is about the lease": seldom an answer, unless what it says there is.
  bool speaks_of_passages(std::string_view sentence) const {
    const auto words = content_words(sentence);
    return std::ranges::find(words, passage_) != words.end();
  }

  bool says_something_new(std::string_view sentence) {
    std::string said;
    bool is_new = false;
    bool is_instructed = true;
    const std::vector<std::string> words = content_words(sentence.substr(numbering(sentence)));
    for (const std::string& stem : words) {
      said.append(stem).append(" ");
      is_new = is_new || !known_.contains(stem);
      is_instructed = is_instructed && instructed_.contains(stem);
    }
    if (!is_new || (is_instructed && words.size() >= kFewestEchoedWords)) return false;
    if (said_.insert(std::move(said)).second) return true;
    ++repeats_;
    return false;
  }

  static constexpr int kMaxRepeats = 2;
  // Shares of the best relevance; set by hand.
  static constexpr double kToThePoint = 0.6;
  static constexpr double kSmallToThePoint = 0.85;
  static constexpr double kAside = 0.3;
  static constexpr size_t kFewestEchoedWords = 4;  // fewer may be an answer: "the user's documents"

  CitationCheck& check_;
  Writer& writer_;
  bool is_small_;
  const std::string passage_ = rough_stem("passage");
  std::string pending_;
  std::unordered_set<std::string> known_;       // content words of the question and the headings
  std::unordered_set<std::string> instructed_;  // content words of the instructions
  std::unordered_set<std::string> said_;        // sentences so far, as their content words
  int repeats_ = 0;
  std::vector<CheckedSentence> waiting_;
  bool any_supported_ = false;
  std::optional<Error> failure_;
};

bool says_no_answer(std::string_view draft) {
  std::string upper(draft.substr(0, 200));
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return upper.find(kNotInPassages) != std::string::npos || upper.find("NOT IN THE PASSAGES") != std::string::npos ||
         upper.find("PASSAGES DO NOT") != std::string::npos;
}

}  // namespace

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
  answer.confidence = retrieval.hits.empty() ? 0 : confidence(signs);
  answer.answerable = answer.confidence >= kAnswerable;
  answer.retrieve_ms = ms_since(start);
  if (options.explain) {
    answer.explanation = explain(retrieval);
    answer.explanation["signs"] = to_json(signs);
  }

  Writer writer(answer, retrieval.hits, on_text);
  bool is_written = false;
  if (answer.answerable && writer_model != nullptr) {
    const std::span<const Hit> offered(retrieval.hits.data(), evidence.hits());
    PHIAL_TRY(const GroundedPrompt prompt,
              make_prompt(answer.searched, offered, options.passage_tokens, options.max_tokens, *writer_model));
    answer.hits_dropped = retrieval.hits.size() - prompt.hits_used;
    generate::GenerateRequest request;
    request.messages = prompt.messages;
    request.max_tokens = options.max_tokens;
    request.sampling = options.sampling;
    request.stop = options.stop;
    std::stop_source enough;
    const std::stop_callback stops_too(options.cancel, [&enough] { enough.request_stop(); });
    request.cancel = enough.get_token();
    CitationCheck check(evidence, embedder_);
    const uint64_t parameters = writer_model->parameters();
    SentenceGate gate(check, writer, evidence, offered, parameters > 0 && parameters < kSmallModel);
    PHIAL_TRY(const auto generation, writer_model->generate(request, [&](std::string_view text) {
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
    is_written = gate.any_supported();
    if (is_written) answer.mode = AnswerMode::kGenerated;
    // A model that finds nothing is believed unless the passages speak plainly.
    if (!is_written && says_no_answer(generation.text) && answer.confidence < kSurelyAnswerable)
      answer.answerable = false;
  }
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
          .evidence_end = passage.end};
}

Json to_json(const Citation& citation) {
  return {{"n", citation.n},
          {"path", citation.path},
          {"title", citation.title},
          {"page", citation.page > 0 ? Json(citation.page) : Json()},
          {"heading", citation.heading},
          {"start", citation.start},
          {"end", citation.end},
          {"text", citation.text},
          {"score", citation.score},
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

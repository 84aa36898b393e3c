#include "phial/rag/sentence_gate.h"

#include <algorithm>
#include <utility>

#include "phial/rag/negation.h"
#include "phial/rag/prompt.h"

namespace phial::rag {
namespace {

constexpr std::string_view kUnsupportedMark = " (not supported by your documents)";
constexpr std::string_view kSeenMark = " (read from the picture, not checked)";
constexpr std::string_view kDescribedMark = " (a model's description of the picture, not checked)";
// What our own prompt talks about: a model that speaks of its passages has said nothing of what stands in them.
constexpr std::string_view kPromptWords = "passage document question answer number";
constexpr std::string_view kPictureWords = "picture image figure chart diagram graph show shows shown see seen visible";

// A sentence as it may be shown: no mark that is not ours, and no Markdown that a page would turn into a link or a
// picture from elsewhere.
std::string harmless(std::string_view sentence) {
  std::string text = defuse_marks(sentence);
  for (size_t at = 0; (at = text.find("](", at)) != std::string::npos; ++at) text.insert(at + 1, " ");
  for (size_t at = 0; (at = text.find("![", at)) != std::string::npos;) text.erase(at, 1);
  return text;
}

}  // namespace

void AnswerWriter::write(const CheckedSentence& checked) {
  const Span text = trim(checked.text, {0, checked.text.size()});
  AnswerSentence sentence{.text = harmless(std::string_view(checked.text).substr(text.start, text.size())),
                          .citations = {},
                          .supported = !checked.hits.empty() && !checked.is_seen && !checked.is_described,
                          .seen = checked.is_seen || checked.is_described,
                          .corrected = checked.corrected};
  for (size_t i = 0; i < checked.hits.size(); ++i) {
    sentence.citations.push_back(number_of(checked.hits[i], checked.evidence[i]));
  }
  std::string shown = answer_.text.empty() ? "" : " ";
  shown += sentence.text;
  if (!sentence.supported) {
    shown += checked.is_described ? kDescribedMark : checked.is_seen ? kSeenMark : kUnsupportedMark;
  }
  for (const int n : sentence.citations) shown.append(" [").append(std::to_string(n)).append("]");
  show(shown);
  answer_.sentences.push_back(std::move(sentence));
}

void AnswerWriter::show(std::string_view text) {
  answer_.text += text;
  if (on_text_) on_text_(text);
}

int AnswerWriter::number_of(size_t hit, std::optional<Span> evidence) {
  const int page = evidence_.page_of(hit, hits_[hit].passage.start + (evidence ? evidence->start : 0));
  const int next = static_cast<int>(numbers_.size()) + 1;
  const auto [known, is_new] = numbers_.emplace(std::pair(hit, page), next);
  const int n = known->second;
  if (!is_new) return n;
  Citation citation = citation_of(hits_[hit], n);
  citation.page = page;
  if (evidence) {
    citation.evidence_start = citation.start + evidence->start;
    citation.evidence_end = citation.start + evidence->end;
    citation.heading = hits_[hit].part_at(citation.evidence_start).heading;
  }
  answer_.citations.push_back(std::move(citation));
  return n;
}

SentenceGate::SentenceGate(CitationCheck& check, AnswerWriter& writer, const Evidence& evidence,
                           std::span<const Hit> hits, bool is_small, std::set<size_t> seen, bool only_seen)
    : check_(check), writer_(writer), is_small_(is_small), hits_(hits), seen_(std::move(seen)), only_seen_(only_seen) {
  for (const QuestionWord& word : evidence.question_words()) known_.insert(word.stem);
  for (std::string& stem : content_words(kPromptWords)) known_.insert(std::move(stem));
  if (!seen_.empty()) {
    for (std::string& stem : content_words(kPictureWords)) known_.insert(std::move(stem));
  }
  for (std::string& stem : content_words(instructions())) instructed_.insert(std::move(stem));
  for (const Hit& hit : hits) {
    for (std::string& stem : content_words(hit.passage.title)) known_.insert(std::move(stem));
    for (std::string& stem : content_words(hit.passage.heading)) known_.insert(std::move(stem));
  }
}

void SentenceGate::take(std::string_view text) {
  pending_ += text;
  // The last sentence may still grow, and a mark may follow it.
  const auto sentences = split_sentences(pending_);
  if (sentences.size() < 3) return;
  settle(pending_.substr(sentences[0].start, sentences[1].start - sentences[0].start),
         pending_.substr(sentences[1].start));
}

void SentenceGate::finish(bool is_cut) {
  while (!pending_.empty() && !failure_) {
    const auto sentences = split_sentences(pending_);
    if (sentences.empty() || (is_cut && sentences.size() == 1)) break;
    const size_t end = sentences.size() > 1 ? sentences[1].start : pending_.size();
    settle(pending_.substr(0, end), pending_.substr(end));
  }
}

void SentenceGate::settle(std::string sentence, std::string rest) {
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
  const std::optional<size_t> picture = picture_named(sentence);
  if (picture && (checked->hits.empty() || checked->has_gap)) {
    *checked = {.text = trimmed(take_marks(sentence).text), .hits = {*picture}, .evidence = {}, .is_seen = true};
    checked->evidence.push_back({0, hits_[*picture].passage.text.size()});
  }
  if (!checked->is_seen && (is_beside_the_point(*checked) || is_unsafe(*checked))) return;
  if (checked->hits.empty() || (!any_supported_ && !may_begin(*checked))) {
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

std::optional<size_t> SentenceGate::picture_named(std::string_view sentence) const {
  for (const int number : take_marks(sentence).numbers) {
    if (number > 0 && seen_.contains(static_cast<size_t>(number) - 1)) return static_cast<size_t>(number) - 1;
  }
  return std::nullopt;
}

std::string SentenceGate::trimmed(std::string_view text) {
  const Span span = trim(text, {0, text.size()});
  return std::string(text.substr(span.start, span.size()));
}

bool SentenceGate::may_begin(const CheckedSentence& checked) const {
  if (checked.is_seen != only_seen_) return false;
  if (!checked.is_seen) return is_to_the_point(checked);
  return !says_no_answer(checked.text) && polarity_of(checked.text).denied.empty();
}

Result<CheckedSentence> SentenceGate::check_unnumbered(std::string_view sentence) {
  PHIAL_TRY(CheckedSentence checked, check_.check(sentence));
  const size_t marker = numbering(sentence);
  if (marker == 0 || (!checked.hits.empty() && !checked.corrected)) return checked;
  return check_.check(sentence.substr(marker));
}

bool SentenceGate::is_to_the_point(const CheckedSentence& checked) const {
  return checked.relevance >= (is_small_ ? kSmallToThePoint : checked.has_gap ? kToThePoint : 0);
}

bool SentenceGate::is_beside_the_point(const CheckedSentence& checked) const {
  if (checked.has_gap || (is_small_ && speaks_of_passages(checked.text))) return !is_to_the_point(checked);
  return is_small_ && !checked.hits.empty() && checked.relevance < kAside;
}

bool SentenceGate::is_unsafe(const CheckedSentence& checked) const {
  if (!is_small_) return false;
  const bool is_fragment = content_words(checked.text).size() < kFewestWords;
  return is_fragment || !checked.is_copied;
}

bool SentenceGate::speaks_of_passages(std::string_view sentence) const {
  const auto words = content_words(sentence);
  return std::ranges::find(words, passage_) != words.end();
}

bool SentenceGate::says_something_new(std::string_view sentence) {
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

}  // namespace phial::rag

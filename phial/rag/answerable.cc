#include "phial/rag/answerable.h"

#include <algorithm>
#include <cmath>

namespace phial::rag {
namespace {
constexpr double kMaxNameShare = 0.75;
// Of a sentence that seems not to hold an answer of the type; types are told by plain words, and err.
constexpr double kMostOfAnotherType = -8;
}  // namespace

Json to_json(const AnswerSigns& signs) {
  return {{"joint", signs.joint},
          {"contrast", signs.contrast},
          {"missing_names", signs.missing_names},
          {"missing", signs.missing},
          {"size", signs.size},
          {"type_mismatch", signs.type_mismatch},
          {"reading", signs.reading ? Json(*signs.reading) : Json()}};
}

namespace {

// A question about PostgreSQL is not answered by a passage that never names it, however near its words are.
double missing_names(const Evidence& evidence) {
  const auto words = evidence.question_words();
  const auto names =
      static_cast<double>(std::count_if(words.begin(), words.end(), [](const auto& word) { return word.is_name; }));
  // Where most words begin with a capital (German, titles) a capital says nothing.
  if (names == 0 || names > kMaxNameShare * static_cast<double>(words.size())) return 0;
  double best = 0;
  for (size_t hit = 0; hit < evidence.hits(); ++hit) {
    const auto found = std::count_if(words.begin(), words.end(), [&](const auto& word) {
      return word.is_name && evidence.stems_of(hit).contains(word.stem);
    });
    best = std::max(best, static_cast<double>(found) / names);
  }
  return 1 - best;
}

}  // namespace

AnswerSigns signs_of(const Evidence& evidence) {
  AnswerSigns signs;
  double sum = 0;
  double best = 0;
  double most_relevant = 0;
  double fitting = 0;
  for (const EvidenceSentence& sentence : evidence.sentences()) {
    sum += sentence.cosine;
    best = std::max(best, static_cast<double>(sentence.cosine));
    if (sentence.reading) {
      const double read = *sentence.reading;
      const bool is_of_type = sentence.can_answer || sentence.row;  // what a cell holds may be said in the first row
      const double reading = is_of_type ? read : std::min(read, kMostOfAnotherType);
      signs.reading = std::max(signs.reading.value_or(kLeastReading), reading);
    }
    if (sentence.is_statement) most_relevant = std::max(most_relevant, sentence.relevance());
    if (sentence.is_statement && sentence.can_answer) fitting = std::max(fitting, sentence.relevance());
    signs.joint = std::max(signs.joint, (sentence.cosine + evidence.overlap(evidence.stems_of(sentence.hit))) / 2);
  }
  if (!evidence.sentences().empty()) {
    signs.contrast = std::max(best - sum / static_cast<double>(evidence.sentences().size()), 0.0);
  }
  if (most_relevant > 0) signs.type_mismatch = 1 - fitting / most_relevant;
  signs.missing_names = missing_names(evidence);
  signs.size = std::log10(1 + static_cast<double>(evidence.library_passages()));
  double all = 0;
  for (const QuestionWord& word : evidence.question_words()) {
    all += word.weight;
    if (word.passages == 0) signs.missing += word.weight;
  }
  if (all > 0) signs.missing /= all;
  return signs;
}

double confidence(const AnswerSigns& signs) {
  // bench/answers.py fit
  const double z = signs.reading ? 1.40 + 1.87 * signs.joint + 2.67 * signs.contrast - 1.54 * signs.missing_names -
                                       0.13 * signs.missing - 0.30 * signs.size - 2.98 * signs.type_mismatch +
                                       0.30 * *signs.reading
                                 : -1.66 + 4.05 * signs.joint + 3.99 * signs.contrast - 1.63 * signs.missing_names -
                                       0.58 * signs.missing - 0.39 * signs.size - 3.20 * signs.type_mismatch;
  return 1 / (1 + std::exp(-z));
}

}  // namespace phial::rag

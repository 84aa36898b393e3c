#include "phial/rag/answerable.h"

#include <algorithm>
#include <cmath>

namespace phial::rag {
namespace {
constexpr double kMaxNameShare = 0.75;
}

Json to_json(const AnswerSigns& signs) {
  return {{"best_cosine", signs.best_cosine},
          {"passage_cosine", signs.passage_cosine},
          {"best_overlap", signs.best_overlap},
          {"sentence_overlap", signs.sentence_overlap},
          {"contrast", signs.contrast},
          {"joint", signs.joint},
          {"missing_names", signs.missing_names},
          {"missing", signs.missing},
          {"size", signs.size}};
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

AnswerSigns signs_of(const Evidence& evidence, std::span<const Hit> hits) {
  AnswerSigns signs;
  for (const Hit& hit : hits) signs.passage_cosine = std::max(signs.passage_cosine, hit.cosine);
  double sum = 0;
  for (const EvidenceSentence& sentence : evidence.sentences()) {
    sum += sentence.cosine;
    signs.best_cosine = std::max(signs.best_cosine, static_cast<double>(sentence.cosine));
    signs.sentence_overlap = std::max(signs.sentence_overlap, sentence.overlap);
    signs.joint = std::max(signs.joint, (sentence.cosine + evidence.overlap(evidence.stems_of(sentence.hit))) / 2);
  }
  if (!evidence.sentences().empty()) {
    signs.contrast = std::max(signs.best_cosine - sum / static_cast<double>(evidence.sentences().size()), 0.0);
  }
  for (size_t hit = 0; hit < evidence.hits(); ++hit) {
    signs.best_overlap = std::max(signs.best_overlap, evidence.overlap(evidence.stems_of(hit)));
  }
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
  const double z = -0.69 + 4.17 * signs.joint + 4.19 * signs.contrast - 2.03 * signs.missing_names -
                   2.06 * signs.missing - 0.73 * signs.size;
  return 1 / (1 + std::exp(-z));
}

}  // namespace phial::rag

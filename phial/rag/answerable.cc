#include "phial/rag/answerable.h"

#include <algorithm>
#include <cmath>

namespace phial::rag {

Json to_json(const AnswerSigns& signs) {
  return {{"best_cosine", signs.best_cosine},
          {"passage_cosine", signs.passage_cosine},
          {"best_overlap", signs.best_overlap},
          {"sentence_overlap", signs.sentence_overlap},
          {"missing", signs.missing}};
}

AnswerSigns signs_of(const Evidence& evidence, std::span<const Hit> hits) {
  AnswerSigns signs;
  for (const Hit& hit : hits) signs.passage_cosine = std::max(signs.passage_cosine, hit.cosine);
  for (const EvidenceSentence& sentence : evidence.sentences()) {
    signs.best_cosine = std::max(signs.best_cosine, static_cast<double>(sentence.cosine));
    signs.sentence_overlap = std::max(signs.sentence_overlap, sentence.overlap);
  }
  for (size_t hit = 0; hit < evidence.hits(); ++hit) {
    signs.best_overlap = std::max(signs.best_overlap, evidence.overlap(evidence.stems_of(hit)));
  }
  double all = 0;
  for (const QuestionWord& word : evidence.question_words()) {
    all += word.weight;
    if (word.passages == 0) signs.missing += word.weight;
  }
  if (all > 0) signs.missing /= all;
  return signs;
}

double confidence(const AnswerSigns& signs) {
  const double z = -5.5 + 4.0 * signs.best_cosine + 3.0 * signs.passage_cosine + 4.0 * signs.best_overlap +
                   1.0 * signs.sentence_overlap - 2.0 * signs.missing;
  return 1 / (1 + std::exp(-z));
}

}  // namespace phial::rag

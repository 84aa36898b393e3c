// Do the passages found hold an answer at all?
//
// A logistic model over what retrieval knows: whether a sentence near to the question and the question's words meet in
// one place, how far that sentence stands out, whether a name that the question is about or an answer of the type that
// it asks for is absent, and how large the library is. Its coefficients are fitted (bench/answers.py fit).
// Threads: any.
#pragma once

#include <optional>

#include "phial/base/json.h"
#include "phial/rag/evidence.h"

namespace phial::rag {

struct AnswerSigns {
  double contrast = 0;       // by how much the best sentence is nearer than those looked at on average
  double joint = 0;          // best mean of a sentence's cosine and its passage's share of the question's weight
  double missing_names = 0;  // share of the question's names and codes that no passage looked at has together
  double size = 0;           // of the library: passages, as a power of ten; among many, one is near by chance
  double missing = 0;        // share of the question's weight in words that no passage of the library has
  double type_mismatch = 0;  // by what share the best sentence that can hold an answer of the type falls short
  // Log odds of the sentence likeliest to hold the answer (rag/extractive_reader.h), little for one of another type.
  std::optional<double> reading;
};

Json to_json(const AnswerSigns& signs);

AnswerSigns signs_of(const Evidence& evidence);

// The chance that the passages hold the answer, 0 to 1; from kAnswerable on they are taken to.
double confidence(const AnswerSigns& signs);
inline constexpr double kAnswerable = 0.5;

}  // namespace phial::rag

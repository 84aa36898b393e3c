// What `ask` and `chat --docs` share: the person's documents made ready for questions.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "phial/cli/console.h"
#include "phial/cli/libraries.h"
#include "phial/cli/model_flags.h"
#include "phial/rag/answer.h"

namespace phial::cli {

struct GroundingFlags {
  std::vector<std::string> docs;
  std::optional<std::string> library, embedder;
  int passage_tokens = rag::AnswerOptions{}.passage_tokens;
  int figures = rag::AnswerOptions{}.figures;
  int passages = static_cast<int>(rag::SearchOptions{}.k);
  FilterFlags filter;
  ScanFlags scan;

  void describe(Flags& flags);
  void describe_details(Flags& flags);
  Status check() const;
  bool given() const { return !docs.empty() || library.has_value(); }
  // Without --docs and --library: the default library.
  std::string library_name() const;
  Result<rag::AnswerOptions> answer_options(const SamplingFlags& sampling) const;
};

// A library with the model that searches it, in step with --docs.
struct Grounding {
  std::unique_ptr<rag::Embedder> embedder;
  std::unique_ptr<rag::Store> store;

  static Result<Grounding> open(const GroundingFlags& flags, const ComputeFlags& compute, ThreadPool& pool,
                                Console& console);
};

// The places that an answer names, for a person.
std::string citations_text(const rag::Answer& answer);

}  // namespace phial::cli

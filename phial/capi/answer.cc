#include "phial/capi/boundary.h"
#include "phial/capi/handles.h"

namespace phial::capi {
namespace {

phial_answer_info info_of(const rag::Answer& answer) {
  return {.size = sizeof(phial_answer_info),
          .text = answer.text.c_str(),
          .answerable = answer.answerable ? 1 : 0,
          .quoted = answer.mode == rag::AnswerMode::kQuoted ? 1 : 0,
          .confidence = answer.confidence,
          .citation_count = answer.citations.size(),
          .prompt_tokens = answer.prompt_tokens,
          .generated_tokens = answer.generated_tokens,
          .retrieve_ms = answer.retrieve_ms,
          .first_token_ms = answer.first_token_ms,
          .total_ms = answer.total_ms};
}

phial_citation tell(const rag::Citation& citation) {
  return {.size = sizeof(phial_citation),
          .path = citation.path.c_str(),
          .title = citation.title.c_str(),
          .heading = citation.heading.c_str(),
          .text = citation.text.c_str(),
          .n = citation.n,
          .page = citation.page,
          .start = citation.start,
          .end = citation.end,
          .evidence_start = citation.evidence_start,
          .evidence_end = citation.evidence_end,
          .score = citation.score};
}

}  // namespace
}  // namespace phial::capi

using namespace phial::capi;  // NOLINT(google-build-using-namespace): this file defines C functions

void phial_answer_free(phial_answer* answer) { delete answer; }

phial_code phial_answer_get_info(const phial_answer* answer, phial_answer_info* info, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(answer, "the answer"));
    return write_info(info_of(answer->answer), sizeof(phial_answer_info), info);
  });
}

phial_code phial_answer_get_citation(const phial_answer* answer, size_t index, phial_citation* citation,
                                     phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(answer, "the answer"));
    const auto& all = answer->answer.citations;
    if (index >= all.size()) {
      return phial::Error{phial::Code::kOutOfRange,
                          "citation " + std::to_string(index) + " of " + std::to_string(all.size()), ""};
    }
    return write_info(tell(all[index]), sizeof(phial_citation), citation);
  });
}

const char* phial_answer_json(const phial_answer* answer) { return answer == nullptr ? "" : answer->json.c_str(); }

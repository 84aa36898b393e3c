// A follow-up question -> one that stands alone, for the search.
//
// The model may reword it; its wording is taken only if it keeps the follow-up's own words, brings none that were never
// said, and leaves no pronoun open. Else the words of the question before are put beside the follow-up's: clumsy, but
// right for a search, whatever the model.
// Threads: as the model.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "phial/base/result.h"
#include "phial/generate/language_model.h"

namespace phial::rag {

// Does the question lean on what was said before: a pronoun, "and ...?", hardly a word of its own? ("Who is the
// landlord?" names what it asks for, and does not.)
bool leans_on_history(std::string_view question);

// "Thanks!", "hello": nothing is asked.
bool is_courtesy(std::string_view question);

// `model` may be null. An error only when cancelled.
Result<std::string> standalone_question(std::string_view question, std::span<const generate::Message> history,
                                        generate::LanguageModel* model, const std::stop_token& cancel);

}  // namespace phial::rag

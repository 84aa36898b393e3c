// The type of answer that a question asks for ("how many", "when", "what does it cost"), and whether a text can hold
// one.
//
// The expected answer type of question answering (Li and Roth, Learning Question Classifiers, COLING 2002), as far as
// plain words tell it, in English and German; everything else may be answered by anything. It is lenient: that a type
// is missing from a text says more than that it is there. Threads: any.
#pragma once

#include <string_view>

namespace phial::rag {

// kExplanation ("why", "how do I") may be answered by anything, and seldom by one sentence alone.
enum class AnswerType { kAny, kNumber, kDuration, kMoney, kTime, kPhone, kEmail, kExplanation };

AnswerType answer_type_of(std::string_view question);

bool can_answer(AnswerType type, std::string_view text);

}  // namespace phial::rag

// The prompt of a grounded answer.
//
// Document text cannot pass for structure: every line of it is indented, our own lines are not, and nothing in it reads
// like a passage's number ("[3]" becomes "(3)"). Role markers and pictures are the LanguageModel's promise: content is
// data.
// Threads: any.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/generate/language_model.h"
#include "phial/rag/retrieve.h"

namespace phial::rag {

struct GroundedPrompt {
  std::vector<generate::Message> messages;
  size_t hits_used = 0;  // the first ones; number n is hit n - 1
  int tokens = 0;
  std::vector<size_t> text_at;  // for each hit used, the byte of the question's message at which its text begins

  // Between the hit's number and its text, after its pictures so far; hits in ascending order. `tokens` is the
  // caller's.
  void add_picture(size_t hit, generate::Picture picture);
};

// What a model is asked to write when the passages hold no answer.
inline constexpr std::string_view kNotInPassages = "NOT IN THE DOCUMENTS";

// Whether a model wrote that, or nearly.
bool says_no_answer(std::string_view draft);

// What the system message says: a weak model repeats it in its answer.
std::string_view instructions();

struct PromptOptions {
  int passage_tokens = 0, answer_tokens = 0;
  std::string_view wishes = {};  // of the person, behind our own instructions
};

// Takes hits, best first, as long as they fit into `passage_tokens` and, with the rest and `answer_tokens`, into the
// model's context. kOutOfRange if not even a shortened first passage fits.
Result<GroundedPrompt> make_prompt(std::string_view question, std::span<const Hit> hits, const PromptOptions& options,
                                   const generate::LanguageModel& model);

// One passage as it stands in the prompt.
std::string render_passage(size_t number, const StoredPassage& passage);

}  // namespace phial::rag

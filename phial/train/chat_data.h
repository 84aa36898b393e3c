// Conversations and preferences as token ids: a model's own chat template over files of formats/conversations.
//
// Errors: those of formats/conversations and generate/chat, naming file and row; kInvalid if nothing is left of a file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/log.h"
#include "phial/base/result.h"
#include "phial/generate/chat.h"
#include "phial/train/start_model.h"

namespace phial::train {

// [ids], and of each whether it is an answer's: those are what the loss is of.
using TokenizedAnswer = generate::EncodedConversation;

struct TokenizedPair {
  TokenizedAnswer chosen, rejected;
};

// What would not fit into `most_tokens` is cut off; `log` is told how many are, and how many lost all their answers and
// are left out. A list for each file.
Result<std::vector<std::vector<TokenizedAnswer>>> tokenize_conversations(const std::vector<std::string>& files,
                                                                         const StartModel& model, int64_t most_tokens,
                                                                         const Log& log);
// One list for all files. A pair of which one side lost its answer is left out.
Result<std::vector<TokenizedPair>> tokenize_preferences(const std::vector<std::string>& files, const StartModel& model,
                                                        int64_t most_tokens, const Log& log);

// A hash of all ids and of what is an answer: other data has another.
uint64_t fingerprint(uint64_t seed, const TokenizedAnswer& answer);

}  // namespace phial::train

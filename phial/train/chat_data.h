// Conversations and preferences as token ids: a model's own chat template over files of formats/conversations.
//
// Errors: those of formats/conversations, generate/chat and training_picture.h, naming file and row; kInvalid if
// nothing is left of a file, and for a row whose pictures do not fit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "phial/base/log.h"
#include "phial/base/result.h"
#include "phial/generate/chat.h"
#include "phial/train/start_model.h"
#include "phial/train/training_picture.h"

namespace phial::train {

// [ids], and of each whether it is an answer's: those are what the loss is of. Below 0 are the ids of pictures' tokens.
struct TokenizedAnswer {
  struct Picture {
    std::shared_ptr<const TrainingPicture> picture;
    size_t position = 0;  // of its first token
  };
  std::vector<int32_t> ids;
  std::vector<bool> is_answer;
  std::vector<Picture> pictures = {};
};

struct TokenizedPair {
  TokenizedAnswer chosen, rejected;
};

// Pictures' files are named by their paths from the file's folder, or by whole ones; each tag <|image_k|> stands once
// in what is said to the assistant, and no other tag anywhere. What would not fit into `most_tokens` is cut off; `log`
// is told how many are, and how many lost all their answers and are left out. A list for each file.
Result<std::vector<std::vector<TokenizedAnswer>>> tokenize_conversations(const std::vector<std::string>& files,
                                                                         const StartModel& model, int64_t most_tokens,
                                                                         const Log& log);
// One list for all files. A pair of which one side lost its answer is left out.
Result<std::vector<TokenizedPair>> tokenize_preferences(const std::vector<std::string>& files, const StartModel& model,
                                                        int64_t most_tokens, const Log& log);

// The pictures of `answer`, whose first token stands at `position` of a row of `batch`; uncut.
void add_pictures(const TokenizedAnswer& answer, int64_t row, int64_t position, Batch& batch);

// A hash of all ids, of what is an answer and of the pictures: other data has another.
uint64_t fingerprint(uint64_t seed, const TokenizedAnswer& answer);

}  // namespace phial::train

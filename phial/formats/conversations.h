// Conversations to learn from, and preferences between two answers, as the field's data sets keep them.
//
// A .jsonl file has one JSON object a line (empty lines are skipped), a .json file is an array of objects. The fields
// that a row has say how it is read; where it has several, the first of these counts, and fields not named here are
// left alone. A null field is as one that is missing.
//   A conversation: "messages", or "conversations" (ShareGPT): a list of turns;
//     "instruction" (after a blank line, "input") and "output" (Alpaca);
//     "prompt" and "completion": each a text or a list of turns.
//   A preference: "chosen" and "rejected", each a text, a turn or a list of turns, after
//     "conversations", "instruction" with "input", or "prompt", as above; answers that repeat that prompt at their
//     start are taken without it;
//     alone: two lists, or two texts of the HH set ("\n\nHuman: ...\n\nAssistant: ..."). Their common start, up to its
//     last turn of a user, is the prompt.
// A turn is {"role", "content"} or {"from", "value"}; human is another name for user, gpt for assistant. A "system"
// text beside any of these is the first turn. An empty system text is left out.
//
// Texts are valid UTF-8. Rows stay in their order.
// Errors name the file and the line or item: kCorrupt for malformed JSON and values of the wrong kind; kUnsupported for
// other roles, tool calls and content that is not text, also for files of other names; kInvalid for rows without what
// their fields above promise, and for a file without rows; kNotFound, kIo. Threads: any number.
// Memory: all rows; of a .json file the whole document beside them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial::formats {

struct Turn {
  std::string role;  // "system", "user" or "assistant"
  std::string text;

  bool operator==(const Turn&) const = default;
};

// At least one turn is an assistant's and has text.
struct Conversation {
  std::vector<Turn> turns;
  std::vector<std::string> images = {};  // as the row names them
};

// `prompt` ends with a user's turn. `chosen` and `rejected` are what follows: they differ, and begin and end with an
// assistant's turn, whose text may be empty.
struct Preference {
  std::vector<Turn> prompt, chosen, rejected;
  std::vector<std::string> images = {};
};

Result<std::vector<Conversation>> read_conversations(const std::filesystem::path& path);
Result<std::vector<Preference>> read_preferences(const std::filesystem::path& path);

// One row. Its errors cannot name the file.
Result<Conversation> conversation_from_json(const Json& row);
Result<Preference> preference_from_json(const Json& row);

}  // namespace phial::formats

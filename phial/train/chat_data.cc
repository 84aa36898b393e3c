#include "phial/train/chat_data.h"

#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <span>

#include "phial/formats/conversations.h"
#include "phial/tokenizer/load.h"

namespace phial::train {
namespace {

struct Tokenization {
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  generate::Chat chat;
};

Result<Tokenization> tokenization_of(const StartModel& model, const Log& log) {
  if (!model.weights) return Error{Code::kInvalid, "no model is named", "give model.start, a folder with weights"};
  PHIAL_TRY(auto tokenizer, tokenizer::from_folder(model.folder));
  PHIAL_TRY(const generate::ChatFacts facts, generate::read_chat_facts(*model.weights));
  // Templates that write a date write the same one whenever they are run: the data of a run does not change.
  generate::Chat chat = generate::Chat::make(facts, *tokenizer, "2024-07-26", log);
  return Tokenization{std::move(tokenizer), std::move(chat)};
}

std::vector<generate::Message> messages_of(std::span<const formats::Turn> turns) {
  std::vector<generate::Message> messages;
  messages.reserve(turns.size());
  for (const formats::Turn& turn : turns) messages.push_back({turn.role, turn.text});
  return messages;
}

// What became of the rows of the files.
struct Cuts {
  size_t rows = 0, cut = 0, left_out = 0;

  // False if no answer is left of it.
  bool cut_to(int64_t most_tokens, TokenizedAnswer& answer) {
    const auto most = static_cast<size_t>(most_tokens);
    if (answer.ids.size() > most) {
      ++cut;
      answer.ids.resize(most);
      answer.is_answer.resize(most);
    }
    // The first id is never a target: nothing stands before it.
    if (!answer.is_answer.empty()) answer.is_answer[0] = false;
    return std::ranges::find(answer.is_answer, true) != answer.is_answer.end();
  }

  Status tell(const Log& log, int64_t most_tokens) const {
    if (cut > 0) {
      log(Severity::kWarning,
          std::to_string(cut) + " of " + std::to_string(rows) + " are longer than " + std::to_string(most_tokens) +
              " tokens and are cut" +
              (left_out == 0 ? "" : "; " + std::to_string(left_out) + " have no answer left and are left out"));
    }
    if (rows > left_out) return ok();
    return Error{Code::kInvalid, rows == 0 ? "no file of data is named" : "no answer fits into data.sequence_tokens",
                 rows == 0 ? "give data.files" : "take a larger data.sequence_tokens"};
  }
};

}  // namespace

Result<std::vector<std::vector<TokenizedAnswer>>> tokenize_conversations(const std::vector<std::string>& files,
                                                                         const StartModel& model, int64_t most_tokens,
                                                                         const Log& log) {
  PHIAL_TRY(const Tokenization tokenization, tokenization_of(model, log));
  std::vector<std::vector<TokenizedAnswer>> all;
  Cuts cuts;
  for (const std::string& file : files) {
    PHIAL_TRY(const auto conversations, formats::read_conversations(file));
    std::vector<TokenizedAnswer>& own = all.emplace_back();
    for (const formats::Conversation& conversation : conversations) {
      auto encoded = tokenization.chat.encode_conversation(messages_of(conversation.turns));
      if (!encoded) return std::move(encoded).error().in(file);
      ++cuts.rows;
      if (cuts.cut_to(most_tokens, *encoded)) {
        own.push_back(*std::move(encoded));
      } else {
        ++cuts.left_out;
      }
    }
  }
  PHIAL_CHECKED(cuts.tell(log, most_tokens));
  return all;
}

Result<std::vector<TokenizedPair>> tokenize_preferences(const std::vector<std::string>& files, const StartModel& model,
                                                        int64_t most_tokens, const Log& log) {
  PHIAL_TRY(const Tokenization tokenization, tokenization_of(model, log));
  std::vector<TokenizedPair> all;
  Cuts cuts;
  for (const std::string& file : files) {
    PHIAL_TRY(const auto preferences, formats::read_preferences(file));
    for (const formats::Preference& preference : preferences) {
      const auto encode = [&](const std::vector<formats::Turn>& answer) {
        std::vector<formats::Turn> turns = preference.prompt;
        turns.insert(turns.end(), answer.begin(), answer.end());
        return tokenization.chat.encode_conversation(messages_of(turns), preference.prompt.size());
      };
      auto chosen = encode(preference.chosen);
      auto rejected = encode(preference.rejected);
      if (!chosen) return std::move(chosen).error().in(file);
      if (!rejected) return std::move(rejected).error().in(file);
      ++cuts.rows;
      const bool has_chosen = cuts.cut_to(most_tokens, *chosen);
      if (cuts.cut_to(most_tokens, *rejected) && has_chosen) {
        all.push_back({*std::move(chosen), *std::move(rejected)});
      } else {
        ++cuts.left_out;
      }
    }
  }
  PHIAL_CHECKED(cuts.tell(log, most_tokens));
  return all;
}

uint64_t fingerprint(uint64_t seed, const TokenizedAnswer& answer) {
  const uint64_t hash = XXH3_64bits_withSeed(answer.ids.data(), answer.ids.size() * sizeof(int32_t), seed);
  const std::vector<char> flags(answer.is_answer.begin(), answer.is_answer.end());
  return XXH3_64bits_withSeed(flags.data(), flags.size(), hash);
}

}  // namespace phial::train

#include "phial/train/chat_data.h"

#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <span>
#include <string_view>

#include "phial/formats/conversations.h"

namespace phial::train {
namespace {

Result<generate::Chat> chat_of(const StartModel& model, const Log& log) {
  if (!model.tokenizer) {
    return Error{Code::kNotFound, model.folder.string() + " has no tokenizer",
                 "put the files of one beside config.json"};
  }
  PHIAL_TRY(const generate::ChatFacts facts, generate::read_chat_facts(model.config, model.folder));
  if (facts.template_text.empty()) {
    log(Severity::kNote, model.folder.string() + " has no chat template: that of family '" +
                             std::string(generate::builtin_format(*model.tokenizer).family) + "' serves");
  }
  // Templates that write a date write the same one whenever they are run: the data of a run does not change.
  return generate::Chat::make(facts, *model.tokenizer, "2024-07-26", log);
}

std::vector<generate::Message> messages_of(std::span<const formats::Turn> turns) {
  std::vector<generate::Message> messages;
  messages.reserve(turns.size());
  for (const formats::Turn& turn : turns) messages.push_back({turn.role, turn.text});
  return messages;
}

// The numbers of all tags <|image_k|> of a text, as they are written.
std::vector<std::string> tags_in(std::string_view text) {
  constexpr std::string_view kBegin = "<|image_", kEnd = "|>";
  std::vector<std::string> numbers;
  for (size_t at = 0; (at = text.find(kBegin, at)) != text.npos;) {
    at += kBegin.size();
    const size_t end = std::min(text.find_first_not_of("0123456789", at), text.size());
    if (end > at && text.substr(end).starts_with(kEnd)) numbers.emplace_back(text.substr(at, end - at));
  }
  return numbers;
}

size_t times_named(std::span<const formats::Turn> turns, const std::string& tag) {
  size_t n = 0;
  for (const formats::Turn& turn : turns) {
    for (size_t at = 0; (at = turn.text.find(tag, at)) != std::string::npos; at += tag.size()) ++n;
  }
  return n;
}

// Conversations of a model, with the pictures of a file's rows. A picture that several rows name is looked at once.
class Encoder {
 public:
  Encoder(const generate::Chat& chat, const StartModel& model, const std::string& file, int64_t most_tokens)
      : chat_(chat), model_(model), folder_(std::filesystem::path(file).parent_path()), most_tokens_(most_tokens) {}

  // `first`: of the turns whose answers count.
  Result<TokenizedAnswer> operator()(std::span<const formats::Turn> turns, const std::vector<std::string>& images,
                                     size_t first = 0) {
    std::vector<std::shared_ptr<const TrainingPicture>> pictures;
    std::vector<int> tokens;
    PHIAL_CHECKED(check_tags(turns, images.size()));
    for (const std::string& image : images) {
      PHIAL_TRY(pictures.emplace_back(), look_at(image));
      tokens.push_back(pictures.back()->tokens());
    }
    PHIAL_TRY(generate::EncodedConversation encoded, chat_.encode_conversation(messages_of(turns), first, tokens));
    TokenizedAnswer answer = {std::move(encoded.ids), std::move(encoded.is_answer)};
    for (size_t at = 0; at < answer.ids.size();) {
      if (answer.ids[at] >= 0) {
        ++at;
        continue;
      }
      const auto k = static_cast<size_t>(-(answer.ids[at] + 1));
      answer.pictures.push_back({pictures[k], at});
      at += static_cast<size_t>(tokens[k]);
      if (at > static_cast<size_t>(most_tokens_)) {
        return Error{Code::kInvalid,
                     "with " + images[k] + ", which takes " + std::to_string(tokens[k]) +
                         " tokens, the row is longer than data.sequence_tokens, " + std::to_string(most_tokens_),
                     "take a larger data.sequence_tokens, or fewer tiles a picture"};
      }
    }
    return answer;
  }

 private:
  Status check_tags(std::span<const formats::Turn> turns, size_t images) const {
    if (images > 0 && !model_.vision) {
      return Error{Code::kUnsupported, "has images, and the model sees none",
                   "take a model that sees, or leave it out"};
    }
    for (size_t k = 1; k <= images; ++k) {
      const size_t n = times_named(turns, generate::picture_tag(k));
      if (n == 1) continue;
      return Error{
          Code::kInvalid,
          "has " + std::to_string(images) + " images and " + std::to_string(n) + " times " + generate::picture_tag(k),
          "name each image once in the texts"};
    }
    if (!model_.vision) return ok();
    for (const formats::Turn& turn : turns) PHIAL_CHECKED(check_tags_of(turn, images));
    return ok();
  }

  static Status check_tags_of(const formats::Turn& turn, size_t images) {
    for (const std::string& number : tags_in(turn.text)) {
      const std::string tag = "<|image_" + number + "|>";
      if (turn.role == "assistant") {
        return Error{Code::kInvalid, "has " + tag + " in an answer: pictures are shown, not said",
                     "name it in what the user says"};
      }
      size_t k = 0;
      while (k < images && generate::picture_tag(k + 1) != tag) ++k;
      if (k < images) continue;
      return Error{Code::kInvalid, "has " + std::to_string(images) + " images and names " + tag,
                   "name the files in 'images', and count them from 1"};
    }
    return ok();
  }

  Result<std::shared_ptr<const TrainingPicture>> look_at(const std::string& image) {
    auto& known = known_[image];
    if (!known) {
      PHIAL_TRY(TrainingPicture opened, TrainingPicture::open(folder_ / image, *model_.vision));
      known = std::make_shared<const TrainingPicture>(std::move(opened));
    }
    return known;
  }

  const generate::Chat& chat_;
  const StartModel& model_;
  std::filesystem::path folder_;
  int64_t most_tokens_;
  std::map<std::string, std::shared_ptr<const TrainingPicture>> known_;
};

// What becomes of the rows of a file.
class Cuts {
 public:
  Cuts(std::string file, int64_t most_tokens) : file_(std::move(file)), most_(static_cast<size_t>(most_tokens)) {}

  // True if all of a row's `sides` have an answer left.
  bool take(std::initializer_list<TokenizedAnswer*> sides) {
    bool is_cut = false, is_whole = true;
    for (TokenizedAnswer* side : sides) {
      if (side->ids.size() > most_) {
        is_cut = true;
        side->ids.resize(most_);
        side->is_answer.resize(most_);
      }
      // The first id is never a target: nothing stands before it.
      if (!side->is_answer.empty()) side->is_answer[0] = false;
      if (std::ranges::find(side->is_answer, true) == side->is_answer.end()) is_whole = false;
    }
    ++rows_;
    cut_ += is_cut ? 1 : 0;
    left_out_ += is_whole ? 0 : 1;
    return is_whole;
  }

  size_t rows() const { return rows_; }

  Status tell(const Log& log) const {
    const std::string most = std::to_string(most_);
    if (rows_ == left_out_) {
      return Error{Code::kInvalid, file_ + ": no answer fits into data.sequence_tokens, " + most,
                   "take a larger data.sequence_tokens"};
    }
    if (cut_ > 0) {
      std::string text = file_ + ": " + std::to_string(cut_) + " of " + std::to_string(rows_);
      text += " are longer than " + most + " tokens and are cut";
      if (left_out_ > 0) text += "; " + std::to_string(left_out_) + " have no answer left and are left out";
      log(Severity::kWarning, text);
    }
    return ok();
  }

 private:
  std::string file_;
  size_t most_;
  size_t rows_ = 0, cut_ = 0, left_out_ = 0;
};

Status check_named(const std::vector<std::string>& files) {
  return files.empty() ? Error{Code::kInvalid, "no file of data is named", "give data.files"} : ok();
}

// `row`: counted from 0.
Error in_row(Error error, const std::string& file, size_t row) {
  return std::move(error).in(file + ", row " + std::to_string(row + 1));
}

}  // namespace

Result<std::vector<std::vector<TokenizedAnswer>>> tokenize_conversations(const std::vector<std::string>& files,
                                                                         const StartModel& model, int64_t most_tokens,
                                                                         const Log& log) {
  PHIAL_CHECKED(check_named(files));
  PHIAL_TRY(const generate::Chat chat, chat_of(model, log));
  std::vector<std::vector<TokenizedAnswer>> all;
  for (const std::string& file : files) {
    PHIAL_TRY(const auto conversations, formats::read_conversations(file));
    std::vector<TokenizedAnswer>& own = all.emplace_back();
    Cuts cuts(file, most_tokens);
    Encoder encode(chat, model, file, most_tokens);
    for (const formats::Conversation& conversation : conversations) {
      auto encoded = encode(conversation.turns, conversation.images);
      if (!encoded) return in_row(std::move(encoded).error(), file, cuts.rows());
      if (cuts.take({&*encoded})) own.push_back(*std::move(encoded));
    }
    PHIAL_CHECKED(cuts.tell(log));
  }
  return all;
}

Result<std::vector<TokenizedPair>> tokenize_preferences(const std::vector<std::string>& files, const StartModel& model,
                                                        int64_t most_tokens, const Log& log) {
  PHIAL_CHECKED(check_named(files));
  PHIAL_TRY(const generate::Chat chat, chat_of(model, log));
  std::vector<TokenizedPair> all;
  for (const std::string& file : files) {
    PHIAL_TRY(const auto preferences, formats::read_preferences(file));
    Cuts cuts(file, most_tokens);
    Encoder encode_turns(chat, model, file, most_tokens);
    for (const formats::Preference& preference : preferences) {
      const auto encode = [&](const std::vector<formats::Turn>& answer) {
        std::vector<formats::Turn> turns = preference.prompt;
        turns.insert(turns.end(), answer.begin(), answer.end());
        return encode_turns(turns, preference.images, preference.prompt.size());
      };
      auto chosen = encode(preference.chosen);
      auto rejected = encode(preference.rejected);
      if (!chosen) return in_row(std::move(chosen).error(), file, cuts.rows());
      if (!rejected) return in_row(std::move(rejected).error(), file, cuts.rows());
      if (cuts.take({&*chosen, &*rejected})) all.push_back({*std::move(chosen), *std::move(rejected)});
    }
    PHIAL_CHECKED(cuts.tell(log));
  }
  return all;
}

void add_pictures(const TokenizedAnswer& answer, int64_t row, int64_t position, Batch& batch) {
  for (const auto& [picture, first] : answer.pictures) {
    batch.pictures.push_back({.row = row,
                              .position = position + static_cast<int64_t>(first),
                              .tile_rows = picture->grid().rows,
                              .tile_cols = picture->grid().cols,
                              .source = picture});
  }
}

uint64_t fingerprint(uint64_t seed, const TokenizedAnswer& answer) {
  uint64_t hash = XXH3_64bits_withSeed(answer.ids.data(), answer.ids.size() * sizeof(int32_t), seed);
  const std::vector<char> flags(answer.is_answer.begin(), answer.is_answer.end());
  hash = XXH3_64bits_withSeed(flags.data(), flags.size(), hash);
  for (const auto& [picture, position] : answer.pictures) {
    const uint64_t own = picture->hash();
    hash = XXH3_64bits_withSeed(&own, sizeof own, hash);
  }
  return hash;
}

}  // namespace phial::train

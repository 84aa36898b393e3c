#include "phial/train/retrieval_prompts.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "phial/base/random.h"
#include "phial/train/shuffle.h"

namespace phial::train {
namespace {

using tokenizer::TokenId;

constexpr const char* kFiller =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";
constexpr const char* kWords[] = {"amber", "birch", "cedar", "delta", "ember", "flint", "grove", "haven",
                                  "ivory", "jade",  "kelp",  "linen", "maple", "north", "olive", "pearl"};
constexpr size_t kLongestSentence = 64;  // tokens: behind them a text is cut anywhere

struct Told {
  std::string told, question, answer;
};

Told told_of(RetrievalTask task, int digits, Random& random) {
  std::string number(1, static_cast<char>('1' + random.below(9)));
  while (number.size() < static_cast<size_t>(digits)) number += static_cast<char>('0' + random.below(10));
  if (task == RetrievalTask::kPasskey) {
    return {"The pass key is " + number + ". Remember it. " + number + " is the pass key.",
            "What is the pass key? The pass key is", number};
  }
  const std::string thing = std::string("the secret number of ") + kWords[random.below(std::size(kWords))];
  return {"The" + thing.substr(3) + " is " + number + ".", "What is " + thing + "? The" + thing.substr(3) + " is",
          number};
}

// `source` over and over, from its `first` token on.
std::vector<TokenId> taken_from(const std::vector<TokenId>& source, size_t first, size_t n) {
  std::vector<TokenId> taken;
  taken.reserve(n);
  for (size_t i = 0; i < n; ++i) taken.push_back(source[(first + i) % source.size()]);
  return taken;
}

void append(std::vector<TokenId>& to, std::span<const TokenId> more) { to.insert(to.end(), more.begin(), more.end()); }

}  // namespace

RetrievalPrompts::RetrievalPrompts(const tokenizer::Tokenizer& tokenizer, std::vector<Ids> documents, int digits,
                                   uint64_t seed)
    : tokenizer_(tokenizer),
      documents_(std::move(documents)),
      filler_(inside_text(kFiller)),
      digits_(digits),
      seed_(seed) {}

// As the text is behind a full stop and a space, whatever the vocabulary does at the beginning of a text.
RetrievalPrompts::Ids RetrievalPrompts::inside_text(const std::string& text) const {
  const Ids before = tokenizer_.encode(".");
  Ids ids = tokenizer_.encode(". " + text);
  const auto same = std::ranges::mismatch(ids, before);
  ids.erase(ids.begin(), same.in1);
  return ids;
}

// The last one up to `at`, or `at` if there is none near.
size_t RetrievalPrompts::end_of_sentence(const Ids& text, size_t at) const {
  const size_t least = at > kLongestSentence ? at - kLongestSentence : 0;
  for (size_t i = at; i > least; --i) {
    const std::string bytes = tokenizer_.bytes_of(text[i - 1]);
    if (!bytes.empty() && std::string_view(".!?\n").find(bytes.back()) != std::string_view::npos) return i;
  }
  return at;
}

std::optional<RetrievalPrompt> RetrievalPrompts::prompt(RetrievalTask task, int64_t tokens, double depth,
                                                        uint64_t sample) const {
  if (task == RetrievalTask::kNeedle && documents_.empty()) return std::nullopt;
  uint64_t key = seed_of_epoch(seed_, sample);
  for (const uint64_t part :
       {static_cast<uint64_t>(task), static_cast<uint64_t>(tokens), static_cast<uint64_t>(std::llround(depth * 1e6))}) {
    key = seed_of_epoch(key, part);
  }
  Random random(key);
  const Told said = told_of(task, digits_, random);
  const Ids told = inside_text(said.told), question = inside_text(said.question);
  const Ids answered = inside_text(said.question + " " + said.answer);
  RetrievalPrompt prompt;
  if (tokenizer_.adds_bos() && tokenizer_.bos()) prompt.ids.push_back(*tokenizer_.bos());
  const size_t used = prompt.ids.size() + told.size() + answered.size();
  if (used > static_cast<size_t>(tokens)) return std::nullopt;

  const Ids& source = task == RetrievalTask::kPasskey ? filler_ : documents_[sample % documents_.size()];
  const size_t first = task == RetrievalTask::kPasskey ? 0 : random.below(source.size());
  Ids text = taken_from(source, first, static_cast<size_t>(tokens) - used);
  text.resize(end_of_sentence(text, text.size()));
  const auto wanted = static_cast<size_t>(std::llround(depth * static_cast<double>(text.size())));
  const size_t at = end_of_sentence(text, wanted);
  append(prompt.ids, std::span(text).first(at));
  append(prompt.ids, told);
  append(prompt.ids, std::span(text).subspan(at));
  const auto same = std::ranges::mismatch(answered, question);
  prompt.answer = prompt.ids.size() + static_cast<size_t>(same.in1 - answered.begin());
  append(prompt.ids, answered);
  return prompt;
}

}  // namespace phial::train

#include "phial/rag/rewrite.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_set>
#include <vector>

#include "phial/base/utf8.h"
#include "phial/rag/lexical.h"
#include "phial/rag/sentences.h"

namespace phial::rag {
namespace {

// Words that point at something said before.
constexpr auto kPointers = std::to_array<std::string_view>(
    {"it",   "its",    "they",   "them",      "their",   "theirs", "he",    "him",        "his",
     "she",  "her",    "that",   "those",     "these",   "this",   "there", "one",        "ones",
     "same", "former", "latter", "otherwise", "instead", "else",   "then",  "afterwards", "er",
     "sie",  "es",     "davon",  "dazu",      "danach",  "dann",   "diese", "dieser",     "dieses"});
constexpr auto kOpenings =
    std::to_array<std::string_view>({"and", "but", "so", "what about", "how about", "why", "und", "aber"});
// Who and where somebody or something is can be asked without what was said before; "What is the price?" cannot.
constexpr auto kQuestionStarts =
    std::to_array<std::string_view>({"who", "whose", "where", "wer", "wessen", "wem", "wen", "wo", "woher", "wohin"});
constexpr auto kDeterminers =
    std::to_array<std::string_view>({"the", "a", "an", "my", "our", "your", "der", "die", "das", "den", "dem", "ein",
                                     "eine", "einen", "mein", "meine", "unser", "unsere"});
constexpr auto kCourtesies = std::to_array<std::string_view>(
    {"thanks", "thank", "you",     "very", "much",       "so",    "many",  "hello",  "hi",
     "hey",    "bye",   "goodbye", "good", "great",      "ok",    "okay",  "yes",    "no",
     "nice",   "danke", "vielen",  "dank", "sch\u00F6n", "hallo", "merci", "gracias"});
constexpr size_t kMaxRewriteWords = 40;
constexpr size_t kMaxTurns = 4;  // of the history that the model sees
constexpr size_t kMaxTurnBytes = 400;

bool is_among(std::span<const std::string_view> list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}

bool points(const std::vector<Word>& words) {
  return std::any_of(words.begin(), words.end(), [](const Word& word) { return is_among(kPointers, word.text); });
}

// "Who is the landlord?" and "Who is Maria?" have one word of their own and stand alone; "How expensive?" does not.
bool is_whole(std::string_view question, const std::vector<Word>& words) {
  constexpr size_t kFewOwn = 2;
  const size_t own = content_words(question).size();
  const bool names_something = std::any_of(words.begin(), words.end(), [&](const Word& word) {
    const char first = question[word.span.start];
    const bool is_name = &word != &words.front() && word.text != "i" && first >= 'A' && first <= 'Z';
    return is_name || is_among(kDeterminers, word.text);
  });
  return own >= kFewOwn || (own > 0 && names_something && is_among(kQuestionStarts, words.front().text));
}

// The last question before this one that stood on its own, and what was asked since.
std::string earlier_questions(std::span<const generate::Message> history) {
  std::string joined;
  for (size_t i = history.size(); i-- > 0;) {
    if (history[i].role != "user" || is_courtesy(history[i].content)) continue;
    joined.insert(0, history[i].content + (joined.empty() ? "" : " "));
    if (!leans_on_history(history[i].content)) break;
  }
  return joined;
}

std::string put_together(std::string_view question, std::string_view earlier) {
  std::string combined(question);
  const auto own = content_words(question);
  std::unordered_set<std::string> seen(own.begin(), own.end());
  for (const Word& word : words_of(earlier)) {
    if (is_stop_word(word.text) || !seen.insert(rough_stem(word.text)).second) continue;
    combined.append(" ").append(earlier.substr(word.span.start, word.span.size()));
  }
  return combined;
}

bool keeps_to_what_was_said(const std::string& rewritten, std::string_view question, std::string_view said) {
  const auto words = words_of(rewritten);
  if (words.empty() || words.size() > kMaxRewriteWords || points(words)) return false;
  // A question stays one question: a model may repeat the last answer.
  if (split_sentences(rewritten).size() > 1 || (is_question(question) && !is_question(rewritten))) return false;
  const auto kept = content_words(rewritten);
  const std::unordered_set<std::string> kept_set(kept.begin(), kept.end());
  const auto own = content_words(question);
  const auto own_kept =
      std::count_if(own.begin(), own.end(), [&](const auto& word) { return kept_set.contains(word); });
  if (static_cast<size_t>(own_kept) < own.size()) return false;
  const auto known = content_words(std::string(said) + " " + std::string(question));
  const std::unordered_set<std::string> known_set(known.begin(), known.end());
  const auto added =
      std::count_if(kept.begin(), kept.end(), [&](const auto& word) { return !known_set.contains(word); });
  // Something must come from the history, or the question still does not stand alone.
  return added == 0 && kept.size() > own.size();
}

std::optional<std::string> ask_model(std::string_view question, std::span<const generate::Message> history,
                                     generate::LanguageModel& model, std::stop_token cancel) {
  std::string talk;
  const size_t first = history.size() > kMaxTurns ? history.size() - kMaxTurns : 0;
  for (const generate::Message& turn : history.subspan(first)) {
    talk.append(turn.role == "user" ? "Person: " : "Assistant: ")
        .append(turn.content.substr(0, utf8_floor(turn.content, kMaxTurnBytes)))
        .append("\n");
  }
  generate::GenerateRequest request;
  request.messages = {
      {"system",
       "Rewrite the person's last question so that it can be understood without the conversation. Replace "
       "words like \"it\" and \"they\" by what they mean. Write only the question."},
      {"user", talk + "Last question: " + std::string(question) + "\nRewritten question:"}};
  request.max_tokens = 48;
  request.stop = {"\n"};
  request.cancel = std::move(cancel);
  const auto generation = model.generate(request, [](std::string_view) {});
  if (!generation) return std::nullopt;  // the history may be too long for this model: the words will do
  return generation->text;
}

}  // namespace

bool leans_on_history(std::string_view question) {
  const auto words = words_of(question);
  if (points(words) || !is_whole(question, words)) return true;
  std::string start;
  for (size_t i = 0; i < std::min<size_t>(words.size(), 2); ++i) start += (i == 0 ? "" : " ") + words[i].text;
  return std::any_of(kOpenings.begin(), kOpenings.end(), [&](std::string_view opening) {
    return start == opening || (start.starts_with(opening) && start[opening.size()] == ' ');
  });
}

bool is_courtesy(std::string_view question) {
  const auto words = words_of(question);
  return !words.empty() &&
         std::ranges::all_of(words, [](const Word& word) { return is_among(kCourtesies, word.text); });
}

Result<std::string> standalone_question(std::string_view question, std::span<const generate::Message> history,
                                        generate::LanguageModel* model, const std::stop_token& cancel) {
  const std::string earlier = earlier_questions(history);
  if (earlier.empty() || is_courtesy(question) || !leans_on_history(question)) return std::string(question);
  if (model != nullptr) {
    const auto rewritten = ask_model(question, history, *model, cancel);
    if (cancel.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
    std::string said;
    for (const generate::Message& turn : history) said += turn.content + " ";
    if (rewritten && keeps_to_what_was_said(*rewritten, question, said)) return *rewritten;
  }
  return put_together(question, earlier);
}

}  // namespace phial::rag

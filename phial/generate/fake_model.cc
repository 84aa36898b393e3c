#include "phial/generate/fake_model.h"

#include <algorithm>
#include <memory>

#include "phial/generate/text_stream.h"

namespace phial::generate {
namespace {

// Pieces of `text`: white space and the word behind it.
std::vector<std::string_view> words(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r";
  std::vector<std::string_view> pieces;
  for (size_t at = 0; at < text.size();) {
    const size_t word = std::min(text.find_first_not_of(kSpace, at), text.size());
    const size_t end = std::min(text.find_first_of(kSpace, word), text.size());
    pieces.push_back(text.substr(at, end - at));
    at = end;
  }
  return pieces;
}

}  // namespace

FakeModel::FakeModel(std::vector<std::string> answers, int context_tokens)
    : FakeModel(
          [answers = std::move(answers), next = std::make_shared<size_t>(0)](const GenerateRequest&) {
            if (answers.empty()) return std::string();
            const std::string& answer = answers[std::min(*next, answers.size() - 1)];
            ++*next;
            return answer;
          },
          context_tokens) {}

FakeModel::FakeModel(Script script, int context_tokens) : script_(std::move(script)), context_tokens_(context_tokens) {}

Result<Generation> FakeModel::generate(const GenerateRequest& request, const OnText& on_text) {
  requests_.push_back(request);
  PHIAL_TRY(const int prompt_tokens, count_prompt_tokens(request.messages));
  if (prompt_tokens + request.max_tokens > context_tokens_) {
    return Error{Code::kOutOfRange,
                 "the prompt has " + std::to_string(prompt_tokens) + " tokens and " +
                     std::to_string(request.max_tokens) + " more are asked, the context holds " +
                     std::to_string(context_tokens_),
                 "shorten the prompt"};
  }
  Generation result;
  result.prompt_tokens = prompt_tokens;
  TextStream stream(request.stop);
  const std::string answer = script_(request);
  for (const std::string_view word : words(answer)) {
    if (request.cancel.stop_requested()) {
      result.stop = StopReason::kCancelled;
      break;
    }
    if (static_cast<int>(result.ids.size()) == request.max_tokens) {
      result.stop = StopReason::kMaxTokens;
      break;
    }
    result.ids.push_back(static_cast<int32_t>(result.ids.size()));
    const std::string shown = stream.push(word);
    if (on_text && !shown.empty()) on_text(shown);
    if (stream.stopped()) {
      result.stop = StopReason::kStopText;
      break;
    }
  }
  const std::string rest = stream.finish();
  if (on_text && !rest.empty()) on_text(rest);
  result.text = stream.text();
  return result;
}

Result<ContinuationScore> FakeModel::score(std::string_view prompt, std::string_view continuation) {
  const int tokens = count_tokens(continuation);
  return ContinuationScore{scorer ? scorer(prompt, continuation) : -static_cast<double>(tokens), tokens, false};
}

int FakeModel::count_tokens(std::string_view text) const { return static_cast<int>(words(text).size()); }

Result<int> FakeModel::count_prompt_tokens(std::span<const Message> messages) const {
  int tokens = 0;
  for (const Message& message : messages) {
    tokens += count_tokens(message.content) + 2;  // role and end markers
    tokens += static_cast<int>(message.pictures.size()) * picture_tokens;
    for (const Picture& picture : message.pictures) {
      if (check_picture) PHIAL_CHECKED(check_picture(*picture));
    }
  }
  return tokens;
}

}  // namespace phial::generate

// A scripted LanguageModel, for tests of the rooms above: it says what it is told to and remembers what it was asked.
//
// A token is a word with the white space before it, so that budgets can be tested without a vocabulary.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "phial/generate/language_model.h"

namespace phial::generate {

class FakeModel final : public LanguageModel {
 public:
  using Script = std::function<std::string(const GenerateRequest&)>;

  // Gives the answers one after the other; the last one repeats.
  explicit FakeModel(std::vector<std::string> answers, int context_tokens = 4096);
  // Asks `script` for each answer.
  explicit FakeModel(Script script, int context_tokens = 4096);

  Result<Generation> generate(const GenerateRequest& request, const OnText& on_text) override;
  // A continuation's logprob is minus its number of tokens, unless `scorer` is set.
  Result<ContinuationScore> score(std::string_view prompt, std::string_view continuation) override;
  std::string_view name() const override { return "fake"; }
  int context_tokens() const override { return context_tokens_; }
  bool sees() const override { return picture_tokens > 0; }
  uint64_t parameters() const override { return n_parameters; }
  int count_tokens(std::string_view text) const override;
  Result<int> count_prompt_tokens(std::span<const Message> messages) const override;

  std::function<double(std::string_view prompt, std::string_view continuation)> scorer;
  uint64_t n_parameters = 0;
  int picture_tokens = 0;                                      // of each picture; 0: it does not see
  std::function<Status(const formats::Image&)> check_picture;  // what it says of each; none: it takes all

  const std::vector<GenerateRequest>& requests() const { return requests_; }

 private:
  Script script_;
  int context_tokens_;
  std::vector<GenerateRequest> requests_;
};

}  // namespace phial::generate

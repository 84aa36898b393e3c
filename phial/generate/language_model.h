// Everything above generation sees a model as this: generate a continuation, score a given one.
//
// The engine, a scripted fake for tests, later a remote endpoint or a model under training all are LanguageModels.
// Threads: one call at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/image.h"

namespace phial::generate {

// Shared, since a conversation is given anew with every request.
using Picture = std::shared_ptr<const formats::Image>;

// role: "system", "user" or "assistant". The content is data: text of special tokens in it stays ordinary text, and no
// text in it becomes a picture. The pictures stand before it, each on a line of its own, or where `picture_at` says.
struct Message {
  std::string role;
  std::string content;
  std::vector<Picture> pictures = {};
  std::vector<size_t> picture_at = {};  // ascending: the byte of the content that each picture precedes; or empty
};

struct SamplingOptions {
  float temperature = 0;  // 0: greedy
  int top_k = 0;          // 0: off
  float top_p = 1;
  float min_p = 0;
  float repeat_penalty = 1;  // over the last 64 tokens
  uint64_t seed = 0;
};

struct GenerateRequest {
  // Exactly one of the three is used: ids if not empty, else messages if not empty, else prompt (encoded with the
  // model's own BOS rule, special tokens parsed).
  std::vector<int32_t> ids;
  std::vector<Picture> pictures;  // of ids: id -k stands for one token of the k-th
  std::vector<Message> messages;
  std::string prompt;

  int max_tokens = 256;
  bool within_context = false;  // fewer than max_tokens where the context leaves no room for them, instead of an error
  SamplingOptions sampling;
  std::vector<std::string> stop;  // texts that end the answer; not part of it
  bool ignore_end = false;        // goes on past the model's end tokens (benchmarks, oracles)
  int top_logprobs = -1;          // -1: none; 0: of the chosen token only; n: and of the n best
  std::stop_token cancel;
};

enum class StopReason { kEnd, kStopText, kMaxTokens, kCancelled };
std::string_view name_of(StopReason reason);  // "end", "stop", "length", "cancelled"

struct TokenLogprob {
  int32_t id = 0;
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> best;  // best first
};

struct Generation {
  std::string text;          // valid UTF-8; special tokens left out
  std::vector<int32_t> ids;  // the end token included if there was one
  int prompt_tokens = 0;
  int reused_tokens = 0;    // of the prompt, found in the cache
  int drafted_tokens = 0;   // guessed, and checked by the model
  int accepted_tokens = 0;  // of those, right: each saved a step
  StopReason stop = StopReason::kEnd;
  std::vector<TokenLogprob> logprobs;
  double prefill_ms = 0, decode_ms = 0, first_token_ms = 0;
};

// One of several answers that are written side by side (Engine::join).
using SessionId = int64_t;
struct EndedSession {
  SessionId session = 0;
  Result<Generation> generation;
};

struct ContinuationScore {
  double logprob = 0;  // natural logarithm, summed over the continuation's tokens
  int tokens = 0;
  bool is_greedy = false;  // every token is the model's first choice
};

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;

  // Called with pieces of the answer as they are final; each piece is valid UTF-8.
  using OnText = std::function<void(std::string_view)>;

  // kOutOfRange with the numbers in it if prompt and max_tokens exceed the context.
  virtual Result<Generation> generate(const GenerateRequest& request, const OnText& on_text) = 0;

  virtual Result<ContinuationScore> score(std::string_view prompt, std::string_view continuation) = 0;

  virtual std::string_view name() const = 0;
  virtual int context_tokens() const = 0;
  // Whether messages may have pictures.
  virtual bool sees() const = 0;
  // How many weights it has; 0: not known.
  virtual uint64_t parameters() const = 0;
  // How many tokens `text` takes as part of a message.
  virtual int count_tokens(std::string_view text) const = 0;
  // How many tokens the messages take, rendered with the model's template, pictures included.
  virtual Result<int> count_prompt_tokens(std::span<const Message> messages) const = 0;
};

}  // namespace phial::generate

// How many tokens a second several answers get that are written side by side.
//
//   sessions_probe MODEL [PROMPT_TOKENS] [NEW_TOKENS] [ROUNDS]   {"sessions": N, "tokens_per_second": ..., "ratio":
//   ...}
//
// Prompts are random and unlike, so nothing is shared; the time to read them is not counted. Rounds go through all
// numbers of sessions in turn; a line has the median. `ratio`: to one session, without drafts.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "bench/need.h"
#include "phial/base/json.h"
#include "phial/base/random.h"
#include "phial/base/thread_pool.h"
#include "phial/generate/engine.h"

namespace {

using namespace phial;

constexpr int kSessions[] = {1, 2, 4, 8, 16};

// Steps after which all of them write: a step reads at most a chunk of one prompt.
int reading_steps(int sessions, int prompt_tokens) { return sessions * (prompt_tokens / 256 + 1) + 1; }

// The first writes while the others read.
int most_tokens(int sessions, int prompt_tokens, int new_tokens) {
  return new_tokens + reading_steps(sessions, prompt_tokens);
}

double tokens_per_second(generate::Engine& engine, Random& random, int sessions, int prompt_tokens, int new_tokens) {
  for (int i = 0; i < sessions; ++i) {
    generate::GenerateRequest request;
    const auto vocab = static_cast<uint64_t>(engine.spec().vocab_size);
    for (int t = 0; t < prompt_tokens; ++t) request.ids.push_back(static_cast<int32_t>(random.next() % vocab));
    request.max_tokens = most_tokens(sessions, prompt_tokens, new_tokens);
    request.ignore_end = true;
    need(engine.join(std::move(request), nullptr));
  }
  // Each reads its prompt; then all write.
  for (int i = 0; i < reading_steps(sessions, prompt_tokens); ++i) engine.step();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < new_tokens; ++i) engine.step();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  while (!engine.idle()) engine.step();
  return sessions * new_tokens / seconds.count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: sessions_probe MODEL [PROMPT_TOKENS] [NEW_TOKENS] [ROUNDS]\n");
    return 2;
  }
  const int prompt_tokens = argc > 2 ? std::atoi(argv[2]) : 128;
  const int new_tokens = argc > 3 ? std::atoi(argv[3]) : 32;
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 3;
  ThreadPool pool(usable_cores());
  generate::EngineOptions options;
  options.sessions = *std::ranges::max_element(kSessions);
  options.context_tokens = prompt_tokens + most_tokens(options.sessions, prompt_tokens, new_tokens);
  options.drafting = generate::Drafting::kOff;
  const auto engine = need(generate::Engine::open(argv[1], options, pool));
  Random random(1);
  std::map<int, std::vector<double>> found;
  for (int round = 0; round < rounds; ++round) {
    for (const int n : kSessions) {
      found[n].push_back(tokens_per_second(*engine, random, n, prompt_tokens, new_tokens));
    }
  }
  double alone = 0;
  for (auto& [n, rates] : found) {
    std::ranges::sort(rates);
    const double median = rates[rates.size() / 2];
    if (n == 1) alone = median;
    const Json line = {{"sessions", n}, {"tokens_per_second", median}, {"ratio", median / alone}};
    std::puts(line.dump().c_str());
  }
  return 0;
}

// How long a model takes for prompts one after the other that share a beginning, in one process: bench/peers/table.py.
//
//   answers_probe MODEL PROMPTS.json THREADS f16|q8|q4 lookup|off
//
// PROMPTS.json: {"prompts": [[ids], ...], "tokens": N}; each is answered with N tokens, greedily, past end tokens.
// Prints
// {"load_s": ..., "answers": [{"prefill_s": ..., "decode_s": ..., "tokens": ..., "text": ..., ...}]}.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "bench/need.h"
#include "phial/base/json.h"
#include "phial/base/json_file.h"
#include "phial/base/thread_pool.h"
#include "phial/generate/engine.h"

namespace {

using namespace phial;
using Clock = std::chrono::steady_clock;

model::KvType kv_type(std::string_view name) {
  for (const model::KvType type : {model::KvType::kF16, model::KvType::kQ8, model::KvType::kQ4}) {
    if (name == model::name_of(type)) return type;
  }
  fail("no type of cache: " + std::string(name));
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

int main(int argc, char** argv) {
  constexpr int kArguments = 6;
  if (argc != kArguments) {
    std::fprintf(stderr, "usage: answers_probe MODEL PROMPTS.json THREADS f16|q8|q4 lookup|off\n");
    return 2;
  }
  const Json asked = need(read_json_if_there(argv[2]));
  if (!asked.contains("prompts") || !asked.contains("tokens")) fail("no prompts and tokens in " + std::string(argv[2]));
  const int tokens = asked["tokens"];
  ThreadPool pool(std::atoi(argv[3]));
  generate::EngineOptions options;
  options.kv_type = kv_type(argv[4]);
  options.drafting = std::string_view(argv[5]) == "off" ? generate::Drafting::kOff : generate::Drafting::kLookup;
  options.load = LoadMode::kCopy;
  for (const Json& ids : asked["prompts"]) {
    options.context_tokens = std::max(options.context_tokens, static_cast<int>(ids.size()) + tokens);
  }
  const auto start = Clock::now();
  const auto engine = need(generate::Engine::open(argv[1], options, pool));
  Json out = {{"load_s", seconds_since(start)}, {"answers", Json::array()}};
  for (const Json& ids : asked["prompts"]) {
    generate::GenerateRequest request;
    request.ids = ids.get<std::vector<int32_t>>();
    request.max_tokens = tokens;
    request.ignore_end = true;
    const generate::Generation done = need(engine->generate(request, [](std::string_view) {}));
    out["answers"].push_back({{"prefill_s", done.prefill_ms / 1000},
                              {"decode_s", done.decode_ms / 1000},
                              {"tokens", done.ids.size()},
                              {"reused", done.reused_tokens},
                              {"drafted", done.drafted_tokens},
                              {"accepted", done.accepted_tokens},
                              {"text", done.text}});
  }
  std::puts(dump_json(out).c_str());
  return 0;
}

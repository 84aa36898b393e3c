// How often a network finds what train/retrieval_prompts hides, by depth and length.
//
// An answer is right if each of its tokens is the likeliest after the right ones before it, which is to say that greedy
// decoding gives it. The rotary table is that of serving the sequence which the last of them is decided by, also where
// the original context ends within the answer. Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "phial/base/result.h"
#include "phial/train/network.h"
#include "phial/train/retrieval_prompts.h"
#include "phial/train/run_config.h"

namespace phial::train {

struct RetrievalGrid {
  std::vector<int64_t> lengths;  // tokens of a prompt
  std::vector<double> depths;    // of the text, in [0, 1]
  int64_t samples = 0;           // prompts of each length and depth
};

bool answers_rightly(const Network& network, const RetrievalPrompt& prompt);

// What a measurement that was stopped ends with.
Error stopped_measuring();

using RetrievalAnswers = std::function<bool(const RetrievalPrompt&)>;

// [length][depth]: the share of right answers; -1 where no prompt is so short. `told`: after each prompt. Errors:
// kCancelled.
Result<std::vector<std::vector<double>>> measure_retrieval(const RetrievalAnswers& answers,
                                                           const RetrievalPrompts& prompts, RetrievalTask task,
                                                           const RetrievalGrid& grid, const std::stop_token& stop,
                                                           const std::function<void()>& told);

}  // namespace phial::train

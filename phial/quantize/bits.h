// The types that let a model lose least at so many bits a weight.
//
// Each matrix is quantized into every type that it may have, up to some thousand rows of it, and what that loses is
// measured: the squared error of its outputs over the calibration text, or of its weights without one, relative to what
// they are; of logits the mean square of what one is off. spend() of budget.h does the rest.
// Source: docs/decisions/0008-int4.md. Threads: the pool is used; results do not depend on it.
#pragma once

#include <functional>
#include <stop_token>
#include <vector>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/quantize/calibration.h"
#include "phial/quantize/plan.h"
#include "phial/quantize/quantize.h"

namespace phial::quantize {

// One choice a tensor. `bits`: of all tensors together, the bytes of the file without its metadata; never exceeded.
// `calibration` may be null. Errors: kOutOfRange, with the least possible, if nothing is so small; kCorrupt,
// kCancelled, those of Calibration.
Result<std::vector<Choice>> choose_within(const Source& source, double bits, Calibration* calibration, ThreadPool& pool,
                                          const std::stop_token& stop,
                                          const std::function<void(const Progress&)>& on_progress);

}  // namespace phial::quantize

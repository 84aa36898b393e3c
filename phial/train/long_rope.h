// A model's configuration with a longer context: LongRoPE's two lists of factors, as Phi-3's config.json has them.
//
// Up to the original context a sequence is turned as before (all short factors are 1), beyond it by the long factors;
// cos and sin are multiplied as spec/rope has it, in both. Source: LongRoPE (arXiv 2402.13753); docs/sources.md.
#pragma once

#include <cstdint>
#include <span>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/spec/spec.h"

namespace phial::train {

// kUnsupported for an architecture other than Phi-3's and for rotary scaling that is there already.
Status check_can_grow(const spec::DecoderSpec& spec);
// kInvalid for a sliding window that does not reach as far as `target`.
Status check_window(const spec::DecoderSpec& spec, int64_t target);

// `config`: that which `spec` was read of. Of the rotary fields that stood there the base and the rotated share stay.
// Promise: `target` is above the context.
Json with_long_rope(Json config, const spec::DecoderSpec& spec, int64_t target, std::span<const float> long_factors);

}  // namespace phial::train

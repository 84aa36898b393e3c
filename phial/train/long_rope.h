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

// kUnsupported for an architecture other than Phi-3's and for rotary scaling that is there already; kInvalid for a
// `target` that is not above the context, and for a sliding window that does not reach as far.
Status check_can_grow(const spec::DecoderSpec& spec, int64_t target);

// `config`: that which `spec` was read of.
Json with_long_rope(Json config, const spec::DecoderSpec& spec, int64_t target, std::span<const float> long_factors);

}  // namespace phial::train

// The published Phi-3 models that Phial runs, as constants: for memory plans before a file is at hand, and as the
// standard that spec and tests are held to. A variant is its parent and what it changes.
//
// Source: the published configurations (docs/sources.md). LongRoPE factors are read from the file, never from here.
#pragma once

#include <cstdint>
#include <span>

#include "phial/spec/spec.h"

namespace phial::spec {

std::span<const DecoderSpec> variants();

// Weights of every matrix, norm and bias; a tied output matrix counts once.
uint64_t parameters(const DecoderSpec& spec);

}  // namespace phial::spec

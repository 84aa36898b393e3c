// Rotary embedding: which angles a position turns by.
//
// Source: RoFormer (arXiv 2104.09864), LongRoPE (arXiv 2402.13753); docs/sources.md. Half-split pairing: element d of a
// head turns with element d + rope_dims / 2. Angles are f32, as in the reference.
#pragma once

#include <span>
#include <vector>

#include "phial/spec/spec.h"

namespace phial::spec {

struct RotaryTable {
  std::vector<float> frequencies;  // [rope_dims / 2], radians a position
  float attention_factor = 1;      // multiplies cos and sin
};

RotaryTable rotary_table(const DecoderSpec& spec, RopeTable which);

// cos, sin: [rope_dims / 2] of `position`, attention factor included.
void rotary_angles(const RotaryTable& table, int position, std::span<float> cos, std::span<float> sin);

// The table of a sequence that will hold `total_tokens` positions.
RopeTable choose_rope_table(const DecoderSpec& spec, RopePolicy policy, int total_tokens);

// What LongRoPE multiplies cos and sin by when the file does not say: sqrt(1 + ln(scale) / ln(original_context)).
float long_rope_attention_factor(double scale, int original_context);

// Divisors of the frequencies for context extension by one factor, and the way of Llama 3 (low frequencies divided,
// high ones kept, a ramp between).
std::vector<float> linear_divisors(int rope_dims, float factor);
std::vector<float> llama3_divisors(int rope_dims, float theta, float factor, float low_frequency_factor,
                                   float high_frequency_factor, int original_context);

}  // namespace phial::spec

#include "phial/spec/rope.h"

#include <cmath>
#include <cstddef>
#include <numbers>

namespace phial::spec {
namespace {

// theta^(2d / dims) with the exponent rounded to f32 as the reference does.
float wavelength_base(float theta, int d, int dims) {
  const float exponent = static_cast<float>(2 * d) / static_cast<float>(dims);
  return static_cast<float>(std::pow(static_cast<double>(theta), static_cast<double>(exponent)));
}

}  // namespace

RotaryTable rotary_table(const DecoderSpec& spec, RopeTable which) {
  RotaryTable table;
  const std::vector<float>* factors = &spec.rope_divisors;
  if (spec.long_rope.active()) {
    const bool is_long = which == RopeTable::kLong;
    factors = is_long ? &spec.long_rope.long_factors : &spec.long_rope.short_factors;
    table.attention_factor = is_long ? spec.long_rope.long_attention_factor : spec.long_rope.short_attention_factor;
  }
  for (int d = 0; d < spec.rope_dims / 2; ++d) {
    const float factor = factors->empty() ? 1.0F : (*factors)[static_cast<size_t>(d)];
    table.frequencies.push_back(1.0F / (factor * wavelength_base(spec.rope_theta, d, spec.rope_dims)));
  }
  return table;
}

void rotary_angles(const RotaryTable& table, int position, std::span<float> cos, std::span<float> sin) {
  for (size_t d = 0; d < table.frequencies.size(); ++d) {
    const float angle = static_cast<float>(position) * table.frequencies[d];
    cos[d] = static_cast<float>(std::cos(static_cast<double>(angle))) * table.attention_factor;
    sin[d] = static_cast<float>(std::sin(static_cast<double>(angle))) * table.attention_factor;
  }
}

RopeTable choose_rope_table(const DecoderSpec& spec, RopePolicy policy, int total_tokens) {
  if (!spec.long_rope.active() || policy == RopePolicy::kAlwaysShort) return RopeTable::kShort;
  if (policy == RopePolicy::kAlwaysLong) return RopeTable::kLong;
  return total_tokens > spec.long_rope.original_context ? RopeTable::kLong : RopeTable::kShort;
}

float long_rope_attention_factor(double scale, int original_context) {
  if (scale <= 1 || original_context <= 1) return 1;
  return static_cast<float>(std::sqrt(1 + std::log(scale) / std::log(static_cast<double>(original_context))));
}

std::vector<float> linear_divisors(int rope_dims, float factor) {
  std::vector<float> divisors(static_cast<size_t>(rope_dims / 2), factor);
  return divisors;
}

std::vector<float> llama3_divisors(int rope_dims, float theta, float factor, float low_frequency_factor,
                                   float high_frequency_factor, int original_context) {
  std::vector<float> divisors;
  const double low_wavelength = original_context / static_cast<double>(low_frequency_factor);
  const double high_wavelength = original_context / static_cast<double>(high_frequency_factor);
  for (int d = 0; d < rope_dims / 2; ++d) {
    const double wavelength = 2 * std::numbers::pi * static_cast<double>(wavelength_base(theta, d, rope_dims));
    double kept = 1;  // share of the original frequency
    if (wavelength > low_wavelength) {
      kept = 1 / static_cast<double>(factor);
    } else if (wavelength >= high_wavelength) {
      const double ramp = (original_context / wavelength - low_frequency_factor) /
                          static_cast<double>(high_frequency_factor - low_frequency_factor);
      kept = (1 - ramp) / factor + ramp;
    }
    divisors.push_back(static_cast<float>(1 / kept));
  }
  return divisors;
}

}  // namespace phial::spec

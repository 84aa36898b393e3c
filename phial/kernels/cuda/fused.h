// Operations of a layer in one pass over device memory each, forwards and backwards. What is between is f32.
//
// Rows are contiguous and, but where a distance is given, one after the other. `type` is kF32 or kBf16. Outputs may not
// be inputs. Sources: docs/sources.md; the meaning is that of phial/train/fused.h. Threads, errors: device.h.
#pragma once

#include <cstdint>

#include "phial/kernels/cuda/device.h"

namespace phial::kernels::cuda {

// x: [rows, D], f32; gain: [D], f32. out: [rows, D], in `type`; inverses: [rows], f32: 1 / sqrt(mean(x^2) + eps).
[[nodiscard]] const char* rms_norm(int64_t rows, int64_t D, const float* x, const float* gain, float eps, Number type,
                                   void* out, float* inverses, Stream stream);

// How many rows of gradients of the gain rms_norm_gradient() writes.
int64_t rms_norm_parts(int64_t rows);

// gradient: [rows, D], in `type` -> of_x: [rows, D], f32; of_gain: [rms_norm_parts(rows), D], f32, to be added up.
// Refused where D floats are more than a block of threads has of shared memory (24,000 on every device since sm_80).
[[nodiscard]] const char* rms_norm_gradient(int64_t rows, int64_t D, const float* x, const float* gain,
                                            const float* inverses, Number type, const void* gradient, float* of_x,
                                            float* of_gain, Stream stream);

// gate, up: [rows, F], rows `distance` elements apart -> out: [rows, F] = silu(gate) * up.
[[nodiscard]] const char* swiglu(int64_t rows, int64_t F, int64_t distance, Number type, const void* gate,
                                 const void* up, void* out, Stream stream);

// gradient: [rows, F] -> of_gate, of_up: [rows, F], as far apart as those of gate and up.
[[nodiscard]] const char* swiglu_gradient(int64_t rows, int64_t F, int64_t distance, Number type, const void* gate,
                                          const void* up, const void* gradient, void* of_gate, void* of_up,
                                          Stream stream);

// Where [B, H, T, E] lies: elements from one to the next along the first three; the last is contiguous.
struct HeadStrides {
  int64_t batch, head, token;
};

// heads -> out, both [B, H, T, E]: pairs d and half + d turned by cos, sin: [B, T, half], f32; back if `sign` is -1.
[[nodiscard]] const char* rotate(int64_t B, int64_t H, int64_t T, int64_t E, int64_t half, Number type,
                                 const void* heads, HeadStrides from, const float* cos, const float* sin, float sign,
                                 void* out, HeadStrides to, Stream stream);

}  // namespace phial::kernels::cuda

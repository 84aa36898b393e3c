// A thread turns N pairs of a head that are neighbours, or copies what stays; consecutive threads go along a token.
#include "phial/kernels/cuda/fused.h"
#include "phial/kernels/cuda/launch.cuh"
#include "phial/kernels/cuda/numbers.cuh"

namespace phial::kernels::cuda {
namespace {

constexpr int kTurnThreads = 256;

struct Turn {
  int64_t n;    // pieces of all
  int H, T;     // heads, tokens
  int half, E;  // pairs and width of a head
  int pieces;   // of a head: half / N pairs, then (E - 2 half) / N copies
  HeadStrides from, to;
  float sign;
};

template <class T, int N>
__global__ void __launch_bounds__(kTurnThreads)
    turn(Turn turned, const T* heads, const float* cos, const float* sin, T* out) {
  using Some = Numbers<T, N>;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kTurnThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kTurnThreads + threadIdx.x; i < turned.n; i += step) {
    const int piece = static_cast<int>(i % turned.pieces);
    int64_t rest = i / turned.pieces;
    const int64_t h = rest % turned.H;
    rest /= turned.H;
    const int64_t t = rest % turned.T, b = rest / turned.T;
    const T* const x = heads + b * turned.from.batch + h * turned.from.head + t * turned.from.token;
    T* const y = out + b * turned.to.batch + h * turned.to.head + t * turned.to.token;
    const int d = piece * N;
    if (d >= turned.half) {
      *reinterpret_cast<Some*>(y + turned.half + d) = *reinterpret_cast<const Some*>(x + turned.half + d);
      continue;
    }
    const int64_t angle = (b * turned.T + t) * turned.half + d;
    const auto cosines = *reinterpret_cast<const Numbers<float, N>*>(cos + angle);
    const auto sines = *reinterpret_cast<const Numbers<float, N>*>(sin + angle);
    const Some first = *reinterpret_cast<const Some*>(x + d);
    const Some second = *reinterpret_cast<const Some*>(x + turned.half + d);
    Some to_first, to_second;
    for (int k = 0; k < N; ++k) {
      const float p = widened(first.at[k]), q = widened(second.at[k]), s = turned.sign * sines.at[k];
      to_first.at[k] = narrowed<T>(p * cosines.at[k] - q * s);
      to_second.at[k] = narrowed<T>(q * cosines.at[k] + p * s);
    }
    *reinterpret_cast<Some*>(y + d) = to_first;
    *reinterpret_cast<Some*>(y + turned.half + d) = to_second;
  }
}

bool divides(int n, const HeadStrides& strides) {
  return strides.batch % n == 0 && strides.head % n == 0 && strides.token % n == 0;
}

template <class T>
const char* turned_heads(Turn turned, int64_t tokens, const void* heads, const float* cos, const float* sin, void* out,
                         Stream stream) {
  constexpr int kPairs = 4;
  const bool aligned = turned.half % kPairs == 0 && turned.E % kPairs == 0 && divides(kPairs, turned.from) &&
                       divides(kPairs, turned.to) && at_16_bytes(heads) && at_16_bytes(cos) && at_16_bytes(sin) &&
                       at_16_bytes(out);
  turned.pieces = (turned.E - turned.half) / (aligned ? kPairs : 1);
  turned.n = tokens * turned.H * turned.pieces;
  if (turned.n == 0) return nullptr;
  auto* const kernel = aligned ? turn<T, kPairs> : turn<T, 1>;
  return start(kernel, blocks_for(turned.n, kTurnThreads), kTurnThreads, 0, stream, turned,
               static_cast<const T*>(heads), cos, sin, static_cast<T*>(out));
}

}  // namespace

const char* rotate(int64_t B, int64_t H, int64_t T, int64_t E, int64_t half, Number type, const void* heads,
                   HeadStrides from, const float* cos, const float* sin, float sign, void* out, HeadStrides to,
                   Stream stream) {
  const Turn turned{.n = 0,
                    .H = static_cast<int>(H),
                    .T = static_cast<int>(T),
                    .half = static_cast<int>(half),
                    .E = static_cast<int>(E),
                    .pieces = 0,
                    .from = from,
                    .to = to,
                    .sign = sign};
  return type == Number::kBf16 ? turned_heads<__nv_bfloat16>(turned, B * T, heads, cos, sin, out, stream)
                               : turned_heads<float>(turned, B * T, heads, cos, sin, out, stream);
}

}  // namespace phial::kernels::cuda

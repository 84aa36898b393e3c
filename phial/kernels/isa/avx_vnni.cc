// AVX-VNNI: the byte products of AVX-512 in 256 bits (Intel's PCs since Alder Lake).
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "phial/kernels/generic/gemm.h"
#include "phial/kernels/generic/probe.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {
namespace {

#include "phial/kernels/isa/avx2_words.h"

struct Simd : Avx2Words {
  struct NibbleDot {
    using Sum = __m256i;
    static Sum start(int bias, int32_t x_sum) { return _mm256_set1_epi32(-bias * x_sum); }
    static void add(Sum& sum, Bytes w, Bytes x) { sum = _mm256_dpbusd_avx_epi32(sum, w, x); }
    static I32 total(Sum sum, int, int32_t) { return sum; }
  };
  using CodeDot = NibbleDot;
  // The instruction wants its first factor unsigned: w + 128.
  struct ByteDot : NibbleDot {
    static constexpr int kBias = 128;
    static Bytes prepare(Bytes w) { return _mm256_xor_si256(w, _mm256_set1_epi8(-128)); }
  };
};

}  // namespace

extern constinit const KernelSet kAvxVnni;
constinit const KernelSet kAvxVnni = {
    .name = "avx_vnni",
    .gemm_q4 = gemm_q4<Simd>,
    .gemm_q4_min = gemm_q4_min<Simd>,
    .gemm_q8 = gemm_q8<Simd>,
    .gemm_phial_q4 = gemm_phial_q4<Simd>,
    .gemm_phial_q3 = gemm_phial_q3<Simd>,
    .multiply_bytes = multiply_bytes<Simd>,
};

}  // namespace phial::kernels

// AVX-512 with VNNI (Ice Lake, Zen 4 and later): four byte products and their sum in one instruction.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "phial/kernels/generic/gemm.h"
#include "phial/kernels/generic/probe.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {
namespace {

#include "phial/kernels/isa/avx512_words.h"

struct Simd : Avx512Words {
  struct NibbleDot {
    using Sum = __m512i;
    static Sum start(int32_t first) { return _mm512_set1_epi32(first); }
    static void add(Sum& sum, Bytes w, Bytes x) { sum = _mm512_dpbusd_epi32(sum, w, x); }
    static I32 total(Sum sum, int32_t) { return sum; }
  };
  // The instruction wants its first factor unsigned: w + 128.
  struct ByteDot : NibbleDot {
    static constexpr int kBias = 128;
    static Bytes prepare(Bytes w) { return _mm512_xor_si512(w, _mm512_set1_epi8(-128)); }
  };
};

}  // namespace

extern constinit const KernelSet kAvx512Vnni;
constinit const KernelSet kAvx512Vnni = {
    .name = "avx512_vnni",
    .gemm_q4 = gemm_q4<Simd>,
    .gemm_q4_min = gemm_q4_min<Simd>,
    .gemm_q8 = gemm_q8<Simd>,
    .multiply_bytes = multiply_bytes<Simd>,
};

}  // namespace phial::kernels

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

#include "phial/kernels/isa/avx512_vnni_words.h"

using Simd = Avx512VnniWords;

}  // namespace

extern constinit const KernelSet kAvx512Vnni;
constinit const KernelSet kAvx512Vnni = {
    .name = "avx512_vnni",
    .gemm_q4 = gemm_q4<Simd>,
    .gemm_q4_min = gemm_q4_min<Simd>,
    .gemm_q8 = gemm_q8<Simd>,
    .gemm_phial_q4 = gemm_phial_q4<Simd>,
    .gemm_phial_q3 = gemm_phial_q3<Simd>,
    .multiply_bytes = multiply_bytes<Simd>,
};

}  // namespace phial::kernels

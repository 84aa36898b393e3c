// The byte products of ARMv8.2 (Raspberry Pi 5, phones since 2018, Apple silicon).
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "phial/kernels/generic/gemm.h"
#include "phial/kernels/generic/probe.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {
namespace {

#include "phial/kernels/isa/neon_words.h"

#include "phial/kernels/isa/neon_dot_words.h"

using Simd = NeonDotWords;

}  // namespace

extern constinit const KernelSet kNeonDot;
constinit const KernelSet kNeonDot = {
    .name = "neon_dot",
    .gemm_q4 = gemm_q4<Simd>,
    .gemm_q4_min = gemm_q4_min<Simd>,
    .gemm_q8 = gemm_q8<Simd>,
    .gemm_phial_q4 = gemm_phial_q4<Simd>,
    .gemm_phial_q3 = gemm_phial_q3<Simd>,
    .multiply_bytes = multiply_bytes<Simd>,
};

}  // namespace phial::kernels

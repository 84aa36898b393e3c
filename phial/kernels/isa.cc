#include "phial/kernels/isa.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(PHIAL_WASM_RELAXED)
#include <wasm_simd128.h>
#endif

namespace phial::kernels {
namespace {

#if defined(__x86_64__)

struct Leaf {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

// Intel's manual, volume 2, CPUID. A leaf that the CPU does not know reads as zeros.
Leaf cpuid(uint32_t leaf, uint32_t subleaf) {
  Leaf out;
  if (__get_cpuid_count(leaf, subleaf, &out.a, &out.b, &out.c, &out.d) == 0) return {};
  return out;
}

// Which registers the operating system saves (XCR0).
uint64_t saved_registers() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

// Tiles are kept for a process that has asked for them (Linux 5.16, Documentation/arch/x86/xstate.rst).
bool tiles_are_granted(uint64_t saved) {
  constexpr uint64_t kTileRegisters = uint64_t{3} << 17;  // XCR0: their shape, their data
  if ((saved & kTileRegisters) != kTileRegisters) return false;
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

bool bit(uint32_t word, int n) { return ((word >> n) & 1) != 0; }

bool ask(Feature feature) {
  const Leaf one = cpuid(1, 0);
  const Leaf seven = cpuid(7, 0);
  const uint64_t saved = bit(one.c, 27) ? saved_registers() : 0;  // OSXSAVE
  const bool ymm = (saved & 0x06) == 0x06 && bit(one.c, 28);      // XMM, YMM; AVX
  const bool zmm = ymm && (saved & 0xE0) == 0xE0;                 // masks, upper halves, ZMM16 to 31
  switch (feature) {
    case Feature::kAvx2:
      return ymm && bit(seven.b, 5);
    case Feature::kFma:
      return ymm && bit(one.c, 12);
    case Feature::kF16c:
      return ymm && bit(one.c, 29);
    case Feature::kAvxVnni:
      return ymm && bit(cpuid(7, 1).a, 4);
    case Feature::kAvx512f:
      return zmm && bit(seven.b, 16);
    case Feature::kAvx512bw:
      return zmm && bit(seven.b, 30);
    case Feature::kAvx512dq:
      return zmm && bit(seven.b, 17);
    case Feature::kAvx512vl:
      return zmm && bit(seven.b, 31);
    case Feature::kAvx512Vnni:
      return zmm && bit(seven.c, 11);
    case Feature::kAmxTile:
      return bit(seven.d, 24) && tiles_are_granted(saved);
    case Feature::kAmxInt8:
      return bit(seven.d, 25) && tiles_are_granted(saved);
    case Feature::kNeon:
    case Feature::kDotprod:
    case Feature::kI8mm:
    case Feature::kFusedMadd:
      return false;
  }
  return false;
}

#elif defined(__aarch64__)

bool ask(Feature feature) {
#if defined(__linux__)
  const unsigned long words[] = {getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
#else
  const unsigned long words[] = {0, 0};
#endif
  switch (feature) {
    case Feature::kNeon:
      return true;  // part of AArch64
    case Feature::kDotprod:
      return (words[0] & (1UL << 20)) != 0;  // HWCAP_ASIMDDP
    case Feature::kI8mm:
      return (words[1] & (1UL << 13)) != 0;  // HWCAP2_I8MM
    default:
      return false;
  }
}

#elif defined(PHIAL_WASM_RELAXED)

// An engine that has loaded this module has the instructions. How one rounds is asked by computing: the product, 1 +
// 2^-11 + 2^-24, loses its last bit if it is rounded by itself.
[[gnu::target("relaxed-simd")]] bool madd_is_fused() {
  volatile float factor = 1 + 0x1p-12F;  // the compiler would answer for itself
  const v128_t a = wasm_f32x4_splat(factor);
  const v128_t difference = wasm_f32x4_relaxed_madd(a, a, wasm_f32x4_const_splat(-1 - 0x1p-11F));
  return wasm_f32x4_extract_lane(difference, 0) == 0x1p-24F;
}

bool ask(Feature feature) { return feature == Feature::kFusedMadd && madd_is_fused(); }

#else

bool ask(Feature) { return false; }

#endif

}  // namespace

bool cpu_has(Feature feature) { return ask(feature); }

}  // namespace phial::kernels

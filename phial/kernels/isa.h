// What this CPU has, asked by our own code: the compilers' builtins know different words.
#pragma once

namespace phial::kernels {

// Spelled as in the NEEDS of phial_isa(); a word that another CPU has is never there.
enum class Feature {
  kAvx2,
  kFma,
  kF16c,
  kAvxVnni,
  kAvx512f,
  kAvx512bw,
  kAvx512dq,
  kAvx512vl,
  kAvx512Vnni,
  kAmxTile,
  kAmxInt8,
  kNeon,
  kDotprod,
  kI8mm,
  kFusedMadd,  // WebAssembly: relaxed SIMD, whose multiply-add rounds once on this machine
};

// True if the CPU has it and the operating system keeps its registers, which Linux has to be asked for AMX's tiles.
bool cpu_has(Feature feature);

}  // namespace phial::kernels

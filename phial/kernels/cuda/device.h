// What the kernels for CUDA devices share at their doors.
//
// Pointers are to memory of the current device. Every function starts its kernels on the given stream and returns
// before they have run. It returns null, or the CUDA runtime's words for what it refused (static storage); what goes
// wrong while kernels run is reported by a later call, as is CUDA's way. Same inputs, same device: same bits.
// Threads: any.
#pragma once

struct CUstream_st;

namespace phial::kernels::cuda {

using Stream = CUstream_st*;

enum class Number { kF32, kF64, kBf16 };

}  // namespace phial::kernels::cuda

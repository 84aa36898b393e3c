// Where a run computes: on the CPU, or on one CUDA device.
//
// Batches are made on the CPU, and what a stage reads of a network comes back to it: the weights, their gradients and
// moments, and all between a batch and its loss live on the device (train/network.h). Threads: one.
#pragma once

#include <string>

#include "phial/base/result.h"
#include "phial/train/run_config.h"
#include "phial/train/torch.h"

namespace phial::train {

// As train.device says, made ready. "auto": the first CUDA device, where this build and machine have one and the run is
// one process; else the CPU. kUnsupported for "cuda" where there is none.
Result<at::Device> open_device(const RunConfig& config);

// "NVIDIA H200"; empty for the CPU.
std::string device_name(const at::Device& device);

// A tensor of the CPU on `device`. Does not wait for what the device still computes; for tensors of a batch.
at::Tensor moved(const at::Tensor& values, const at::Device& device);

}  // namespace phial::train

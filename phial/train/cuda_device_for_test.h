// The CUDA device of tests and benches that need one.
#pragma once

#include "phial/train/device.h"

namespace phial::train {

// Else the error says what this build or machine lacks.
inline Result<at::Device> cuda_device() {
  RunConfig config;
  config.device = "cuda";
  return open_device(config);
}

}  // namespace phial::train

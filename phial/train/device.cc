#include "phial/train/device.h"

#include <ATen/Context.h>
#include <ATen/SDPBackend.h>
#ifdef PHIAL_CUDA
#include <cuda_runtime_api.h>
#endif

#include <vector>

namespace phial::train {
namespace {

#ifdef PHIAL_CUDA
constexpr bool kHasKernels = true;
#else
constexpr bool kHasKernels = false;  // of our own, without which layers are not computed there
#endif

Error no_device(const std::string& why, const std::string& remedy) {
  return {Code::kUnsupported, "train.device is cuda, but " + why, remedy + ", or leave train.device away"};
}

Status check_cuda(const World& world) {
  if (!kHasKernels) return no_device("this phial-train is built without CUDA", "build it as docs/training.md says");
  if (!at::hasCUDA()) return no_device("libtorch finds no CUDA device", "see what nvidia-smi lists");
  if (world.size > 1) return no_device("several processes do not train on GPUs yet", "start one process");
  return ok();
}

}  // namespace

Result<at::Device> open_device(const RunConfig& config) {
  if (config.device == "cpu") return at::Device(at::kCPU);
  if (Status can = check_cuda(config.world); !can) {
    if (config.device == "auto") return at::Device(at::kCPU);
    return std::move(can).error();
  }
  // cuDNN's attention is the fastest on Hopper where it takes the shapes; libtorch asks it last.
  std::vector<int64_t> order;
  for (const at::SDPBackend each :
       {at::SDPBackend::cudnn_attention, at::SDPBackend::flash_attention, at::SDPBackend::efficient_attention,
        at::SDPBackend::math, at::SDPBackend::overrideable}) {
    order.push_back(static_cast<int64_t>(each));
  }
  at::globalContext().setSDPPriorityOrder(order);
  return at::Device(at::kCUDA, 0);
}

std::string device_name([[maybe_unused]] const at::Device& device) {
#ifdef PHIAL_CUDA
  cudaDeviceProp properties;
  if (device.is_cuda() && cudaGetDeviceProperties(&properties, device.index()) == cudaSuccess) return properties.name;
#endif
  return {};
}

at::Tensor moved(const at::Tensor& values, const at::Device& device) {
  if (values.device() == device) return values;
  // Out of pages that the device reads by itself, or the copy would wait.
  return values.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace phial::train

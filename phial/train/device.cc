#include "phial/train/device.h"

#include <ATen/Context.h>
#include <ATen/SDPBackend.h>

#include <vector>

#include "phial/train/device_operations.h"

namespace phial::train {
namespace {

Error no_device(const std::string& why, const std::string& remedy) {
  return {Code::kUnsupported, "train.device is cuda, but " + why, remedy + ", or leave train.device away"};
}

Status check_cuda(const World& world) {
  if (!has_device_operations())
    return no_device("this phial-train is built without CUDA", "build it as docs/training.md says");
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

std::string device_name(const at::Device& device) {
  return device.is_cuda() ? cuda_device_name(device.index()) : std::string();
}

at::Tensor moved(const at::Tensor& values, const at::Device& device) {
  if (values.device() == device) return values;
  // Out of pages that the device reads by itself, or the copy would wait.
  return values.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace phial::train

// The parts of libtorch that training uses: tensors and autograd. Precompiled; included by sources and headers of this
// room only.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

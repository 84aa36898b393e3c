#include "phial/train/fused.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "phial/kernels/kernels.h"
#include "phial/train/device_operations.h"
#include "phial/train/narrow.h"
#include "phial/train/row_loops.h"

namespace phial::train {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kRowsOfPart = 64;  // whose gradients of a gain are added up together, whatever the threads

void check_no_second_derivative() {
  TORCH_CHECK(!at::GradMode::is_enabled(),
              "fused operations have no second derivatives: call backward without create_graph");
}

float dot(const float* a, const float* b, int64_t n) {
  float sum = 0;
  kernels::active().dot_rows(a, b, 1, static_cast<size_t>(n), &sum);
  return sum;
}

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given, const at::Tensor& gain, double eps,
                            at::ScalarType type) {
    const at::Tensor x = given.contiguous(), out = at::empty(x.sizes(), x.options().dtype(type));
    const int64_t D = x.size(-1), rows = x.numel() / D;
    const at::Tensor inverses = at::empty({rows}, x.options());
    context->save_for_backward({x, gain, inverses});
    if (x.is_cuda()) {
      device_rms_norm(x, gain.contiguous(), eps, out, inverses);
      return out;
    }
    const float* const in = x.const_data_ptr<float>();
    const float* const gains = gain.const_data_ptr<float>();
    float* const inverse = inverses.data_ptr<float>();
    with_type(out, [&]<class T>(T) {
      T* const to = out.data_ptr<T>();
      for_parts(rows, [&](int64_t first, int64_t end) {
        for (int64_t r = first; r < end; ++r) {
          const float* const row = in + r * D;
          const float scale = 1 / std::sqrt(dot(row, row, D) / static_cast<float>(D) + static_cast<float>(eps));
          inverse[r] = scale;
          for (int64_t d = 0; d < D; ++d) narrow(row[d] * scale * gains[d], to[r * D + d]);
        }
      });
    });
    return out;
  }

  // With n = x * inverse and g = gradient * gain: (g - n mean(g n)) * inverse, and of the gain gradient * n.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    check_no_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], gradient = gradients[0].contiguous();
    const int64_t D = x.size(-1), rows = x.numel() / D, parts = (rows + kRowsOfPart - 1) / kRowsOfPart;
    const at::Tensor of_x = at::empty_like(x);
    if (x.is_cuda()) {
      const at::Tensor of_gain = device_rms_norm_gradient(x, saved[1].contiguous(), saved[2], gradient, of_x);
      return {of_x, of_gain, at::Tensor(), at::Tensor()};
    }
    const at::Tensor of_gains = at::zeros({parts, D}, x.options());
    const float* const in = x.const_data_ptr<float>();
    const float* const gain = saved[1].const_data_ptr<float>();
    const float* const inverse = saved[2].const_data_ptr<float>();
    float* const to = of_x.data_ptr<float>();
    with_type(gradient, [&]<class T>(T) {
      const T* const from = gradient.const_data_ptr<T>();
      for_parts(parts, [&](int64_t first_part, int64_t end_part) {
        std::vector<float> space(static_cast<size_t>(D)), scaled(static_cast<size_t>(D));
        for (int64_t part = first_part; part < end_part; ++part) {
          float* const of_gain = of_gains.data_ptr<float>() + part * D;
          for (int64_t r = part * kRowsOfPart; r < std::min(rows, (part + 1) * kRowsOfPart); ++r) {
            const float *const row = in + r * D, *const g = as_floats(from + r * D, D, space.data());
            for (int64_t d = 0; d < D; ++d) {
              scaled[static_cast<size_t>(d)] = g[d] * gain[d];
              of_gain[d] += g[d] * row[d] * inverse[r];
            }
            const float shared = dot(scaled.data(), row, D) / static_cast<float>(D) * inverse[r] * inverse[r];
            for (int64_t d = 0; d < D; ++d) {
              to[r * D + d] = (scaled[static_cast<size_t>(d)] - row[d] * shared) * inverse[r];
            }
          }
        }
      });
    });
    return {of_x, of_gains.sum(0), at::Tensor(), at::Tensor()};
  }
};

// Rows of gates and of what they gate, which lie in one tensor or in two. The last dimension is contiguous.
struct GatedRows {
  at::Tensor gate, up;  // [rows, F]

  GatedRows(const at::Tensor& first, const at::Tensor& second) {
    const at::Tensor wide = first.reshape({-1, first.size(-1)}).contiguous();
    const int64_t F = second.numel() > 0 ? wide.size(1) : wide.size(1) / 2;
    gate = wide.slice(1, 0, F);
    up = second.numel() > 0 ? second.reshape({-1, F}).contiguous() : wide.slice(1, F);
  }
};

// The gradients of silu(gate) * up, times `gradient`, in their own places: of the gate gradient * up * s (1 + gate (1 -
// s)), of the other gradient * silu(gate), with s = 1 / (1 + exp(-gate)). `space`: [n].
void swiglu_gradient(int64_t n, const float* gate, const float* up, const float* gradient, float* space, float* of_gate,
                     float* of_up) {
  for (int64_t i = 0; i < n; ++i) space[i] = -std::abs(gate[i]);
  float largest = 0, sum = 0;  // exponentials by the kernel of attention: none of these is above 0
  kernels::active().online_softmax({1, static_cast<size_t>(n), 0, space, &largest, &sum, nullptr});
  for (int64_t i = 0; i < n; ++i) {
    const float x = gate[i], large = 1 / (1 + space[i]), small = space[i] * large;
    const float s = x < 0 ? small : large, rest = x < 0 ? large : small;
    of_gate[i] = gradient[i] * up[i] * s * (1 + x * rest);
    of_up[i] = gradient[i] * x * s;
  }
}

class SwiGluFunction : public torch::autograd::Function<SwiGluFunction> {
 public:
  // `second` empty: `first` holds both.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& first, const at::Tensor& second) {
    const GatedRows in(first, second);
    const int64_t rows = in.gate.size(0), F = in.gate.size(1);
    std::vector<int64_t> shape = first.sizes().vec();
    shape.back() = F;
    const at::Tensor out = at::empty(shape, first.options());
    context->save_for_backward({first, second});
    if (first.is_cuda()) {
      device_swiglu(in.gate, in.up, out);
      return out;
    }
    with_type(out, [&]<class T>(T) {
      const T *const gates = in.gate.const_data_ptr<T>(), *const ups = in.up.const_data_ptr<T>();
      T* const to = out.data_ptr<T>();
      for_parts(rows, [&](int64_t first_row, int64_t end) {
        std::vector<float> space(static_cast<size_t>(3 * F));
        for (int64_t r = first_row; r < end; ++r) {
          const float* const gate = as_floats(gates + r * in.gate.stride(0), F, space.data());
          const float* const up = as_floats(ups + r * in.up.stride(0), F, space.data() + F);
          float* const product = space.data() + 2 * F;
          kernels::active().silu_mul(gate, up, static_cast<size_t>(F), product);
          for (int64_t i = 0; i < F; ++i) narrow(product[i], to[r * F + i]);
        }
      });
    });
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    check_no_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const GatedRows in(saved[0], saved[1]);
    const at::Tensor of_first = at::empty(saved[0].sizes(), saved[0].options());
    const at::Tensor of_second = at::empty(saved[1].sizes(), saved[1].options());
    const GatedRows out(of_first, of_second);
    const at::Tensor gradient = gradients[0].contiguous();
    const int64_t rows = in.gate.size(0), F = in.gate.size(1);
    if (gradient.is_cuda()) {
      device_swiglu_gradient(in.gate, in.up, gradient, out.gate, out.up);
      return {of_first, of_second};
    }
    with_type(gradient, [&]<class T>(T) {
      const T *const gates = in.gate.const_data_ptr<T>(), *const ups = in.up.const_data_ptr<T>();
      const T* const from = gradient.const_data_ptr<T>();
      T *const to_gates = out.gate.data_ptr<T>(), *const to_ups = out.up.data_ptr<T>();
      for_parts(rows, [&](int64_t first_row, int64_t end) {
        std::vector<float> space(static_cast<size_t>(6 * F));
        float *const of_gate = space.data() + 3 * F, *const of_up = space.data() + 4 * F;
        for (int64_t r = first_row; r < end; ++r) {
          const float* const gate = as_floats(gates + r * in.gate.stride(0), F, space.data());
          const float* const up = as_floats(ups + r * in.up.stride(0), F, space.data() + F);
          const float* const g = as_floats(from + r * F, F, space.data() + 2 * F);
          swiglu_gradient(F, gate, up, g, space.data() + 5 * F, of_gate, of_up);
          T *const to_gate = to_gates + r * out.gate.stride(0), *const to_up = to_ups + r * out.up.stride(0);
          for (int64_t i = 0; i < F; ++i) narrow(of_gate[i], to_gate[i]);
          for (int64_t i = 0; i < F; ++i) narrow(of_up[i], to_up[i]);
        }
      });
    });
    return {of_first, of_second};
  }
};

// out [B, H, T, E] = heads turned by the angles, or back (`sign` -1).
void turn(const at::Tensor& heads, const at::Tensor& cos, const at::Tensor& sin, float sign, const at::Tensor& out) {
  if (heads.is_cuda()) return device_turn(heads, cos, sin, sign, out);
  const int64_t H = heads.size(1), T = heads.size(2), E = heads.size(3), half = cos.size(3);
  const float *const cosines = cos.const_data_ptr<float>(), *const sines = sin.const_data_ptr<float>();
  with_type(heads, [&]<class Number>(Number) {
    const Number* const from = heads.const_data_ptr<Number>();
    Number* const to = out.data_ptr<Number>();
    for_parts(heads.size(0) * T, [&](int64_t first, int64_t end) {
      for (int64_t at = first; at < end; ++at) {
        const float *const c = cosines + at * half, *const s = sines + at * half;
        for (int64_t h = 0; h < H; ++h) {
          const Number* const x = from + at / T * heads.stride(0) + h * heads.stride(1) + at % T * heads.stride(2);
          Number* const y = to + at / T * out.stride(0) + h * out.stride(1) + at % T * out.stride(2);
          for (int64_t d = 0; d < half; ++d) {
            const float a = widened(x[d]), b = widened(x[half + d]), sine = sign * s[d];
            narrow(a * c[d] - b * sine, y[d]);
            narrow(b * c[d] + a * sine, y[half + d]);
          }
          std::copy(x + 2 * half, x + E, y + 2 * half);
        }
      }
    });
  });
}

class RotateFunction : public torch::autograd::Function<RotateFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& heads, const at::Tensor& cos,
                            const at::Tensor& sin) {
    const at::Tensor in = heads.stride(3) == 1 ? heads : heads.contiguous();
    // On a device a token's heads lie side by side: attention there takes both ways, and what it mixes needs no copy.
    const at::Tensor out =
        heads.is_cuda() ? at::empty({in.size(0), in.size(2), in.size(1), in.size(3)}, in.options()).transpose(1, 2)
                        : at::empty(heads.sizes(), heads.options());
    turn(in, cos, sin, 1, out);
    context->save_for_backward({cos, sin});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    check_no_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor in = gradients[0].stride(3) == 1 ? gradients[0] : gradients[0].contiguous();
    // A token's heads side by side, as the product has them that they came from.
    const at::Tensor out = at::empty({in.size(0), in.size(2), in.size(1), in.size(3)}, in.options()).transpose(1, 2);
    turn(in, saved[0], saved[1], -1, out);
    return {out, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& gain, double eps, at::ScalarType type) {
  return RmsNormFunction::apply(x, gain, eps, type);
}

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) { return SwiGluFunction::apply(gate, up); }

at::Tensor swiglu(const at::Tensor& both) { return SwiGluFunction::apply(both, at::empty({0}, both.options())); }

at::Tensor rotated(const at::Tensor& heads, const at::Tensor& cos, const at::Tensor& sin) {
  return RotateFunction::apply(heads, cos.contiguous(), sin.contiguous());
}

}  // namespace phial::train

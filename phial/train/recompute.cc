#include "phial/train/recompute.h"

#include <torch/custom_class.h>

#include <utility>

namespace phial::train {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kFunction = "function";

// The graph keeps it as long as itself.
struct Kept : torch::CustomClassHolder {
  explicit Kept(TensorFunction kept) : function(std::move(kept)) {}
  TensorFunction function;
};

class RecomputeFunction : public torch::autograd::Function<RecomputeFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const TensorFunction& f) {
    context->save_for_backward({x});
    context->saved_data[kFunction] = c10::IValue::make_capsule(c10::make_intrusive<Kept>(f));
    return f(x);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto kept = c10::static_intrusive_pointer_cast<Kept>(context->saved_data[kFunction].toCapsule());
    const at::AutoGradMode with_grad(true);
    const at::Tensor x = context->get_saved_variables()[0].detach().requires_grad_();
    torch::autograd::backward({kept->function(x)}, {gradients[0]});
    return {x.grad(), at::Tensor()};
  }
};

}  // namespace

at::Tensor recomputed(const TensorFunction& f, const at::Tensor& x) { return RecomputeFunction::apply(x, f); }

}  // namespace phial::train

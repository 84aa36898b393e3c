#include "phial/model/tensor_finder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "phial/tensor/blocks.h"

namespace phial::model {

Result<const formats::Tensor*> TensorFinder::find(const std::string& name, std::initializer_list<uint64_t> wanted) {
  PHIAL_TRY(const formats::Tensor* tensor, checkpoint_.need(name));
  if (!std::equal(wanted.begin(), wanted.end(), tensor->shape.begin(), tensor->shape.end())) {
    return Error{Code::kCorrupt,
                 checkpoint_.path().string() + ": tensor '" + name + "' has shape " +
                     formats::shape_text(tensor->shape) + ", wanted " +
                     formats::shape_text({wanted.begin(), wanted.size()}),
                 "the weights do not belong to this configuration; download the model again"};
  }
  const auto& type = tensor::info(tensor->dtype);
  if (!tensor::is_weight_type(tensor->dtype) || *(wanted.end() - 1) % type.block_size != 0) {
    return Error{Code::kUnsupported,
                 checkpoint_.path().string() + ": tensor '" + name + "' is stored as " + std::string(type.name) +
                     ", which cannot hold weights of shape " + formats::shape_text({wanted.begin(), wanted.size()}),
                 "convert the model anew"};
  }
  if (!std::in_range<size_t>(tensor->elements())) {
    return Error{
        Code::kOutOfRange,
        checkpoint_.path().string() + ": tensor '" + name + "' has more numbers than a program of 32 bits can count",
        "use a smaller model"};
  }
  used_.insert(name);
  return tensor;
}

Result<StoredRows> TensorFinder::matrix(const std::string& name, uint64_t rows, uint64_t cols) {
  return matrix(name, {rows, cols});
}

Result<StoredRows> TensorFinder::matrix(const std::string& name, std::initializer_list<uint64_t> shape) {
  PHIAL_TRY(const formats::Tensor* tensor, find(name, shape));
  const uint64_t rows = *shape.begin(), cols = tensor->elements() / rows;
  const auto row_bytes = tensor::bytes_of(tensor->dtype, cols);
  if (!row_bytes) return Error{Code::kCorrupt, "tensor '" + name + "' has rows that are no whole blocks", ""};
  StoredRows stored;
  stored.bytes = tensor->bytes.data();
  stored.dtype = tensor->dtype;
  stored.rows = static_cast<size_t>(rows);
  stored.cols = static_cast<size_t>(cols);
  stored.row_bytes = static_cast<size_t>(*row_bytes);
  stored.int4 = tensor->int4 ? &*tensor->int4 : nullptr;
  if (adapter_ != nullptr) {
    const auto low = adapter_->added.find(name);
    if (low != adapter_->added.end()) {
      if (low->second.rows != rows || low->second.columns != cols) {
        return Error{Code::kInvalid,
                     adapter_->file.path().string() + ": what it adds to '" + name + "' is " +
                         formats::shape_text(std::array<uint64_t, 2>{low->second.rows, low->second.columns}) +
                         ", wanted " + formats::shape_text(std::array<uint64_t, 2>{rows, cols}),
                     "the adapter belongs to another model"};
      }
      stored.added = &low->second;
    }
  }
  return stored;
}

Result<std::vector<float>> TensorFinder::vector(const std::string& name, uint64_t size) {
  PHIAL_TRY(const formats::Tensor* tensor, find(name, {size}));
  std::vector<float> values(static_cast<size_t>(size));
  tensor::decode_row(tensor->dtype, tensor->bytes.data(), 0, values);
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
    return not_finite("tensor '" + name + "'").in(checkpoint_.path().string());
  }
  return values;
}

}  // namespace phial::model

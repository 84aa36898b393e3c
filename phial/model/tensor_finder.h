// Tensors of a checkpoint with the shape that a model wants, or an error that names them. Used inside model only.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <unordered_set>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/lora.h"
#include "phial/model/matrix.h"

namespace phial::model {

class TensorFinder {
 public:
  // With `adapter`, which outlives what is found: its low ranks are added to the matrices that bear the same name.
  explicit TensorFinder(const formats::Checkpoint& checkpoint, const formats::LoraAdapter* adapter = nullptr)
      : checkpoint_(checkpoint), adapter_(adapter) {}

  bool has(const std::string& name) const { return checkpoint_.find(name) != nullptr; }
  Result<StoredRows> matrix(const std::string& name, uint64_t rows, uint64_t cols);
  // The same of a tensor with more dimensions: the first counts rows, the others make up the columns.
  Result<StoredRows> matrix(const std::string& name, std::initializer_list<uint64_t> shape);
  Result<std::vector<float>> vector(const std::string& name, uint64_t size);

  bool was_used(const std::string& name) const { return used_.contains(name); }

 private:
  Result<const formats::Tensor*> find(const std::string& name, std::initializer_list<uint64_t> wanted);

  const formats::Checkpoint& checkpoint_;
  const formats::LoraAdapter* adapter_;
  std::unordered_set<std::string> used_;
};

}  // namespace phial::model

#include "phial/formats/int4_folder.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "phial/base/utf8.h"

namespace phial::formats {
namespace {

using tensor::DType;
using tensor::Int4Matrix;

constexpr std::string_view kLevels = ".qweight", kZeros = ".qzeros", kScales = ".scales", kGroups = ".g_idx";
constexpr size_t kPerWord = 8;

Error unsupported(std::string message) {
  return Error{Code::kUnsupported, "config.json: " + std::move(message),
               "take the model in AWQ (gemm), GPTQ (gptq or gptq_v2), GGUF or unquantized"};
}

// What quantization_config says of all matrices.
struct Settings {
  Int4Matrix::Packing packing = Int4Matrix::Packing::kGptq;
  int zero_offset = 0;
  std::optional<uint64_t> group_size;  // nothing: one group for all inputs
};

// The layout's name, under whichever key the writer used.
std::string layout_of(const Json& stated, std::initializer_list<const char*> keys, std::string fallback) {
  for (const char* key : keys) {
    const std::string* name = find_string(stated, key);
    if (name == nullptr) continue;
    return ascii_lower(*name);
  }
  return fallback;
}

// Nothing: a method that is not read here.
Result<std::optional<Settings>> read_settings(const Json& stated) {
  const std::string* method = find_string(stated, "quant_method");
  const bool is_awq = method != nullptr && *method == "awq";
  if (!is_awq && (method == nullptr || *method != "gptq")) return std::optional<Settings>();

  Settings settings;
  if (const auto bits = find_int(stated, "bits"); bits != 4) {
    return unsupported("the " + *method + " weights have " + (bits ? std::to_string(*bits) : std::string("unknown")) +
                       " bits, Phial reads 4");
  }
  if (is_awq) {
    settings.packing = Int4Matrix::Packing::kAwq;
    const std::string layout = layout_of(stated, {"version", "checkpoint_format", "format"}, "gemm");
    if (layout != "gemm") return unsupported("awq of version " + in_quotes(layout) + " is not supported");
  } else {
    std::string layout = layout_of(stated, {"checkpoint_format", "format"}, "gptq");
    if (find_bool(stated, "is_marlin_format") == true) layout = "marlin";
    if (layout != "gptq" && layout != "gptq_v2") {
      return unsupported("gptq of checkpoint_format " + in_quotes(layout) + " is not supported");
    }
    settings.zero_offset = layout == "gptq" ? 1 : 0;
  }
  const auto group_size = find_int(stated, "group_size");
  if (!group_size || (*group_size < 1 && *group_size != -1)) {
    return Error{Code::kCorrupt,
                 "config.json: group_size of the " + *method + " weights is " +
                     (group_size ? std::to_string(*group_size) : "missing") + ", wanted 1 or more, or -1",
                 "download the model again"};
  }
  if (*group_size > 0) settings.group_size = static_cast<uint64_t>(*group_size);
  return std::optional(settings);
}

struct Parts {
  const Tensor *levels = nullptr, *zeros = nullptr, *scales = nullptr, *groups = nullptr;
};

// Puts the parts of one matrix together, each held against what the levels' shape asks for.
class Joiner {
 public:
  Joiner(const Settings& settings, std::string name, const Parts& parts)
      : settings_(settings), name_(std::move(name)), parts_(parts) {}

  Result<Tensor> run() {
    PHIAL_CHECKED(read_sizes());
    const uint64_t in = matrix_.inputs, out = matrix_.outputs, n_groups = matrix_.n_groups();
    PHIAL_CHECKED(check(parts_.zeros, kZeros, DType::kI32, {n_groups, out / kPerWord}));
    const DType scale_type = parts_.scales != nullptr ? parts_.scales->dtype : DType::kF16;
    const bool is_float = scale_type == DType::kF16 || scale_type == DType::kBF16 || scale_type == DType::kF32;
    PHIAL_CHECKED(check(parts_.scales, kScales, is_float ? scale_type : DType::kF16, {n_groups, out}));
    matrix_.zeros = parts_.zeros->bytes.data();
    matrix_.scales = parts_.scales->bytes.data();
    matrix_.scale_type = scale_type;
    if (parts_.groups != nullptr) PHIAL_CHECKED(read_groups());

    Tensor joined;
    joined.name = name_ + ".weight";
    joined.dtype = DType::kInt4;
    joined.shape = {out, in};
    joined.bytes = parts_.levels->bytes;
    joined.int4 = matrix_;
    return joined;
  }

 private:
  std::string called(std::string_view part) const { return "tensor " + in_quotes(name_ + std::string(part)); }
  Error corrupt(std::string message) const {
    return Error{Code::kCorrupt, std::move(message), "download the model again"};
  }

  Status read_sizes() {
    const Tensor& levels = *parts_.levels;
    if (levels.shape.size() != 2 || levels.shape[0] == 0 || levels.shape[1] == 0 || levels.dtype != DType::kI32) {
      return corrupt(called(kLevels) + " is " + std::string(tensor::info(levels.dtype).name) + " of shape " +
                     shape_text(levels.shape) + ", wanted an I32 matrix that is not empty");
    }
    // The words lie in the file, so eight times their number fits.
    const bool is_awq = settings_.packing == Int4Matrix::Packing::kAwq;
    matrix_.packing = settings_.packing;
    matrix_.zero_offset = settings_.zero_offset;
    const uint64_t inputs = levels.shape[0] * (is_awq ? 1 : kPerWord);
    const uint64_t outputs = levels.shape[1] * (is_awq ? kPerWord : 1);
    if (!std::in_range<size_t>(inputs * outputs)) {
      return Error{Code::kOutOfRange, called(kLevels) + " has more weights than a program of 32 bits can count",
                   "use a smaller model"};
    }
    matrix_.inputs = static_cast<size_t>(inputs);
    matrix_.outputs = static_cast<size_t>(outputs);
    matrix_.levels = levels.bytes.data();
    if (matrix_.inputs % kPerWord != 0 || matrix_.outputs % kPerWord != 0) {
      return corrupt(called(kLevels) + " maps " + std::to_string(matrix_.inputs) + " inputs to " +
                     std::to_string(matrix_.outputs) + " outputs, wanted multiples of 8");
    }
    matrix_.group_size =
        static_cast<size_t>(std::min<uint64_t>(settings_.group_size.value_or(matrix_.inputs), matrix_.inputs));
    return ok();
  }

  Status check(const Tensor* part, std::string_view suffix, DType type, const std::vector<uint64_t>& shape) const {
    const std::string wanted = std::string(tensor::info(type).name) + " of shape " + shape_text(shape);
    if (part == nullptr) return corrupt(called(suffix) + " is missing, wanted " + wanted);
    if (part->dtype == type && part->shape == shape) return ok();
    return corrupt(called(suffix) + " is " + std::string(tensor::info(part->dtype).name) + " of shape " +
                   shape_text(part->shape) + ", wanted " + wanted + " for groups of " +
                   std::to_string(matrix_.group_size));
  }

  // Groups that merely follow one another are told by their size alone.
  Status read_groups() {
    PHIAL_CHECKED(check(parts_.groups, kGroups, DType::kI32, {matrix_.inputs}));
    bool in_order = true;
    for (size_t i = 0; i < matrix_.inputs; ++i) {
      int32_t group;
      std::memcpy(&group, parts_.groups->bytes.data() + i * sizeof group, sizeof group);
      if (group < 0 || static_cast<uint64_t>(group) >= matrix_.n_groups()) {
        return corrupt(called(kGroups) + " gives input " + std::to_string(i) + " the group " + std::to_string(group) +
                       " of " + std::to_string(matrix_.n_groups()));
      }
      in_order = in_order && static_cast<uint64_t>(group) == i / matrix_.group_size;
    }
    if (!in_order) matrix_.groups = parts_.groups->bytes.data();
    return ok();
  }

  const Settings& settings_;
  std::string name_;
  Parts parts_;
  Int4Matrix matrix_;
};

// The name before the ending, if it has one of the endings of a quantized matrix.
std::optional<std::string_view> stem_of(const Tensor& tensor, std::string_view ending) {
  const std::string_view name = tensor.name;
  if (!name.ends_with(ending)) return std::nullopt;
  return name.substr(0, name.size() - ending.size());
}

}  // namespace

Status join_int4(const Json& config, std::vector<Tensor>& tensors) {
  std::map<std::string, Parts> matrices;
  for (const Tensor& tensor : tensors) {
    if (const auto stem = stem_of(tensor, kLevels)) matrices[std::string(*stem)].levels = &tensor;
  }
  const Json* stated = find_member(config, "quantization_config");
  if (stated == nullptr || stated->is_null()) {
    if (matrices.empty()) return ok();
    return Error{Code::kCorrupt,
                 "tensor " + in_quotes(matrices.begin()->first + std::string(kLevels)) +
                     " is quantized, and config.json has no quantization_config that says how",
                 "get the model's config.json again"};
  }
  PHIAL_TRY(const std::optional<Settings> settings, read_settings(*stated));
  if (!settings) return ok();

  std::vector<Tensor> kept;
  for (const Tensor& tensor : tensors) {
    bool is_part = false;
    for (const auto& [ending, part] : {std::pair(kLevels, &Parts::levels), std::pair(kZeros, &Parts::zeros),
                                       std::pair(kScales, &Parts::scales), std::pair(kGroups, &Parts::groups)}) {
      const auto stem = stem_of(tensor, ending);
      if (!stem || (ending == kGroups && settings->packing == Int4Matrix::Packing::kAwq)) continue;
      const auto matrix = matrices.find(std::string(*stem));
      if (matrix == matrices.end()) continue;
      matrix->second.*part = &tensor;
      is_part = true;
    }
    if (!is_part) kept.push_back(tensor);
  }
  for (const auto& [name, parts] : matrices) {
    PHIAL_TRY(Tensor joined, Joiner(*settings, name, parts).run());
    kept.push_back(std::move(joined));
  }
  tensors = std::move(kept);
  return ok();
}

}  // namespace phial::formats

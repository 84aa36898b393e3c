#include "phial/convert/merge_lora.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "phial/base/json_writer.h"
#include "phial/base/output_file.h"
#include "phial/base/utf8.h"
#include "phial/formats/lora.h"
#include "phial/formats/safetensors_writer.h"

namespace phial::convert {
namespace {

namespace fs = std::filesystem;
using formats::NewTensor;
using formats::Piece;
using formats::Tensor;

constexpr const char* kHead = "lm_head.weight";

Error does_not_fit(const fs::path& adapter, const std::string& what) {
  return Error{Code::kInvalid, adapter.string() + " is of another model: " + what,
               "name the model that it was trained on"};
}

NewTensor as_it_is(const Tensor& tensor) {
  return {.name = tensor.name,
          .dtype = tensor.dtype,
          .shape = tensor.shape,
          .pieces = {{.dtype = tensor.dtype, .bytes = tensor.bytes.data(), .count = tensor.elements()}}};
}

NewTensor with_added(const Tensor& tensor, const formats::LowRank& low) {
  NewTensor sum = as_it_is(tensor);
  sum.pieces.resize(low.rows);
  const size_t row_bytes = tensor.bytes.size() / low.rows;
  for (size_t row = 0; row < low.rows; ++row) {
    sum.pieces[row] = {.dtype = tensor.dtype,
                       .bytes = tensor.bytes.data() + row * row_bytes,
                       .count = low.columns,
                       .row = row,
                       .added = &low};
  }
  return sum;
}

Result<std::vector<NewTensor>> merged_tensors(const formats::Checkpoint& base, const formats::LoraAdapter& adapter,
                                              const fs::path& named) {
  std::vector<NewTensor> merged;
  for (const Tensor& tensor : base.tensors()) {
    if (tensor::info(tensor.dtype).block_size != 1) {
      return Error{Code::kUnsupported, base.path().string() + ": tensor " + in_quotes(tensor.name) + " is quantized",
                   "merge into the model as it was trained, and quantize the result"};
    }
    const auto whole = adapter.whole.find(tensor.name);
    const auto added = adapter.added.find(tensor.name);
    if (whole != adapter.whole.end()) {
      if (whole->second.shape != tensor.shape)
        return does_not_fit(named, in_quotes(tensor.name) + " has another shape");
      merged.push_back(as_it_is(whole->second));
      merged.back().name = tensor.name;
      merged.back().dtype = tensor.dtype;
    } else if (added != adapter.added.end()) {
      if (tensor.shape != std::vector<uint64_t>{added->second.rows, added->second.columns}) {
        return does_not_fit(
            named, in_quotes(tensor.name) + " is " + formats::shape_text(tensor.shape) + ", not " +
                       formats::shape_text(std::array<uint64_t, 2>{added->second.rows, added->second.columns}));
      }
      merged.push_back(with_added(tensor, added->second));
    } else {
      merged.push_back(as_it_is(tensor));
    }
  }
  for (const auto& [name, low] : adapter.added) {
    if (base.find(name) == nullptr) return does_not_fit(named, "there is no " + in_quotes(name));
  }
  return merged;
}

// A head that was trained beside an embedding that was its weights: from now on they are two.
Status untie_head(const formats::Checkpoint& base, const formats::LoraAdapter& adapter, const fs::path& named,
                  Json& config, std::vector<NewTensor>& tensors) {
  for (const auto& [name, tensor] : adapter.whole) {
    if (base.find(name) != nullptr) continue;
    if (name != kHead) return does_not_fit(named, "there is no " + in_quotes(name));
    config["tie_word_embeddings"] = false;
    tensors.push_back(as_it_is(tensor));
    tensors.back().name = name;
  }
  return ok();
}

// All but weights, in whichever format.
Status copy_side_files(const fs::path& from, const fs::path& to) {
  static constexpr std::array<std::string_view, 9> kWeights = {".safetensors", ".bin",  ".pt", ".pth",    ".gguf",
                                                               ".h5",          ".onnx", ".ot", ".msgpack"};
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(from, failed)) {
    const fs::path& path = entry.path();
    const std::string extension = path.extension().string(), name = path.filename().string();
    if (!entry.is_regular_file(failed) || name == "config.json" || name.ends_with(".index.json") ||
        std::ranges::find(kWeights, extension) != kWeights.end()) {
      continue;
    }
    if (!fs::copy_file(path, to / name, failed)) break;
  }
  if (!failed) return ok();
  return Error{Code::kIo, from.string() + ": its files cannot be copied: " + failed.message(), ""};
}

}  // namespace

Status merge_lora(const fs::path& base, const fs::path& adapter, const fs::path& out, const std::stop_token& stop) {
  return write_beside(out, [&](const fs::path& partial) -> Status {
    PHIAL_TRY(const formats::Checkpoint model, formats::Checkpoint::open(base));
    if (model.kind() == formats::CheckpointKind::kGguf || model.metadata().empty()) {
      return Error{Code::kUnsupported, base.string() + " is no Hugging Face folder",
                   "adapters name their tensors as those folders do: merge into one, then convert or quantize it"};
    }
    PHIAL_TRY(const formats::LoraAdapter lora, formats::open_lora(adapter));
    PHIAL_TRY(std::vector<NewTensor> tensors, merged_tensors(model, lora, adapter));
    Json config = model.metadata();
    PHIAL_CHECKED(untie_head(model, lora, adapter, config, tensors));
    PHIAL_CHECKED(make_folders(partial));
    PHIAL_CHECKED(write_json_file(partial / "config.json", config, 2));
    PHIAL_CHECKED(copy_side_files(model.folder(), partial));
    return formats::write_safetensors(partial / "model.safetensors", std::move(tensors), stop);
  });
}

}  // namespace phial::convert

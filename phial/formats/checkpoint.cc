#include "phial/formats/checkpoint.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "phial/base/folder.h"
#include "phial/base/utf8.h"
#include "phial/formats/gguf.h"
#include "phial/formats/int4_folder.h"
#include "phial/formats/safetensors.h"

namespace phial::formats {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr const char* kSingleName = "model.safetensors";
constexpr const char* kConfigName = "config.json";
constexpr size_t kLargestIndex = size_t{64} << 20;
constexpr size_t kLargestConfig = size_t{16} << 20;

Result<Json> read_config(const fs::path& path) {
  PHIAL_TRY(const std::string text, read_text_file(path, kLargestConfig));
  Result<Json> config = parse_json(text);
  if (!config) return std::move(config).error().in(path.string());
  if (!config->is_object()) return Error{Code::kCorrupt, path.string() + " is not a JSON object", "get it again"};
  return config;
}

// Which file of a folder holds its model: model.safetensors, the index (in the order in which transformers looks), or
// the only file of a kind.
Result<fs::path> find_model_file(const fs::path& folder) {
  for (const char* name : {kSingleName, kIndexName}) {
    if (is_there(folder / name)) return folder / name;
  }
  std::vector<fs::path> safetensors, ggufs;
  bool has_pickle = false;
  PHIAL_TRY(const std::vector<fs::path> files, list_folder(folder));
  for (const fs::path& file : files) {
    if (file.extension() == ".safetensors") safetensors.push_back(file);
    if (file.extension() == ".gguf" && !file.filename().string().starts_with(kProjectorPrefix)) ggufs.push_back(file);
    has_pickle = has_pickle || file.filename().string().starts_with("pytorch_model");
  }
  if (safetensors.size() == 1) return safetensors.front();
  if (safetensors.empty() && ggufs.size() == 1) return ggufs.front();
  if (safetensors.empty() && ggufs.empty() && has_pickle) {
    return Error{Code::kUnsupported,
                 folder.string() + " holds pickled PyTorch weights, Phial reads safetensors and GGUF",
                 "take the safetensors version of the model"};
  }
  const size_t found = std::max(safetensors.size(), ggufs.size());
  if (found > 1) {
    return Error{Code::kInvalid, folder.string() + " holds " + std::to_string(found) + " models and no " + kIndexName,
                 "name one of its files"};
  }
  return Error{Code::kNotFound,
               folder.string() + " holds no model: no " + kSingleName + ", " + kIndexName + " or GGUF file",
               "name a GGUF file or a Hugging Face model folder"};
}

// What a path turned out to hold.
struct Opened {
  CheckpointKind kind = CheckpointKind::kHuggingFace;
  Json metadata = Json::object();
  std::vector<MappedFile> files;
  std::vector<Tensor> tensors;
};

Result<std::vector<Tensor>> parse_shard(const MappedFile& file) {
  Result<std::vector<Tensor>> tensors = parse_safetensors(file.bytes());
  if (!tensors) return std::move(tensors).error().in(file.path().string());
  return tensors;
}

Status open_shards(const fs::path& index_path, LoadMode mode, Opened& opened) {
  PHIAL_TRY(const std::string text, read_text_file(index_path, kLargestIndex));
  Result<ShardMap> shards = parse_shard_index(text);
  if (!shards) return std::move(shards).error().in(index_path.string());

  std::map<std::string, std::vector<std::string>> names_by_file;
  for (const auto& [name, file] : *shards) names_by_file[file].push_back(name);
  for (const auto& [file_name, names] : names_by_file) {
    PHIAL_TRY(MappedFile file, MappedFile::open(index_path.parent_path() / file_name, mode));
    PHIAL_TRY(std::vector<Tensor> tensors, parse_shard(file));
    std::sort(tensors.begin(), tensors.end(), [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
    for (const std::string& name : names) {
      const auto at = std::lower_bound(tensors.begin(), tensors.end(), name,
                                       [](const Tensor& t, const std::string& wanted) { return t.name < wanted; });
      if (at == tensors.end() || at->name != name) {
        return Error{Code::kCorrupt,
                     "tensor '" + printable(name) + "' is not in " + printable(file_name) + ", where " +
                         index_path.string() + " places it",
                     "get the model's files again, all of the same version"};
      }
    }
    std::move(tensors.begin(), tensors.end(), std::back_inserter(opened.tensors));
    opened.files.push_back(std::move(file));
  }
  return ok();
}

Status open_one_file(const fs::path& path, LoadMode mode, Opened& opened) {
  PHIAL_TRY(MappedFile file, MappedFile::open(path, mode));
  if (looks_like_gguf(file.bytes())) {
    Result<Gguf> gguf = parse_gguf(file.bytes());
    if (!gguf) return std::move(gguf).error().in(path.string());
    opened.kind = CheckpointKind::kGguf;
    opened.metadata = std::move(gguf->metadata);
    opened.tensors = std::move(gguf->tensors);
  } else if (looks_like_safetensors(file.bytes()) || path.extension() == ".safetensors") {
    PHIAL_TRY(opened.tensors, parse_shard(file));
  } else {
    return Error{Code::kUnsupported, path.string() + " is neither a GGUF nor a safetensors file",
                 "name a GGUF file or a Hugging Face model folder"};
  }
  opened.files.push_back(std::move(file));
  return ok();
}

Result<Opened> open_path(const fs::path& path, LoadMode mode) {
  const bool in_folder = is_folder(path);
  fs::path file = path;
  if (in_folder) {
    PHIAL_TRY(file, find_model_file(path));
  }
  Opened opened;
  const bool is_index = file.extension() == ".json";
  PHIAL_CHECKED(is_index ? open_shards(file, mode, opened) : open_one_file(file, mode, opened));
  const fs::path config = file.parent_path() / kConfigName;
  const bool wants_config = opened.kind == CheckpointKind::kHuggingFace && (in_folder || is_index);
  if (wants_config) {
    PHIAL_TRY(opened.metadata, read_config(config));
  }
  return opened;
}

Status sort_by_name(const fs::path& path, std::vector<Tensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(tensors.begin(), tensors.end(),
                                        [](const Tensor& a, const Tensor& b) { return a.name == b.name; });
  if (twice == tensors.end()) return ok();
  return Error{Code::kCorrupt, "tensor '" + printable(twice->name) + "' is given twice (" + path.string() + ")",
               "get the model again"};
}

}  // namespace

fs::path projector_beside(const fs::path& gguf_file) {
  return gguf_file.parent_path() / (kProjectorPrefix + gguf_file.filename().string());
}

fs::path Checkpoint::folder() const { return is_folder(path_) ? path_ : path_.parent_path(); }

uint64_t Tensor::elements() const {
  uint64_t product = 1;
  for (const uint64_t extent : shape) product *= extent;
  return product;
}

std::string shape_text(std::span<const uint64_t> shape) {
  std::string text = "[";
  for (const uint64_t extent : shape) text.append(text.size() > 1 ? ", " : "").append(std::to_string(extent));
  return text + "]";
}

Result<Checkpoint> Checkpoint::open(const fs::path& path, LoadMode mode) {
  PHIAL_TRY(Opened opened, open_path(path, mode));
  Checkpoint checkpoint;
  checkpoint.kind_ = opened.kind;
  checkpoint.mode_ = mode;
  checkpoint.path_ = path;
  checkpoint.metadata_ = std::move(opened.metadata);
  checkpoint.files_ = std::move(opened.files);
  checkpoint.tensors_ = std::move(opened.tensors);

  PHIAL_CHECKED(sort_by_name(path, checkpoint.tensors_));
  if (checkpoint.kind_ == CheckpointKind::kHuggingFace && !checkpoint.metadata_.empty()) {
    Status joined = join_int4(checkpoint.metadata_, checkpoint.tensors_);
    if (!joined) return std::move(joined).error().in(path.string());
    PHIAL_CHECKED(sort_by_name(path, checkpoint.tensors_));
  }
  return checkpoint;
}

const Tensor* Checkpoint::find(std::string_view name) const {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                   [](const Tensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

Result<const Tensor*> Checkpoint::need(std::string_view name) const {
  if (const Tensor* tensor = find(name)) return tensor;
  return Error{Code::kCorrupt,
               "the model has no tensor '" + printable(name) + "' among its " + std::to_string(tensors_.size()) + " (" +
                   path_.string() + ")",
               "get the model again, complete"};
}

Status Checkpoint::hold(std::span<const std::byte> bytes) const {
  for (const MappedFile& file : files_) PHIAL_CHECKED(file.hold(bytes));
  return ok();
}

uint64_t Checkpoint::total_bytes() const {
  uint64_t total = 0;
  for (const MappedFile& file : files_) total += file.bytes().size();
  return total;
}

}  // namespace phial::formats

// A model on disk, opened by content: a GGUF file, a safetensors file, or a Hugging Face folder (config.json with
// safetensors, sharded or not). Everyone above opens a Checkpoint and never asks which it was, except for its metadata.
//
// Everything that a file says is checked before it is used: counts, offsets, lengths, alignment, products, overlap,
// UTF-8. Errors: kNotFound, kCorrupt, kUnsupported (by name, before any large allocation). The message names the file,
// the thing in it, what was found and what was wanted. Threads: immutable once open. The tensors' bytes live as long as
// the Checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/base/result.h"
#include "phial/tensor/dtype.h"
#include "phial/tensor/int4.h"

namespace phial::formats {

struct Tensor {
  std::string name;
  tensor::DType dtype = tensor::DType::kF32;
  std::vector<uint64_t> shape;       // outermost first, as in "y = W x" with W [out, in]; GGUF's order is turned around
  std::span<const std::byte> bytes;  // exactly bytes_of(dtype, elements()); may begin at any address
  std::optional<tensor::Int4Matrix> int4;  // of kInt4 only: what the bytes mean

  uint64_t elements() const;  // fits: checked when the file was read
};

// "[32, 64]", for messages.
std::string shape_text(std::span<const uint64_t> shape);

// How a GGUF file with an image encoder is called, as llama.cpp has it: this before the name of the decoder's.
inline constexpr const char* kProjectorPrefix = "mmproj-";
// Where the one of a GGUF file stands.
std::filesystem::path projector_beside(const std::filesystem::path& gguf_file);

enum class CheckpointKind { kGguf, kHuggingFace };

class Checkpoint {
 public:
  // `path`: a .gguf file, a .safetensors file, a model.safetensors.index.json, or a folder that holds a model.
  static Result<Checkpoint> open(const std::filesystem::path& path, LoadMode mode = LoadMode::kMap);

  CheckpointKind kind() const { return kind_; }
  const std::filesystem::path& path() const { return path_; }
  LoadMode mode() const { return mode_; }
  // Where the files stand that belong to it: path() or the folder that holds it.
  std::filesystem::path folder() const;

  // GGUF: its key-value pairs as one flat object ("phi3.block_count": 32), arrays included.
  // Hugging Face: config.json. Empty object for a bare safetensors file.
  const Json& metadata() const { return metadata_; }

  const std::vector<Tensor>& tensors() const { return tensors_; }
  const Tensor* find(std::string_view name) const;          // null if there is none
  Result<const Tensor*> need(std::string_view name) const;  // kCorrupt that names it

  // Reads a tensor's bytes into memory if the checkpoint was opened with kCopy (MappedFile::hold), which is how a model
  // is loaded without ever holding the file and the packed weights at once: hold, pack, release, tensor by tensor.
  Status hold(std::span<const std::byte> bytes) const;

  // Gives back the memory of a tensor's bytes that have been copied elsewhere (MappedFile::forget); they stay readable.
  void release(std::span<const std::byte> bytes) const {
    for (const MappedFile& file : files_) file.forget(bytes);
  }

  // What its tensors stand in.
  std::span<const MappedFile> files() const { return files_; }

  // The bytes of all files together.
  uint64_t total_bytes() const;

 private:
  Checkpoint() = default;

  CheckpointKind kind_ = CheckpointKind::kGguf;
  LoadMode mode_ = LoadMode::kMap;
  std::filesystem::path path_;
  Json metadata_ = Json::object();
  std::vector<MappedFile> files_;
  std::vector<Tensor> tensors_;  // sorted by name
};

}  // namespace phial::formats

#include "phial/formats/safetensors_writer.h"

#include <algorithm>
#include <span>
#include <string>
#include <tuple>

#include "phial/base/json.h"

namespace phial::formats {

Status write_safetensors(const std::filesystem::path& path, std::vector<NewTensor> tensors,
                         const std::stop_token& stop) {
  // Wide numbers first: each then begins at a multiple of its size.
  std::sort(tensors.begin(), tensors.end(), [](const NewTensor& a, const NewTensor& b) {
    const auto width = [](const NewTensor& t) { return tensor::info(t.dtype).block_bytes; };
    return std::tuple(width(b), a.name) < std::tuple(width(a), b.name);
  });
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t end = 0;
  for (const NewTensor& tensor : tensors) {
    const uint64_t begin = end;
    end += tensor.bytes();
    header[tensor.name] = {
        {"dtype", tensor::info(tensor.dtype).name}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = dump_json(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t length = text.size();

  PHIAL_TRY(OutputFile file, OutputFile::create(path));
  PHIAL_CHECKED(file.write(std::as_bytes(std::span(&length, 1))));
  PHIAL_CHECKED(file.write(std::as_bytes(std::span(text))));
  for (const NewTensor& tensor : tensors) PHIAL_CHECKED(write_values(file, tensor, stop));
  return file.finish();
}

}  // namespace phial::formats

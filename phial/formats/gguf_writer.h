// Writes a GGUF file, version 3, as docs/formats.md describes it.
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <vector>

#include "phial/base/json.h"
#include "phial/formats/new_tensor.h"

namespace phial::formats {

// Writes the tensor.bytes() bytes of a tensor.
using WriteValues = std::function<Status(OutputFile& file, const NewTensor& tensor, const std::stop_token& stop)>;

// `metadata`: one flat object. Whole numbers become u32 (i32 where negative, u64 and i64 where they do not fit), others
// f32; in arrays whole numbers are i32. Promises: no null, no nested object; arrays hold one kind of values; every name
// is given once. `write`: called for each tensor, in order. `first`: above 0, the file is there up to that tensor, as a
// call with the same metadata and tensors left it; what follows is written anew. Errors: kIo, kCancelled, kCorrupt for
// a file that is not such a beginning, those of `write`; the file is then not whole.
Status write_gguf(const std::filesystem::path& path, const Json& metadata, const std::vector<NewTensor>& tensors,
                  const std::stop_token& stop, const WriteValues& write = write_values, size_t first = 0);

}  // namespace phial::formats

// MappedFile where the system maps no files (WebAssembly): the file is read whole, so that nothing is left to hold, and
// nothing can be given back before the end.
#include <new>
#include <utility>

#include "phial/base/mapped_file.h"
#include "phial/base/regular_file.h"

namespace phial {

Result<MappedFile> MappedFile::open(const std::filesystem::path& path, LoadMode) {
  PHIAL_TRY(const RegularFile file, RegularFile::open(path));
  MappedFile whole;
  whole.path_ = path;
  if (file.size() == 0) return whole;
  // As well aligned as a page's beginning is for whoever looks into it.
  whole.data_ = static_cast<std::byte*>(::operator new(file.size(), std::align_val_t{64}, std::nothrow));
  if (whole.data_ == nullptr) {
    return Error{Code::kOutOfMemory, "it does not fit into the memory of this program (" + path.string() + ")",
                 "use a smaller file"};
  }
  whole.size_ = file.size();
  PHIAL_CHECKED(read_exactly(path, file.descriptor(), 0, whole.data_, whole.size_));
  return whole;
}

void MappedFile::release() { ::operator delete(data_, std::align_val_t{64}); }

Status MappedFile::hold(std::span<const std::byte>) const { return ok(); }
void MappedFile::forget(std::span<const std::byte>) const {}

}  // namespace phial

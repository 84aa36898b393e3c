#include "phial/capi/reader_path.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "phial/capi/phial.h"

namespace phial::capi {
namespace fs = std::filesystem;

std::string find_reader() {
  std::error_code error;
  const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path() / "phial-reader";
  if (!error && fs::exists(beside, error)) return beside.string();
  Dl_info here{};
  if (::dladdr(reinterpret_cast<const void*>(&phial_version), &here) == 0 || here.dli_fname == nullptr) return {};
  const fs::path library = fs::canonical(here.dli_fname, error);
  for (fs::path folder = library.parent_path(); !error && folder.has_relative_path(); folder = folder.parent_path()) {
    if (fs::exists(folder / "bin/phial-reader", error)) return (folder / "bin/phial-reader").string();
    error.clear();
  }
  return {};
}

}  // namespace phial::capi

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
  const fs::path folder = fs::canonical(here.dli_fname, error).parent_path();
  if (error) return {};
  for (const char* bin : {"bin", "../bin", "../../bin"}) {
    const fs::path reader = (folder / bin / "phial-reader").lexically_normal();
    if (fs::exists(reader, error)) return reader.string();
  }
  return {};
}

}  // namespace phial::capi

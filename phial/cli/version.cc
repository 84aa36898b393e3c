#include "phial/cli/version.h"

#include "phial/kernels/kernels.h"

namespace phial::cli {

std::string version() { return PHIAL_VERSION; }

std::string version_text() {
  std::string text = "phial " + version() + "\ncompiled in:";
  for (const char* name : kernels::compiled()) text += std::string(" ") + name;
  text += "\nruns here:";
  for (const kernels::KernelSet* set : kernels::runnable()) text += std::string(" ") + set->name;
  text += std::string("\nchosen: ") + kernels::active().name + "\n";
  return text;
}

}  // namespace phial::cli

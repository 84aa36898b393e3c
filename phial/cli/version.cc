#include "phial/cli/version.h"

#include <algorithm>
#include <string_view>

#include "phial/base/utf8.h"
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

Status check_instruction_set() {
  const char* refused = kernels::refused_choice();
  if (refused == nullptr) return ok();
  const auto compiled = kernels::compiled();
  const bool is_known = std::ranges::find(compiled, std::string_view(refused)) != compiled.end();
  std::string remedy = "choose one of";
  for (const kernels::KernelSet* set : kernels::runnable()) {
    remedy += (set == kernels::runnable().front() ? " " : ", ") + std::string(set->name);
  }
  return Error{Code::kInvalid,
               is_known ? "this machine cannot run the instruction set '" + std::string(refused) + "' (PHIAL_ISA)"
                        : "there is no instruction set '" + printable(refused) + "' (PHIAL_ISA)",
               remedy + ", or leave it unset"};
}

}  // namespace phial::cli

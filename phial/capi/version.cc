#include "phial/capi/phial.h"
#include "phial/kernels/kernels.h"

int phial_abi_version() { return PHIAL_ABI_VERSION; }

const char* phial_version() { return PHIAL_VERSION; }

const char* phial_instruction_set() { return phial::kernels::active().name; }

const char* phial_code_name(phial_code code) {
  switch (code) {
    case PHIAL_OK:
      return "ok";
    case PHIAL_NOT_FOUND:
      return "not found";
    case PHIAL_CORRUPT:
      return "corrupt";
    case PHIAL_UNSUPPORTED:
      return "unsupported";
    case PHIAL_INVALID:
      return "invalid";
    case PHIAL_OUT_OF_RANGE:
      return "out of range";
    case PHIAL_OUT_OF_MEMORY:
      return "out of memory";
    case PHIAL_IO:
      return "input or output failed";
    case PHIAL_CANCELLED:
      return "cancelled";
    case PHIAL_INTERNAL:
      return "a defect of Phial";
  }
  return "unknown";
}

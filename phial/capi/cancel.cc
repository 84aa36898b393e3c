#include <new>

#include "phial/capi/handles.h"

phial_cancel* phial_cancel_new() {
  try {
    return new phial_cancel;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void phial_cancel_request(phial_cancel* cancel) {
  if (cancel != nullptr) cancel->stop.request_stop();
}

int phial_cancel_requested(const phial_cancel* cancel) {
  return cancel != nullptr && cancel->stop.stop_requested() ? 1 : 0;
}

void phial_cancel_free(phial_cancel* cancel) { delete cancel; }

#include "phial/base/check.h"
#include "phial/generate/prompt_file.h"
#include "phial/model/kv_access.h"

// The caches that come of any bytes can be read where a query looks, and written on.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace phial;
  spec::DecoderSpec spec;
  spec.n_layers = spec.n_heads = spec.n_kv_heads = 1;
  spec.head_dim = 2;
  spec.sliding_window = 70;
  static const model::KvCache empty = *model::KvCache::make(spec, 300, model::KvType::kF32);
  auto read = generate::parse_prompts(std::as_bytes(std::span(data, size)), 1, empty, 1 << 20);
  if (!read) {
    PHIAL_CHECK(!read.error().message.empty());
    return 0;
  }
  for (generate::CachedSequence& sequence : *read) {
    model::KvAccess access(sequence.cache);
    volatile float seen = 0;
    for (int p = std::max(0, access.length() - 69); p < access.length(); ++p) {
      seen =
          *reinterpret_cast<const float*>(access.key(0, 0, p)) + *reinterpret_cast<const float*>(access.value(0, 0, p));
    }
    PHIAL_CHECK(access.reserve(3).has_value());
    sequence.truncate(sequence.ids.size() / 2);
  }
  return 0;
}

// The eye of a model that sees, as the GGUF file that stands beside its decoder's.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "phial/base/log.h"
#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/spec/spec.h"
#include "phial/spec/vision.h"

namespace phial::convert {

struct Eye {
  std::shared_ptr<const formats::Checkpoint> checkpoint;  // that holds it
  spec::VisionSpec spec;
};

// Of `decoder`, as ImageEncoder::find() finds it; nothing if the model does not see.
Result<std::optional<Eye>> find_eye(const std::shared_ptr<const formats::Checkpoint>& decoder,
                                    const spec::DecoderSpec& spec, const std::filesystem::path& projector,
                                    const Log& log);

// Has `write_decoder` put the decoder called `name` in its place, `out`, and puts its eye, if it has one, where
// projector_beside() says, which is returned. The decoder comes first: by itself it is a whole model, that does not
// see. Errors: kInvalid if something stands in the eye's place; those of writing, of `write_decoder`, and of an eye
// that GGUF cannot express.
Result<std::filesystem::path> write_with_eye(const std::optional<Eye>& eye, const std::string& name,
                                             const std::filesystem::path& out, const std::stop_token& stop,
                                             const std::function<Status()>& write_decoder);

}  // namespace phial::convert

#include "phial/capi/generation.h"

#include "phial/capi/boundary.h"
#include "phial/capi/handles.h"

namespace phial::capi {

Result<GenerateOptions> read_generate_options(const phial_generate_options* options) {
  PHIAL_TRY(const phial_generate_options given, read_options(options, sizeof(phial_generate_options)));
  if (given.max_tokens < 0) {
    return Error{Code::kInvalid, "max_tokens is " + std::to_string(given.max_tokens), "0 is the default"};
  }
  GenerateOptions read;
  read.max_tokens = given.max_tokens;
  read.sampling = {.temperature = given.temperature,
                   .top_k = given.top_k,
                   .top_p = given.top_p == 0 ? 1 : given.top_p,
                   .min_p = given.min_p,
                   .repeat_penalty = given.repeat_penalty == 0 ? 1 : given.repeat_penalty,
                   .seed = given.seed};
  PHIAL_TRY(read.stop, read_texts(given.stop, given.stop_count, "a stop text"));
  if (given.image_count > 0) PHIAL_CHECKED(check_given(given.images, "the list of images"));
  for (size_t i = 0; i < given.image_count; ++i) {
    PHIAL_CHECKED(check_given(given.images[i], "an image"));
    read.pictures.push_back(given.images[i]->picture);
  }
  read.ignore_end = given.ignore_end != 0;
  if (given.cancel != nullptr) read.cancel = given.cancel->stop.get_token();
  return read;
}

void TextSink::take(std::string_view text) {
  if (on_text_ == nullptr || stop_.stop_requested()) return;
  const std::string piece(text);
  if (on_text_(user_data_, piece.c_str(), piece.size()) != 0) stop_.request_stop();
}

}  // namespace phial::capi

// phial_generate_options, as what the rooms below take.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/capi/phial.h"
#include "phial/generate/language_model.h"

namespace phial::capi {

struct GenerateOptions {
  int max_tokens = 0;  // 0: the caller's default
  generate::SamplingOptions sampling;
  std::vector<std::string> stop;
  std::vector<generate::Picture> pictures;
  bool ignore_end = false;
  std::stop_token cancel;
};

Result<GenerateOptions> read_generate_options(const phial_generate_options* options);

// A caller's callback: text goes to it until it stops the call, as the caller's cancel does.
class TextSink {
 public:
  TextSink(phial_on_text on_text, void* user_data, const std::stop_token& cancel)
      : on_text_(on_text), user_data_(user_data), forward_(cancel, Request{stop_}) {}

  std::stop_token cancel() const { return stop_.get_token(); }
  void take(std::string_view text);

 private:
  struct Request {
    std::stop_source& stop;
    void operator()() const { stop.request_stop(); }
  };

  phial_on_text on_text_;
  void* user_data_;
  std::stop_source stop_;
  std::stop_callback<Request> forward_;
};

}  // namespace phial::capi

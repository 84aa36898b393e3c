#include <utility>

#include "phial/capi/boundary.h"
#include "phial/capi/generation.h"
#include "phial/capi/handles.h"
#include "phial/capi/messages.h"

namespace phial::capi {
namespace {

constexpr int kDefaultMaxTokens = 256;

struct Receiver {
  phial_on_text on_text;
  void* user_data;
};

Status write(phial_session& session, generate::GenerateRequest request, GenerateOptions options, Receiver to) {
  TextSink sink(to.on_text, to.user_data, options.cancel);
  request.max_tokens = options.max_tokens > 0 ? options.max_tokens : kDefaultMaxTokens;
  request.within_context = options.max_tokens == 0;
  request.sampling = options.sampling;
  request.stop = std::move(options.stop);
  request.ignore_end = options.ignore_end;
  request.cancel = sink.cancel();
  PHIAL_TRY(session.generation,
            session.model->engine->generate(request, [&sink](std::string_view text) { sink.take(text); }));
  if (session.generation->stop != generate::StopReason::kCancelled) return ok();
  return Error{Code::kCancelled, "the call was stopped", ""};
}

phial_stop stop_of(generate::StopReason reason) {
  switch (reason) {
    case generate::StopReason::kEnd:
      return PHIAL_STOP_END;
    case generate::StopReason::kStopText:
      return PHIAL_STOP_TEXT;
    case generate::StopReason::kMaxTokens:
      return PHIAL_STOP_LENGTH;
    case generate::StopReason::kCancelled:
      return PHIAL_STOP_CANCELLED;
  }
  return PHIAL_STOP_END;
}

phial_generation tell(const generate::Generation& done) {
  return {.size = sizeof(phial_generation),
          .text = done.text.c_str(),
          .text_bytes = done.text.size(),
          .ids = done.ids.data(),
          .id_count = done.ids.size(),
          .stop = stop_of(done.stop),
          .prompt_tokens = done.prompt_tokens,
          .reused_tokens = done.reused_tokens,
          .drafted_tokens = done.drafted_tokens,
          .accepted_tokens = done.accepted_tokens,
          .prefill_ms = done.prefill_ms,
          .decode_ms = done.decode_ms,
          .first_token_ms = done.first_token_ms};
}

}  // namespace
}  // namespace phial::capi

using namespace phial::capi;  // NOLINT(google-build-using-namespace): this file defines C functions

phial_code phial_session_new(phial_model* model, phial_session** session, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(model, "the model"));
    PHIAL_CHECKED(check_given(session, "the place for the session"));
    PHIAL_CHECKED(model->loaded->engine->engine().tokenizer());
    *session = new phial_session{model->loaded};
    return phial::ok();
  });
}

void phial_session_free(phial_session* session) { delete session; }

phial_code phial_session_complete(phial_session* session, const char* prompt, const phial_generate_options* options,
                                  phial_on_text on_text, void* user_data, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(session, "the session"));
    session->generation.reset();
    PHIAL_TRY(GenerateOptions given, read_generate_options(options));
    if (!given.pictures.empty()) {
      return phial::Error{phial::Code::kInvalid, "a completion with images", "images go with phial_session_chat"};
    }
    phial::generate::GenerateRequest request;
    PHIAL_TRY(request.prompt, read_text(prompt, "the prompt"));
    return write(*session, std::move(request), std::move(given), {on_text, user_data});
  });
}

phial_code phial_session_chat(phial_session* session, const char* messages_json, const phial_generate_options* options,
                              phial_on_text on_text, void* user_data, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(session, "the session"));
    session->generation.reset();
    PHIAL_TRY(GenerateOptions given, read_generate_options(options));
    PHIAL_TRY(const std::string json, read_text(messages_json, "the JSON of messages"));
    phial::generate::GenerateRequest request;
    PHIAL_TRY(request.messages, read_messages(json, given.pictures));
    return write(*session, std::move(request), std::move(given), {on_text, user_data});
  });
}

phial_code phial_session_get_generation(const phial_session* session, phial_generation* generation,
                                        phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(session, "the session"));
    if (!session->generation) {
      return phial::Error{phial::Code::kNotFound, "the session has written nothing, or its last call failed", ""};
    }
    return write_info(tell(*session->generation), sizeof(phial_generation), generation);
  });
}

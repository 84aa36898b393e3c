#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "phial/base/today.h"
#include "phial/base/utf8.h"
#include "phial/capi/boundary.h"
#include "phial/capi/handles.h"

namespace phial::capi {
namespace {

Log log_to(phial_on_log on_log, void* data) {
  if (on_log == nullptr) return no_log;
  return [on_log, data](Severity severity, std::string_view message) {
    const phial_severity how = severity == Severity::kDetail ? PHIAL_DETAIL
                               : severity == Severity::kNote ? PHIAL_NOTE
                                                             : PHIAL_WARNING;
    on_log(data, how, std::string(message).c_str());
  };
}

Status check_counts(const phial_model_options& options) {
  if (options.threads >= 0 && options.context_tokens >= 0 && options.sessions >= 0) return ok();
  return Error{Code::kInvalid, "threads, context_tokens or sessions is below 0", "0 is the default"};
}

Result<generate::EngineOptions> engine_options(const phial_model_options& options) {
  generate::EngineOptions engine;
  engine.precision = options.exact != 0 ? model::Precision::kExact : model::Precision::kFast;
  switch (options.kv) {
    case PHIAL_KV_F16:
      break;
    case PHIAL_KV_Q8:
      engine.kv_type = model::KvType::kQ8;
      break;
    case PHIAL_KV_Q4:
      engine.kv_type = model::KvType::kQ4;
      break;
    default:
      return Error{Code::kInvalid, "kv is " + std::to_string(options.kv), "give a phial_kv"};
  }
  if (options.exact != 0 && options.kv != PHIAL_KV_F16) {
    return Error{Code::kInvalid, "kv is set with exact, which keeps keys and values in f32", "leave one of them out"};
  }
  engine.context_tokens = options.context_tokens;
  engine.sessions = std::max(options.sessions, 1);
  engine.load = options.copy != 0 ? LoadMode::kCopy : LoadMode::kMap;
  if (options.no_drafting != 0) engine.drafting = generate::Drafting::kOff;
  if (options.draft_model != nullptr) {
    if (options.no_drafting != 0) return Error{Code::kInvalid, "draft_model and no_drafting are set", "set one"};
    engine.drafting = generate::Drafting::kModel;
    PHIAL_TRY(engine.draft_model, read_text(options.draft_model, "draft_model"));
  }
  PHIAL_TRY(engine.date, read_optional_text(options.date, "date"));
  if (engine.date.empty()) engine.date = today();
  PHIAL_TRY(engine.prompt_cache, read_optional_text(options.prompt_cache, "prompt_cache"));
  PHIAL_TRY(engine.projector, read_optional_text(options.projector, "projector"));
  engine.log = log_to(options.on_log, options.log_data);
  return engine;
}

phial_model_info info_of(const generate::SharedEngine& model) {
  const generate::Engine& engine = model.engine();
  return {.size = sizeof(phial_model_info),
          .name = engine.spec().name.c_str(),
          .context_tokens = engine.context_tokens(),
          .longest_context_tokens = engine.spec().context,
          .vocabulary_size = engine.spec().vocab_size,
          .has_tokenizer = engine.tokenizer().has_value() ? 1 : 0,
          .sees = engine.sees() ? 1 : 0,
          .weights_bytes = engine.plan().weights_bytes,
          .kv_bytes = engine.plan().kv_bytes,
          .total_bytes = engine.plan().total_bytes()};
}

// The options that every caller's header has.
constexpr size_t kLeastModelOptions = offsetof(phial_model_options, prompt_cache);

}  // namespace
}  // namespace phial::capi

using namespace phial::capi;  // NOLINT(google-build-using-namespace): this file defines C functions

phial_code phial_model_open(const char* path, const phial_model_options* options, phial_model** model,
                            phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(model, "the place for the model"));
    PHIAL_TRY(const std::string file, read_text(path, "the model's path"));
    PHIAL_TRY(const phial_model_options given, read_options(options, kLeastModelOptions));
    PHIAL_CHECKED(check_counts(given));
    PHIAL_TRY(const auto engine_options_given, engine_options(given));
    auto loaded = std::make_shared<LoadedModel>(given.threads > 0 ? given.threads : phial::usable_cores());
    PHIAL_TRY(auto engine, phial::generate::Engine::open(file, engine_options_given, loaded->pool));
    loaded->engine = std::make_unique<phial::generate::SharedEngine>(std::move(engine));
    *model = new phial_model{std::move(loaded)};
    return phial::ok();
  });
}

void phial_model_free(phial_model* model) { delete model; }

phial_code phial_model_write_prompt_cache(phial_model* model, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(model, "the model"));
    const auto loaded = model->loaded;
    return loaded->engine->write_prompt_cache();
  });
}

phial_code phial_model_get_info(const phial_model* model, phial_model_info* info, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(model, "the model"));
    const auto loaded = model->loaded;  // which another thread may free meanwhile
    return write_info(info_of(*loaded->engine), sizeof(phial_model_info), info);
  });
}

phial_code phial_model_tokenize(const phial_model* model, const char* text, int flags, int32_t* ids, size_t capacity,
                                size_t* count, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(model, "the model"));
    PHIAL_CHECKED(check_given(count, "the place for the count"));
    if (capacity > 0) PHIAL_CHECKED(check_given(ids, "the place for the ids"));
    PHIAL_TRY(const std::string read, read_text(text, "the text"));
    if ((flags & ~(PHIAL_SPECIAL | PHIAL_BOS)) != 0) {
      return phial::Error{phial::Code::kUnsupported, "flags are " + std::to_string(flags),
                          "give PHIAL_SPECIAL, PHIAL_BOS"};
    }
    const auto loaded = model->loaded;
    PHIAL_TRY(const auto* tokenizer, loaded->engine->engine().tokenizer());
    const auto found =
        tokenizer->encode(read, {.parse_special = (flags & PHIAL_SPECIAL) != 0, .add_bos = (flags & PHIAL_BOS) != 0});
    std::copy_n(found.begin(), std::min(found.size(), capacity), ids);
    *count = found.size();
    return phial::ok();
  });
}

phial_code phial_model_detokenize(const phial_model* model, const int32_t* ids, size_t count, char* text,
                                  size_t capacity, size_t* bytes, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(model, "the model"));
    PHIAL_CHECKED(check_given(bytes, "the place for the length"));
    if (count > 0) PHIAL_CHECKED(check_given(ids, "the ids"));
    if (capacity > 0) PHIAL_CHECKED(check_given(text, "the place for the text"));
    const auto loaded = model->loaded;
    PHIAL_TRY(const auto* tokenizer, loaded->engine->engine().tokenizer());
    const std::string found = phial::repair_utf8(tokenizer->decode({ids, count}));
    *bytes = found.size();
    if (capacity == 0) return phial::ok();
    const size_t taken = found.size() < capacity ? found.size() : phial::utf8_floor(found, capacity - 1);
    std::memcpy(text, found.data(), taken);
    text[taken] = '\0';
    return phial::ok();
  });
}

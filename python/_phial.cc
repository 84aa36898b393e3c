// The module phial._phial: the objects of phial.h as Python classes, with plain types. What makes them pleasant (JSON,
// streams, Ctrl-C) is Python: phial/__init__.py.
//
// Calls that compute give Python's lock away; callbacks take it again.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <phial/phial.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

[[noreturn]] void raise(phial_code code, const char* message) {
  const nb::object type = nb::module_::import_("phial._error").attr("Error");
  const nb::object error = type(message, phial_code_name(code));
  PyErr_SetObject(type.ptr(), error.ptr());
  throw nb::python_error();
}

// Runs `call` without Python's lock; raises what it returns unless that is PHIAL_OK.
template <class Call>
void run(const Call& call) {
  phial_error error{};
  phial_code code = PHIAL_OK;
  {
    const nb::gil_scoped_release without_lock;
    code = call(&error);
  }
  if (code != PHIAL_OK) raise(code, error.message);
}

template <class Struct>
Struct sized() {
  Struct made{};
  made.size = sizeof made;
  return made;
}

// A handle that is freed when it is closed or nobody has it any more.
template <class Handle, void (*Free)(Handle*)>
class Owner {
 public:
  explicit Owner(Handle* handle) : handle_(handle) {}
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner() { close(); }

  Handle* get() const {
    if (handle_ == nullptr) raise(PHIAL_INVALID, "it was closed");
    return handle_;
  }
  void close() {
    Handle* handle = std::exchange(handle_, nullptr);
    const nb::gil_scoped_release without_lock;  // threads end with it
    Free(handle);
  }

 private:
  Handle* handle_;
};

using Model = Owner<phial_model, phial_model_free>;
using Session = Owner<phial_session, phial_session_free>;
using Image = Owner<phial_image, phial_image_free>;
using Embedder = Owner<phial_embedder, phial_embedder_free>;
using Library = Owner<phial_library, phial_library_free>;
using Answer = Owner<phial_answer, phial_answer_free>;
using Cancel = Owner<phial_cancel, phial_cancel_free>;
using Texts = std::vector<std::string>;

const char* pointer_to(const std::optional<std::string>& text) { return text ? text->c_str() : nullptr; }

std::vector<const char*> pointers_to(const Texts& texts) {
  std::vector<const char*> all;
  for (const std::string& text : texts) all.push_back(text.c_str());
  return all;
}

// Hands text to a Python function, or nobody. What that raises stops the call, and is raised again by run().
struct Listener {
  nb::object function;
  std::optional<nb::python_error> raised = std::nullopt;

  template <class Argument>
  int tell(const Argument& argument) {
    try {
      return nb::cast<bool>(function(argument)) ? 1 : 0;
    } catch (nb::python_error& error) {
      raised.emplace(std::move(error));
      return 1;
    }
  }
  static int on_text(void* self, const char* text, size_t bytes) {
    const nb::gil_scoped_acquire lock;
    return static_cast<Listener*>(self)->tell(nb::str(text, bytes));
  }
  static int on_progress(void* self, const phial_progress* progress) {
    const nb::gil_scoped_acquire lock;
    nb::dict told;
    told["files_total"] = progress->files_total;
    told["files_done"] = progress->files_done;
    told["bytes_total"] = progress->bytes_total;
    told["bytes_done"] = progress->bytes_done;
    told["passages"] = progress->passages;
    told["seconds"] = progress->seconds;
    told["seconds_left"] = progress->seconds_left;
    told["path"] = progress->path;
    return static_cast<Listener*>(self)->tell(told);
  }

  template <class Call>
  void run(const Call& call) {
    try {
      ::run(call);
    } catch (const nb::python_error&) {
      if (!raised) throw;
    }
    if (raised) throw *raised;  // also where the call was over before it could be stopped
  }
};

struct GenerateOptions {
  phial_generate_options given = sized<phial_generate_options>();
  Texts stop;
  std::vector<std::shared_ptr<Image>> images;
  std::shared_ptr<Cancel> cancel;
};

// The same for C, while both live.
struct GenerateOptionsForC {
  explicit GenerateOptionsForC(const GenerateOptions& options) : given(options.given), stop(pointers_to(options.stop)) {
    for (const auto& image : options.images) images.push_back(image->get());
    given.stop = stop.data();
    given.stop_count = stop.size();
    given.images = images.data();
    given.image_count = images.size();
    given.cancel = options.cancel != nullptr ? options.cancel->get() : nullptr;
  }
  GenerateOptionsForC(const GenerateOptionsForC&) = delete;
  GenerateOptionsForC& operator=(const GenerateOptionsForC&) = delete;

  phial_generate_options given;
  std::vector<const char*> stop;
  std::vector<const phial_image*> images;
};

std::shared_ptr<Model> open_model(const std::string& path, int threads, int context_tokens, int sessions, int kv,
                                  bool exact, bool copy, bool no_drafting,
                                  const std::optional<std::string>& draft_model, const std::optional<std::string>& date,
                                  const std::optional<std::string>& prompt_cache,
                                  const std::optional<std::string>& projector) {
  auto options = sized<phial_model_options>();
  options.threads = threads;
  options.context_tokens = context_tokens;
  options.sessions = sessions;
  options.kv = kv;
  options.exact = exact ? 1 : 0;
  options.copy = copy ? 1 : 0;
  options.no_drafting = no_drafting ? 1 : 0;
  options.draft_model = pointer_to(draft_model);
  options.date = pointer_to(date);
  options.prompt_cache = pointer_to(prompt_cache);
  options.projector = pointer_to(projector);
  phial_model* model = nullptr;
  run([&](phial_error* error) { return phial_model_open(path.c_str(), &options, &model, error); });
  return std::make_shared<Model>(model);
}

void write_prompt_cache(const Model& model) {
  phial_model* handle = model.get();
  run([&](phial_error* error) { return phial_model_write_prompt_cache(handle, error); });
}

nb::dict model_info(const Model& model) {
  auto info = sized<phial_model_info>();
  const phial_model* handle = model.get();
  run([&](phial_error* error) { return phial_model_get_info(handle, &info, error); });
  nb::dict told;
  told["name"] = info.name;
  told["context_tokens"] = info.context_tokens;
  told["longest_context_tokens"] = info.longest_context_tokens;
  told["vocabulary_size"] = info.vocabulary_size;
  told["has_tokenizer"] = info.has_tokenizer != 0;
  told["sees"] = info.sees != 0;
  told["weights_bytes"] = info.weights_bytes;
  told["kv_bytes"] = info.kv_bytes;
  told["total_bytes"] = info.total_bytes;
  return told;
}

std::vector<int32_t> tokenize(const Model& model, const std::string& text, int flags) {
  const phial_model* handle = model.get();
  std::vector<int32_t> ids(text.size() + 2);  // no token is shorter than a byte, but for the first
  size_t count = 0;
  run([&](phial_error* error) {
    return phial_model_tokenize(handle, text.c_str(), flags, ids.data(), ids.size(), &count, error);
  });
  if (count > ids.size()) {
    ids.resize(count);
    run([&](phial_error* error) {
      return phial_model_tokenize(handle, text.c_str(), flags, ids.data(), ids.size(), &count, error);
    });
  }
  ids.resize(count);
  return ids;
}

std::string detokenize(const Model& model, const std::vector<int32_t>& ids) {
  const phial_model* handle = model.get();
  size_t bytes = 0;
  run([&](phial_error* error) {
    return phial_model_detokenize(handle, ids.data(), ids.size(), nullptr, 0, &bytes, error);
  });
  std::string text(bytes + 1, '\0');
  run([&](phial_error* error) {
    return phial_model_detokenize(handle, ids.data(), ids.size(), text.data(), text.size(), &bytes, error);
  });
  text.resize(bytes);
  return text;
}

std::shared_ptr<Session> new_session(const Model& model) {
  phial_model* handle = model.get();
  phial_session* session = nullptr;
  run([&](phial_error* error) { return phial_session_new(handle, &session, error); });
  return std::make_shared<Session>(session);
}

// phial_session_complete and phial_session_chat.
template <auto Write>
void write(const Session& session, const std::string& text, const GenerateOptions& options, nb::object on_text) {
  phial_session* handle = session.get();
  const GenerateOptionsForC for_c(options);
  Listener listener{std::move(on_text)};
  listener.run([&](phial_error* error) {
    return Write(handle, text.c_str(), &for_c.given, Listener::on_text, &listener, error);
  });
}

nb::dict generation(const Session& session) {
  auto done = sized<phial_generation>();
  const phial_session* handle = session.get();
  run([&](phial_error* error) { return phial_session_get_generation(handle, &done, error); });
  constexpr const char* kStops[] = {"end", "stop", "length", "cancelled"};
  nb::dict told;
  told["text"] = nb::str(done.text, done.text_bytes);
  told["ids"] = std::vector<int32_t>(done.ids, done.ids + done.id_count);
  told["stop"] = kStops[done.stop];
  told["prompt_tokens"] = done.prompt_tokens;
  told["reused_tokens"] = done.reused_tokens;
  told["drafted_tokens"] = done.drafted_tokens;
  told["accepted_tokens"] = done.accepted_tokens;
  told["prefill_ms"] = done.prefill_ms;
  told["decode_ms"] = done.decode_ms;
  told["first_token_ms"] = done.first_token_ms;
  return told;
}

std::shared_ptr<Image> open_image(const std::string& path) {
  phial_image* image = nullptr;
  run([&](phial_error* error) { return phial_image_open(path.c_str(), &image, error); });
  return std::make_shared<Image>(image);
}

std::shared_ptr<Image> image_from_bytes(const nb::bytes& bytes) {
  phial_image* image = nullptr;
  const void* data = bytes.data();
  const size_t size = bytes.size();
  run([&](phial_error* error) { return phial_image_from_bytes(data, size, &image, error); });
  return std::make_shared<Image>(image);
}

std::shared_ptr<Embedder> open_embedder(const std::string& path, int threads, bool exact, bool copy) {
  auto options = sized<phial_embedder_options>();
  options.threads = threads;
  options.exact = exact ? 1 : 0;
  options.copy = copy ? 1 : 0;
  phial_embedder* embedder = nullptr;
  run([&](phial_error* error) { return phial_embedder_open(path.c_str(), &options, &embedder, error); });
  return std::make_shared<Embedder>(embedder);
}

std::vector<std::vector<float>> embed(const Embedder& embedder, const Texts& texts,
                                      const std::shared_ptr<Cancel>& cancel) {
  phial_embedder* handle = embedder.get();
  phial_cancel* stop = cancel != nullptr ? cancel->get() : nullptr;
  const size_t dimension = phial_embedder_dimension(handle);
  const std::vector<const char*> pointers = pointers_to(texts);
  std::vector<float> vectors(texts.size() * dimension);
  run([&](phial_error* error) {
    return phial_embedder_embed(handle, pointers.data(), pointers.size(), vectors.data(), stop, error);
  });
  std::vector<std::vector<float>> rows;
  for (auto at = vectors.begin(); at != vectors.end(); at += static_cast<ptrdiff_t>(dimension)) {
    rows.emplace_back(at, at + static_cast<ptrdiff_t>(dimension));
  }
  return rows;
}

std::shared_ptr<Library> open_library(const std::string& path, const Embedder& embedder,
                                      const std::optional<std::string>& reader) {
  auto options = sized<phial_library_options>();
  options.reader = pointer_to(reader);
  phial_embedder* with = embedder.get();
  phial_library* library = nullptr;
  run([&](phial_error* error) { return phial_library_open(path.c_str(), with, &options, &library, error); });
  return std::make_shared<Library>(library);
}

nb::dict library_info(const Library& library) {
  auto info = sized<phial_library_info>();
  phial_library* handle = library.get();
  run([&](phial_error* error) { return phial_library_get_info(handle, &info, error); });
  nb::dict told;
  told["files"] = info.files;
  told["failed_files"] = info.failed_files;
  told["documents"] = info.documents;
  told["passages"] = info.passages;
  told["bytes_on_disk"] = info.bytes_on_disk;
  return told;
}

nb::dict add(const Library& library, const Texts& paths, const Texts& include, const Texts& exclude, bool hidden,
             bool no_ignore_files, bool no_ocr, bool retry, const std::optional<std::string>& ocr_languages,
             nb::object on_progress, const std::shared_ptr<Cancel>& cancel) {
  const std::vector<const char*> all = pointers_to(paths), in = pointers_to(include), out = pointers_to(exclude);
  Listener listener{std::move(on_progress)};
  auto options = sized<phial_add_options>();
  options.include = in.data();
  options.include_count = in.size();
  options.exclude = out.data();
  options.exclude_count = out.size();
  options.hidden = hidden ? 1 : 0;
  options.no_ignore_files = no_ignore_files ? 1 : 0;
  options.no_ocr = no_ocr ? 1 : 0;
  options.retry = retry ? 1 : 0;
  options.ocr_languages = pointer_to(ocr_languages);
  options.on_progress = Listener::on_progress;
  options.progress_data = &listener;
  options.cancel = cancel != nullptr ? cancel->get() : nullptr;
  auto report = sized<phial_add_report>();
  phial_library* handle = library.get();
  listener.run(
      [&](phial_error* error) { return phial_library_add(handle, all.data(), all.size(), &options, &report, error); });
  nb::list problems;
  for (size_t i = 0; i < report.problem_count; ++i) {
    auto problem = sized<phial_problem>();
    run([&](phial_error* error) { return phial_library_get_problem(handle, i, &problem, error); });
    nb::dict told;
    told["path"] = problem.path;
    told["message"] = problem.message;
    told["remedy"] = problem.remedy;
    told["in_library"] = problem.in_library != 0;
    problems.append(told);
  }
  nb::dict told;
  told["added"] = report.added;
  told["changed"] = report.changed;
  told["unchanged"] = report.unchanged;
  told["linked"] = report.linked;
  told["removed"] = report.removed;
  told["passages"] = report.passages;
  told["failed_before"] = report.failed_before;
  told["problems"] = problems;
  return told;
}

struct AskOptions {
  phial_ask_options given = sized<phial_ask_options>();
  Texts paths;
  std::optional<std::string> history_json;
};

std::string search(const Library& library, const std::string& question, const AskOptions& options,
                   const GenerateOptions& generate) {
  const std::vector<const char*> paths = pointers_to(options.paths);
  phial_ask_options for_c = options.given;
  for_c.paths = paths.data();
  for_c.path_count = paths.size();
  const GenerateOptionsForC generate_for_c(generate);
  for_c.generate = &generate_for_c.given;
  phial_library* handle = library.get();
  phial_answer* answer = nullptr;
  run([&](phial_error* error) { return phial_library_search(handle, question.c_str(), &for_c, &answer, error); });
  const Answer owner(answer);
  return phial_answer_json(answer);
}

std::string ask(const Library& library, const std::shared_ptr<Model>& model, const std::string& question,
                const AskOptions& options, const GenerateOptions& generate, nb::object on_text) {
  const std::vector<const char*> paths = pointers_to(options.paths);
  const GenerateOptionsForC generate_for_c(generate);
  phial_ask_options for_c = options.given;
  for_c.paths = paths.data();
  for_c.path_count = paths.size();
  for_c.history_json = pointer_to(options.history_json);
  for_c.generate = &generate_for_c.given;
  phial_library* handle = library.get();
  phial_model* with = model != nullptr ? model->get() : nullptr;
  phial_answer* answer = nullptr;
  Listener listener{std::move(on_text)};
  listener.run([&](phial_error* error) {
    return phial_library_ask(handle, with, question.c_str(), &for_c, Listener::on_text, &listener, &answer, error);
  });
  const Answer owner(answer);
  return phial_answer_json(answer);
}

#define PHIAL_FIELD(Options, name)                                \
  def_prop_rw(                                                    \
      #name, [](const Options& self) { return self.given.name; }, \
      [](Options& self, decltype(Options::given.name) value) { self.given.name = value; })

}  // namespace

NB_MODULE(_phial, module) {
  module.def("version", &phial_version);
  module.def("abi_version", &phial_abi_version);
  module.def("instruction_set", &phial_instruction_set);

  nb::class_<Cancel>(module, "Cancel")
      .def("__init__", [](Cancel* self) { new (self) Cancel(phial_cancel_new()); })
      .def("request", [](const Cancel& self) { phial_cancel_request(self.get()); })
      .def("requested", [](const Cancel& self) { return phial_cancel_requested(self.get()) != 0; });

  nb::class_<Image>(module, "Image").def("close", &Image::close);
  module.def("image_open", &open_image);
  module.def("image_from_bytes", &image_from_bytes);

  nb::class_<GenerateOptions>(module, "GenerateOptions")
      .def(nb::init<>())
      .PHIAL_FIELD(GenerateOptions, max_tokens)
      .PHIAL_FIELD(GenerateOptions, temperature)
      .PHIAL_FIELD(GenerateOptions, top_k)
      .PHIAL_FIELD(GenerateOptions, top_p)
      .PHIAL_FIELD(GenerateOptions, min_p)
      .PHIAL_FIELD(GenerateOptions, repeat_penalty)
      .PHIAL_FIELD(GenerateOptions, seed)
      .PHIAL_FIELD(GenerateOptions, ignore_end)
      .def_rw("stop", &GenerateOptions::stop)
      .def_rw("images", &GenerateOptions::images)
      .def_rw("cancel", &GenerateOptions::cancel);
  nb::class_<AskOptions>(module, "AskOptions")
      .def(nb::init<>())
      .PHIAL_FIELD(AskOptions, passages)
      .PHIAL_FIELD(AskOptions, passage_tokens)
      .PHIAL_FIELD(AskOptions, explain)
      .PHIAL_FIELD(AskOptions, figures)
      .def_rw("paths", &AskOptions::paths)
      .def_rw("history_json", &AskOptions::history_json, nb::arg().none());

  nb::class_<Model>(module, "Model")
      .def("info", &model_info)
      .def("write_prompt_cache", &write_prompt_cache)
      .def("tokenize", &tokenize)
      .def("detokenize", &detokenize)
      .def("close", &Model::close);
  module.def("model_open", &open_model, "path"_a, "threads"_a, "context_tokens"_a, "sessions"_a, "kv"_a, "exact"_a,
             "copy"_a, "no_drafting"_a, "draft_model"_a.none(), "date"_a.none(), "prompt_cache"_a.none(),
             "projector"_a.none());

  nb::class_<Session>(module, "Session")
      .def("complete", &write<phial_session_complete>)
      .def("chat", &write<phial_session_chat>)
      .def("generation", &generation)
      .def("close", &Session::close);
  module.def("session_new", &new_session);

  nb::class_<Embedder>(module, "Embedder")
      .def("dimension", [](const Embedder& self) { return phial_embedder_dimension(self.get()); })
      .def("max_tokens", [](const Embedder& self) { return phial_embedder_max_tokens(self.get()); })
      .def("embed", &embed, "texts"_a, "cancel"_a.none())
      .def("close", &Embedder::close);
  module.def("embedder_open", &open_embedder);

  nb::class_<Library>(module, "Library")
      .def("info", &library_info)
      .def("add", &add, "paths"_a, "include"_a, "exclude"_a, "hidden"_a, "no_ignore_files"_a, "no_ocr"_a, "retry"_a,
           "ocr_languages"_a.none(), "on_progress"_a, "cancel"_a.none())
      .def("search", &search)
      .def("ask", &ask, "model"_a.none(), "question"_a, "options"_a, "generate"_a, "on_text"_a)
      .def("close", &Library::close);
  module.def("library_open", &open_library, "path"_a, "embedder"_a, "reader"_a.none());
}

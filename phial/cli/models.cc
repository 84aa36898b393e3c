#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "phial/base/bytes_text.h"
#include "phial/base/output_file.h"
#include "phial/cli/home.h"
#include "phial/cli/verbs.h"
#include "phial/formats/checkpoint.h"

extern char** environ;

namespace phial::cli {
namespace fs = std::filesystem;
namespace {

std::string use_of(const KnownModel& model) {
  return model.name == kDefaultModel ? "answers" : model.name == kDefaultEmbedder ? "search" : "";
}

Json to_json(const KnownModel& model) {
  const std::string use = use_of(model);
  return {{"name", model.name},
          {"path", model.path.string()},
          {"bytes", model.bytes},
          {"default_for", use.empty() ? Json() : Json(use)},
          {"there", model.is_there}};
}

struct ModelsList : Command {
  bool names = false, json = false;
  void describe(Flags& flags) override {
    flags.add("--names", names, "names only, one a line");
    flags.add("--json", json, "one JSON object a line: name, path, bytes, default_for, there");
  }
  Status run(Console& console) override {
    PHIAL_TRY(const auto models, known_models());
    if (models.empty() && !names && !json) {
      PHIAL_TRY(const fs::path folder, models_folder());
      console.note("no models in " + folder.string() + ": 'phial models add --default' fetches the default ones");
    }
    size_t width = 0;
    for (const KnownModel& model : models) width = std::max(width, model.name.size());
    for (const KnownModel& model : models) {
      if (names) {
        console.write(model.name + "\n");
      } else if (json) {
        console.write(dump_json(to_json(model)) + "\n");
      } else {
        std::string row = model.name;
        row.resize(width + 2, ' ');
        row += model.is_there ? bytes_text(model.bytes) : "its file is gone";
        if (const std::string use = use_of(model); !use.empty()) row.append("  default for ").append(use);
        row += '\n';
        console.write(row);
      }
    }
    return ok();
  }
};

// How the script below ends: on Ctrl-C, and where env finds no python3.
constexpr int kFetchStopped = 130, kNoInterpreter = 127;

Error without_python(const std::string& script) {
  return {Code::kNotFound, "cannot start Python (" + script + ")", "install python3"};
}

// The script that knows the packages; it is installed beside the program.
Status fetch_default_models(const fs::path& folder) {
  const fs::path script = program_beside("phial-models");
  std::error_code error;
  if (!fs::exists(script, error)) {
    return Error{Code::kNotFound, "the program that fetches models is missing (" + script.string() + ")",
                 "run scripts/models " + folder.string() + " from the source tree"};
  }
  std::string program = script.string(), target = folder.string();
  char* const arguments[] = {program.data(), target.data(), nullptr};
  pid_t child = 0;
  if (const int failed = ::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ); failed != 0) {
    if (failed == ENOENT) return without_python(program);
    return Error{Code::kIo, std::string("cannot start: ") + std::strerror(failed) + " (" + program + ")",
                 "check its permissions"};
  }
  int state = 0;
  while (::waitpid(child, &state, 0) < 0 && errno == EINTR) {
  }
  const int status = WIFEXITED(state) ? WEXITSTATUS(state) : kFetchStopped;
  if (status == 0) return ok();
  if (status == kFetchStopped) return Error{Code::kCancelled, "stopped while fetching the models", ""};
  if (status == kNoInterpreter) return without_python(program);
  return Error{Code::kIo, "the default models were not fetched, as the line above says (" + folder.string() + ")",
               "mend that, or copy the folder models from another machine"};
}

struct ModelsAdd : Command {
  std::string path;
  std::optional<std::string> name;
  bool copy = false, defaults = false, json = false;

  void describe(Flags& flags) override {
    flags.argument("PATH", &path, "a GGUF file or a Hugging Face folder");
    flags.add("--name", &name, "NAME", "what it shall be called; else its file's name");
    flags.add("--copy", copy, "copy it, and mmproj-NAME beside a file NAME, instead of linking to it");
    flags.add("--default", defaults, "fetch the default models");
    flags.add("--json", json, "one JSON object: added, a list of what 'phial models list --json' tells of each");
  }
  Status check() override {
    if (defaults != path.empty()) {
      return Error{Code::kInvalid, path.empty() ? "no model was named" : "both a path and --default were given",
                   "give a PATH, or --default"};
    }
    if (name && (name->empty() || name->front() == '.' || name->find('/') != std::string::npos)) {
      return Error{Code::kInvalid, "'" + *name + "' cannot be a model's name", "a name has no '/' and no leading dot"};
    }
    return ok();
  }

  Status run(Console& console) override {
    PHIAL_TRY(const fs::path folder, models_folder());
    std::error_code error;
    fs::create_directories(folder, error);
    if (error)
      return Error{Code::kIo, "cannot make the folder: " + error.message() + " (" + folder.string() + ")",
                   "set PHIAL_HOME to a folder that can be written"};
    if (defaults) {
      PHIAL_CHECKED(fetch_default_models(folder));
      return tell(console, {kDefaultModel, kDefaultEmbedder});
    }

    const fs::path source = fs::canonical(path, error);
    if (error) return Error{Code::kNotFound, "no such file or folder (" + path + ")", "check the path"};
    PHIAL_TRY(const auto checkpoint,
              formats::Checkpoint::open(source));  // refused now rather than at the first question

    if (checkpoint.kind() == formats::CheckpointKind::kHuggingFace && !fs::is_directory(source, error)) {
      return Error{Code::kInvalid, "one safetensors file is no whole model (" + path + ")",
                   "name its folder, which holds config.json and the tokenizer too"};
    }

    std::string called = name.value_or(source.filename().string());
    if (!fs::is_directory(source, error) && fs::path(called).extension() != source.extension()) {
      called += source.extension().string();
    }
    const fs::path target = folder / called;
    if (fs::symlink_status(target, error).type() != fs::file_type::not_found) {
      return Error{Code::kInvalid, "there is a model called '" + called + "' (" + target.string() + ")",
                   "give another --name, or 'phial models remove " + called + "' first"};
    }
    if (called.starts_with(formats::kProjectorPrefix)) {
      return Error{Code::kInvalid, "'" + called + "' is the name of an image encoder, not of a model",
                   "add the model beside which it stands, or give another --name"};
    }
    if (checkpoint.kind() == formats::CheckpointKind::kGguf) {
      PHIAL_CHECKED(check_is_new(formats::projector_beside(target)));  // the model would see by a foreign eye
    }
    PHIAL_CHECKED(copy ? copy_with_eye(source, target) : link_to(source, target));
    console.note("added '" + called + "' (" + bytes_text(checkpoint.total_bytes()) + ")");
    return tell(console, {called});
  }

  Status tell(Console& console, const std::vector<std::string>& names) const {
    if (!json) return ok();
    Json added = Json::array();
    for (const std::string& one : names) {
      PHIAL_TRY(const KnownModel model, known_model(one));
      added.push_back(to_json(model));
    }
    console.write(dump_json({{"added", std::move(added)}}) + "\n");
    return ok();
  }

  static Status link_to(const fs::path& source, const fs::path& target) {
    std::error_code error;
    fs::create_symlink(source, target, error);
    if (error) return Error{Code::kIo, "cannot link: " + error.message() + " (" + target.string() + ")", "try --copy"};
    return ok();
  }
  // The model first: by itself it is whole, and does not see.
  Status copy_with_eye(const fs::path& source, const fs::path& target) const {
    PHIAL_CHECKED(copy_whole(source, target));
    std::error_code ignored;
    for (const fs::path& named : {fs::path(path), source}) {
      const fs::path eye = formats::projector_beside(named);
      if (!named.has_filename() || !fs::is_regular_file(named, ignored) || !fs::exists(eye, ignored)) continue;
      Status copied = copy_whole(eye, formats::projector_beside(target));
      if (!copied) fs::remove(target, ignored);
      return copied;
    }
    return ok();
  }
  // Beside its place first: a copy that was stopped never looks like a model.
  static Status copy_whole(const fs::path& source, const fs::path& target) {
    const fs::path partial = target.parent_path() / ("." + target.filename().string() + ".part");
    std::error_code error, ignored;
    fs::remove_all(partial, ignored);
    fs::copy(source, partial, fs::copy_options::recursive, error);
    if (!error) fs::rename(partial, target, error);
    if (!error) return ok();
    fs::remove_all(partial, ignored);
    return Error{Code::kIo, "cannot copy: " + error.message() + " (" + target.string() + ")", "make room, or link it"};
  }
};

struct ModelsRemove : Command {
  std::string name;
  bool json = false;
  void describe(Flags& flags) override {
    flags.argument("NAME", &name, "as 'phial models list' shows it").offers(Completes::kModel).must();
    flags.add("--json", json, "one JSON object: name, path");
  }
  Status run(Console& console) override {
    PHIAL_TRY(const KnownModel model, known_model(name));
    std::error_code error;
    fs::remove_all(model.path, error);  // of a link: the link
    if (error) {
      return Error{Code::kIo, "cannot remove: " + error.message() + " (" + model.path.string() + ")",
                   "check the permissions of its folder"};
    }
    // The eye that was copied along, or it would be that of the next of this name.
    const bool saw = model.name.ends_with(".gguf") && fs::remove(formats::projector_beside(model.path), error);
    if (error) {
      return Error{Code::kIo,
                   "cannot remove: " + error.message() + " (" + formats::projector_beside(model.path).string() + ")",
                   "check the permissions of its folder"};
    }
    console.note("removed '" + model.name + (saw ? "' and its image encoder" : "'"));
    if (json) console.write(dump_json({{"name", model.name}, {"path", model.path.string()}}) + "\n");
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_models_list() { return std::make_unique<ModelsList>(); }
std::unique_ptr<Command> make_models_add() { return std::make_unique<ModelsAdd>(); }
std::unique_ptr<Command> make_models_remove() { return std::make_unique<ModelsRemove>(); }

}  // namespace phial::cli

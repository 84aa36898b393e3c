#include "phial/cli/home.h"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <system_error>

#include "phial/cli/flags.h"
#include "phial/formats/checkpoint.h"

namespace phial::cli {
namespace fs = std::filesystem;
namespace {

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

std::string without_ending(const std::string& name) {
  for (const std::string_view ending : {".gguf", ".safetensors"}) {
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  }
  return name;
}

Error unknown_model(const std::string& name, std::span<const KnownModel> models) {
  std::vector<std::string> names;
  for (const KnownModel& model : models) names.push_back(model.name);
  const auto meant = nearest(name, names);
  return Error{Code::kNotFound, "no model is called '" + name + "'",
               meant ? "did you mean '" + *meant + "'?" : "'phial models list' shows those on this machine"};
}

bool looks_like_model(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  if (name.starts_with(".") || name.starts_with(formats::kProjectorPrefix)) return false;  // an eye is its model's
  std::error_code error;
  // A link whose folder is gone has no ending to know it by.
  return entry.is_symlink(error) || entry.is_directory(error) || name.ends_with(".gguf") ||
         name.ends_with(".safetensors");
}

uint64_t bytes_under(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) {
    const uint64_t size = fs::file_size(path, error);
    return error ? 0 : size;
  }
  uint64_t total = 0;
  for (fs::recursive_directory_iterator at(path, fs::directory_options::skip_permission_denied, error), end;
       !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (!at->is_regular_file(ignored)) continue;
    const uint64_t size = at->file_size(ignored);
    if (!ignored) total += size;
  }
  return total;
}

}  // namespace

Result<fs::path> home_folder() {
  if (const auto home = environment("PHIAL_HOME")) return fs::path(*home);
  if (const auto data = environment("XDG_DATA_HOME")) return fs::path(*data) / "phial";
  if (const auto home = environment("HOME")) return fs::path(*home) / ".local/share/phial";
  return Error{Code::kNotFound, "neither PHIAL_HOME nor HOME says where models and libraries are kept",
               "set PHIAL_HOME"};
}

Result<fs::path> models_folder() {
  PHIAL_TRY(const fs::path home, home_folder());
  return home / "models";
}

fs::path program_beside(std::string_view name) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path(name) : self.parent_path() / name;
}

Result<std::vector<KnownModel>> known_models() {
  PHIAL_TRY(const fs::path folder, models_folder());
  std::vector<KnownModel> models;
  std::error_code error;
  if (!fs::exists(folder, error)) return models;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!looks_like_model(*at)) continue;
    std::error_code ignored;
    const bool there = fs::exists(at->path(), ignored);
    models.push_back({at->path().filename().string(), at->path(), there ? bytes_under(at->path()) : 0, there});
  }
  if (error)
    return Error{Code::kIo, "the models cannot be listed: " + error.message() + " (" + folder.string() + ")",
                 "check the folder's permissions"};
  std::ranges::sort(models, {}, &KnownModel::name);
  return models;
}

Result<KnownModel> known_model(const std::string& name) {
  PHIAL_TRY(const auto models, known_models());
  const std::string word = lower(name);
  // The whole name first: "a" must not be "a.gguf" where both are there.
  for (const KnownModel& model : models) {
    if (model.name == name) return model;
  }
  for (const KnownModel& model : models) {
    if (lower(model.name) == word || lower(without_ending(model.name)) == word) return model;
  }
  return unknown_model(name, models);
}

Result<fs::path> find_model(const std::optional<std::string>& named, ModelUse use) {
  const char* wanted_default = use == ModelUse::kAnswers ? kDefaultModel : kDefaultEmbedder;
  if (!named) {
    PHIAL_TRY(const fs::path folder, models_folder());
    std::error_code error;
    if (fs::exists(folder / wanted_default, error)) return folder / wanted_default;
    return Error{Code::kNotFound,
                 std::string("the default model ") + wanted_default + " is not there (" + folder.string() + ")",
                 "run 'phial models add --default', or name a model with " +
                     std::string(use == ModelUse::kAnswers ? "--model" : "--embedder")};
  }
  std::error_code error;
  if (fs::exists(*named, error)) return fs::path(*named);
  auto model = known_model(*named);
  if (model && model->is_there) return model->path;
  if (model) {
    return Error{Code::kNotFound, "the file of the model '" + model->name + "' is gone (" + model->path.string() + ")",
                 "put it back, or 'phial models remove " + model->name + "'"};
  }
  const bool is_path = named->find('/') != std::string::npos || named->ends_with(".gguf");
  if (is_path) model.error().message = "no such file or folder (" + *named + ")";
  return std::move(model).error();
}

}  // namespace phial::cli

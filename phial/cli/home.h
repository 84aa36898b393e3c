// Where Phial keeps things on this machine, and which model a name means.
//
// $PHIAL_HOME, else $XDG_DATA_HOME/phial, else ~/.local/share/phial. In it: models/, libraries/, history.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "phial/base/result.h"

namespace phial::cli {

Result<std::filesystem::path> home_folder();
Result<std::filesystem::path> models_folder();

// Beside the program itself: phial-reader, phial-models.
std::filesystem::path program_beside(std::string_view name);

struct KnownModel {
  std::string name;  // of the file or folder
  std::filesystem::path path;
  uint64_t bytes = 0;
  bool is_there = true;  // false: a link whose file is gone
};

// What `phial models list` shows, by name. An empty home has none.
Result<std::vector<KnownModel>> known_models();

// By the name that the list shows, or that name without its ending, in any case. kNotFound says what there is.
Result<KnownModel> known_model(const std::string& name);

inline constexpr const char* kDefaultModel = "SmolLM2-135M-Instruct.Q4_1.gguf";
inline constexpr const char* kDefaultEmbedder = "all-MiniLM-L6-v2";

enum class ModelUse { kAnswers, kSearch };

// `named`: a path, or the name of a known model (without its ending, in any case); nothing: the default for that use.
// kNotFound says what there is.
Result<std::filesystem::path> find_model(const std::optional<std::string>& named, ModelUse use);

}  // namespace phial::cli

#include "phial/cli/launcher.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace phial::cli {
namespace {

bool is_set(const char* name) { return std::getenv(name) != nullptr; }

Result<int> number_of(const char* name, int least, int most) {
  const char* text = std::getenv(name);
  int number = 0;
  if (text != nullptr) {
    const char* end = text + std::strlen(text);
    const auto parsed = std::from_chars(text, end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end && number >= least && number <= most) return number;
  }
  return Error{Code::kInvalid,
               text == nullptr ? std::string(name) + " is not set"
                               : "'" + std::string(text) + "' is no number from " + std::to_string(least) + " to " +
                                     std::to_string(most) + " (" + name + ")",
               "start the processes with torchrun, or srun and MASTER_ADDR and MASTER_PORT exported; unset RANK, "
               "WORLD_SIZE and SLURM_PROCID for one process alone"};
}

}  // namespace

Result<train::World> world_of_environment() {
  constexpr int kMostRanks = 1 << 20;
  const bool is_torchrun = is_set("RANK") || is_set("WORLD_SIZE");
  // srun's own: a batch script has SLURM_NTASKS as well, and is one process.
  if (!is_torchrun && !(is_set("SLURM_PROCID") && is_set("SLURM_STEP_NUM_TASKS"))) return train::World();
  train::World world;
  PHIAL_TRY(world.size, number_of(is_torchrun ? "WORLD_SIZE" : "SLURM_STEP_NUM_TASKS", 1, kMostRanks));
  PHIAL_TRY(world.rank, number_of(is_torchrun ? "RANK" : "SLURM_PROCID", 0, world.size - 1));
  if (world.size == 1) return train::World();
  PHIAL_TRY(world.port, number_of("MASTER_PORT", 1, 65535));
  world.address = is_set("MASTER_ADDR") ? std::getenv("MASTER_ADDR") : "";
  if (world.address.empty()) {
    return Error{Code::kInvalid, "MASTER_ADDR is not set", "export the name of the machine that rank 0 runs on"};
  }
  if (is_set("LOCAL_WORLD_SIZE")) {
    PHIAL_TRY(world.on_this_machine, number_of("LOCAL_WORLD_SIZE", 1, world.size));
  }
  if (is_set("TORCHELASTIC_RESTART_COUNT")) {
    PHIAL_TRY(world.restarts, number_of("TORCHELASTIC_RESTART_COUNT", 0, 1 << 30));
  }
  const char* kept = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
  world.is_store_of_launcher = kept != nullptr && std::string_view(kept) == "True";
  return world;
}

Status check_is_alone() {
  PHIAL_TRY(const train::World world, world_of_environment());
  if (world.size == 1) return ok();
  return Error{Code::kInvalid, "this runs in one process, and " + std::to_string(world.size) + " were started",
               "start it without torchrun or srun"};
}

}  // namespace phial::cli

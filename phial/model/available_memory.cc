// What Linux gives this process: what the machine has free, and what its control groups leave.
#include "phial/model/available_memory.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace phial::model {
namespace {

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

// A file that holds one number; kUnlimited if there is none ("max", or no such file).
uint64_t read_number(const std::filesystem::path& path) {
  std::ifstream file(path);
  uint64_t number = 0;
  return file >> number ? number : kUnlimited;
}

uint64_t machine_memory() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  uint64_t kibibytes = 0;
  while (file >> key >> kibibytes) {
    if (key == "MemAvailable:") return kibibytes * 1024;
    std::getline(file, unit);
  }
  return kUnlimited;
}

uint64_t left_of(const std::filesystem::path& folder, const char* limit_name, const char* used_name) {
  const uint64_t limit = read_number(folder / limit_name), used = read_number(folder / used_name);
  if (limit == kUnlimited || used == kUnlimited) return kUnlimited;
  // Pages of mapped files count as used and are given back when needed.
  uint64_t reclaimable = 0;
  std::ifstream stat(folder / "memory.stat");
  std::string key;
  uint64_t value = 0;
  while (stat >> key >> value) {
    if (key == "inactive_file" || key == "active_file") reclaimable += value;
  }
  const uint64_t held = used - std::min(used, reclaimable);
  return limit - std::min(limit, held);
}

// The limits of this process's control group and of those above it.
uint64_t container_memory() {
  uint64_t left = kUnlimited;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool is_v2 = controllers.empty();
    if (!is_v2 && controllers.find("memory") == controllers.npos) continue;
    const std::filesystem::path root = is_v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    for (auto own = std::filesystem::path(line.substr(second + 1)).relative_path();; own = own.parent_path()) {
      left = std::min(left, is_v2 ? left_of(root / own, "memory.max", "memory.current")
                                  : left_of(root / own, "memory.limit_in_bytes", "memory.usage_in_bytes"));
      if (own.empty()) break;
    }
  }
  return left;
}

}  // namespace

uint64_t available_memory() { return std::min(machine_memory(), container_memory()); }

}  // namespace phial::model

#include "phial/model/memory_plan.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "phial/base/bytes_text.h"

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

std::string MemoryPlan::text() const {
  return bytes_text(weights_bytes) + " of weights, " +
         (embedding_bytes > 0 ? bytes_text(embedding_bytes) + " of embeddings, " : "") + bytes_text(kv_bytes) +
         " of keys and values in " + name_of(kv_type) + " for " +
         (sessions > 1 ? std::to_string(sessions) + " times " : "") + std::to_string(context_tokens) + " tokens, " +
         bytes_text(scratch_bytes) + " of scratch" +
         (vision_bytes > 0 ? ", " + bytes_text(vision_bytes) + " of the image encoder" : "") + ": " +
         bytes_text(total_bytes()) + " in all, " + bytes_text(available_bytes) + " are free";
}

MemoryPlan make_plan(const spec::DecoderSpec& spec, const PlanInput& input, uint64_t available_bytes) {
  MemoryPlan plan;
  plan.weights_bytes = input.weights_bytes;
  plan.embedding_bytes = input.embedding_bytes;
  plan.scratch_bytes = input.scratch_bytes;
  plan.vision_bytes = input.vision_bytes;
  plan.available_bytes = available_bytes;
  plan.context_tokens = input.context_tokens;
  plan.kv_type = input.kv_type;
  plan.sessions = input.sessions;
  const auto kv_bytes = [&](int context, KvType type) {
    return static_cast<uint64_t>(input.sessions) * KvCache::bytes_for(spec, context, type);
  };
  plan.kv_bytes = kv_bytes(input.context_tokens, input.kv_type);
  // Bytes grow with the context, so the largest that fits is found by halving.
  int fits = 0, beyond = spec.context + 1;
  const uint64_t fixed = input.weights_bytes + input.embedding_bytes + input.scratch_bytes + input.vision_bytes;
  const auto fits_with = [&](int context, KvType type) { return fixed + kv_bytes(context, type) <= available_bytes; };
  while (beyond - fits > 1) {
    const int middle = fits + (beyond - fits) / 2;
    (fits_with(middle, input.kv_type) ? fits : beyond) = middle;
  }
  plan.largest_context_that_fits = fits;
  if (input.kv_type == KvType::kF32) return plan;  // exact has no choice
  for (const KvType type : {KvType::kQ8, KvType::kQ4}) {
    if (type > input.kv_type && !plan.smaller_kv_that_fits && fits_with(input.context_tokens, type)) {
      plan.smaller_kv_that_fits = type;
    }
  }
  return plan;
}

}  // namespace phial::model

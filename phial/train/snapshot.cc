#include "phial/train/snapshot.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>

#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/train/moments.h"
#include "phial/train/stored_tensor.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModel = "model.safetensors";
constexpr const char* kAverage = "average.safetensors";
constexpr const char* kState = "state.json";
constexpr std::string_view kPrefix = "step-";
constexpr int kFormat = 1, kDividedFormat = 2;  // moments in one file, in a file of each rank

std::string hash_text(uint64_t hash) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

std::string hash_of(std::string_view text) { return hash_text(XXH3_64bits(text.data(), text.size())); }

Result<uint64_t> hash_of_file(const fs::path& path) {
  PHIAL_TRY(const MappedFile file, MappedFile::open(path));
  return XXH3_64bits(file.bytes().data(), file.bytes().size());
}

std::string optimizer_file(int rank, int writers) {
  if (writers == 1) return "optimizer.safetensors";
  char name[64];
  std::snprintf(name, sizeof name, "optimizer-%05d-of-%05d.safetensors", rank + 1, writers);
  return name;
}

// The folder's own entries are on the disk: what was renamed into it stays there.
Status sync_folder(const fs::path& folder) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 || (::fsync(opened.get()) != 0 && errno != EINVAL)) return system_error(folder, "write");
  return ok();
}

struct Found {
  int64_t step;
  fs::path folder;
};

fs::path snapshot_folder(const fs::path& snapshots, int64_t step) {
  char number[24];
  std::snprintf(number, sizeof number, "%09lld", static_cast<long long>(step));
  return snapshots / (std::string(kPrefix) + number);
}

// Newest first.
std::vector<Found> snapshots_in(const fs::path& snapshots) {
  std::vector<Found> found;
  std::error_code failed;
  for (fs::directory_iterator at(snapshots, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    int64_t step = 0;
    if (!name.starts_with(kPrefix)) continue;
    const auto parsed = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
    if (parsed.ec != std::errc() || step < 0) continue;
    // Another spelling of a number is not what a run wrote.
    if (at->path() == snapshot_folder(snapshots, step)) found.push_back({step, at->path()});
  }
  std::ranges::sort(found, std::ranges::greater(), &Found::step);
  return found;
}

Json as_json(const RunState& state) {
  return {{"step", state.step},
          {"optimizer_steps", state.optimizer_steps},
          {"skipped_in_a_row", state.skipped_in_a_row},
          {"loss", state.loss},
          {"samples", state.samples},
          {"tokens", state.tokens},
          {"metrics_bytes", state.metrics_bytes},
          {"events_bytes", state.events_bytes},
          {"config", state.config}};
}

Error damaged(const fs::path& path, const std::string& what) {
  return {Code::kCorrupt, path.string() + ": " + what, "this snapshot is damaged"};
}

struct Snapshot {
  fs::path folder;
  uint64_t hash = 0;  // of all that it holds
  std::vector<fs::path> optimizer_files = {};
  bool has_average = false;
  RunState state = {};
};

// If it is of this step, and the hash of state.json is right and, with `checks_files`, those of the files that it
// names.
Result<Snapshot> read_snapshot(const fs::path& folder, int64_t step, bool checks_files) {
  const fs::path path = folder / kState;
  PHIAL_TRY(const std::string text, read_text_file(path));
  auto parsed = parse_json(text);
  if (!parsed) return damaged(path, parsed.error().message);
  Json json = *std::move(parsed);
  const std::string* own = find_string(json, "hash");
  if (own == nullptr) return damaged(path, "there is no hash");
  const std::string stated = *own;
  json.erase("hash");
  const std::string plain = dump_json(json);
  if (hash_of(plain) != stated) return damaged(path, "its hash is not the one it states");
  if (const auto format = find_int(json, "format"); format != kFormat && format != kDividedFormat) {
    return Error{Code::kUnsupported, path.string() + ": written by another version", "go on with that version"};
  }
  if (find_int(json, "step") != step) return damaged(path, "it is not of the step that its folder names");
  Snapshot snapshot = {.folder = folder, .hash = XXH3_64bits(plain.data(), plain.size())};
  const Json* files = find_member(json, "files");
  if (files == nullptr || find_string(*files, kModel) == nullptr) {
    return damaged(path, "it names no " + std::string(kModel));
  }
  for (const auto& [name, wanted] : files->items()) {
    if (fs::path(name).filename() != name) return damaged(path, "it names a file elsewhere: " + name);
    if (checks_files) {
      PHIAL_TRY(const uint64_t found, hash_of_file(folder / name));
      if (wanted != hash_text(found)) return damaged(folder / name, "its hash is not that of state.json");
    }
    if (name == kAverage) snapshot.has_average = true;
    if (name != kModel && name != kAverage) snapshot.optimizer_files.push_back(folder / name);
  }
  RunState& state = snapshot.state;
  const auto number = [&](const char* key) { return find_int(json, key).value_or(0); };
  state.step = step;
  state.optimizer_steps = number("optimizer_steps");
  state.skipped_in_a_row = number("skipped_in_a_row");
  state.loss = find_number(json, "loss").value_or(0);
  state.samples = static_cast<uint64_t>(number("samples"));
  state.tokens = static_cast<uint64_t>(number("tokens"));
  state.metrics_bytes = static_cast<uint64_t>(number("metrics_bytes"));
  state.events_bytes = static_cast<uint64_t>(number("events_bytes"));
  if (const Json* config = find_member(json, "config")) state.config = *config;
  return snapshot;
}

// Copies the bytes of a stored tensor over those of `into`.
Status take(const formats::Checkpoint& file, const std::string& name, const at::Tensor& into) {
  PHIAL_TRY(const formats::Tensor* stored, file.need(name));
  const std::vector<uint64_t> shape(into.sizes().begin(), into.sizes().end());
  if (stored->dtype != tensor::DType::kF32 || stored->shape != shape) {
    return Error{Code::kInvalid,
                 file.path().string() + ": tensor '" + name + "' is " + formats::shape_text(stored->shape) +
                     ", this run's " + formats::shape_text(shape),
                 "give this run a folder of its own (run.out)"};
  }
  take_stored(stored->bytes.data(), into);
  return ok();
}

Status take_tensors(const Snapshot& snapshot, std::vector<Parameter>& parameters, WeightAverage* average,
                    AdamW& optimizer) {
  PHIAL_TRY(const auto model, formats::Checkpoint::open(snapshot.folder / kModel));
  for (Parameter& parameter : parameters) PHIAL_CHECKED(take(model, parameter.name, parameter.value));
  if (average != nullptr) {
    if (!snapshot.has_average) {
      return Error{Code::kInvalid, snapshot.folder.string() + ": it keeps no average of the weights",
                   "leave train.average_decay at 0, or begin another run with another run.out"};
    }
    PHIAL_TRY(const auto averages, formats::Checkpoint::open(snapshot.folder / kAverage));
    for (Parameter& each : average->values()) PHIAL_CHECKED(take(averages, each.name, each.value));
  }
  PHIAL_CHECKED(take_moments(snapshot.optimizer_files, parameters, optimizer));
  optimizer.set_steps(snapshot.state.optimizer_steps);
  return ok();
}

Status begin_folder(const fs::path& partial) {
  std::error_code failed;
  fs::remove_all(partial, failed);  // of a run that was killed
  return make_folders(partial);
}

StoredTensors stored_weights(const std::vector<Parameter>& parameters) {
  StoredTensors weights;
  for (const Parameter& parameter : parameters) weights.add(parameter.name, parameter.value);
  return weights;
}

// Its hash.
Result<uint64_t> write_tensors(const fs::path& file, const StoredTensors& tensors) {
  PHIAL_CHECKED(formats::write_safetensors(file, tensors.tensors(), {}));
  return hash_of_file(file);
}

Status write_state(const fs::path& folder, const RunState& state, const Json& files, int writers) {
  Json json = as_json(state);
  json["format"] = writers > 1 ? kDividedFormat : kFormat;
  json["files"] = files;
  json["hash"] = hash_of(dump_json(json));
  PHIAL_TRY(OutputFile file, OutputFile::create(folder / kState));
  const std::string text = dump_json(json) + "\n";
  PHIAL_CHECKED(file.write(std::as_bytes(std::span(text))));
  PHIAL_CHECKED(file.finish());
  return sync_folder(folder);
}

// What has been written beside becomes the snapshot, and old ones make room.
Status put_in_place(const fs::path& snapshots, const fs::path& partial, const fs::path& folder, int64_t step,
                    int64_t keep) {
  std::error_code failed;
  fs::remove_all(folder, failed);  // a damaged one, from before this run took up an older
  fs::rename(partial, folder, failed);
  if (failed) {
    return Error{Code::kIo, "cannot put it in place: " + failed.message() + " (" + folder.string() + ")",
                 "check the permissions of its folder"};
  }
  PHIAL_CHECKED(sync_folder(snapshots));
  int64_t kept = 0;
  for (const Found& found : snapshots_in(snapshots)) {
    // A later one was passed over as damaged: it takes no whole one's place.
    if (found.step <= step && ++kept <= std::max<int64_t>(1, keep)) continue;
    fs::remove_all(found.folder, failed);  // one that cannot be removed does no harm
  }
  return ok();
}

// The newest one that is whole; nothing: there is none.
Result<std::optional<Snapshot>> find_newest(const fs::path& snapshots, const Log& log) {
  const std::vector<Found> all = snapshots_in(snapshots);
  for (const Found& found : all) {
    auto snapshot = read_snapshot(found.folder, found.step, /*checks_files=*/true);
    if (snapshot) return std::optional(*std::move(snapshot));
    // One that cannot be read now may be whole: an older one would take its place.
    const Code code = snapshot.error().code;
    if (code != Code::kCorrupt && code != Code::kNotFound) return std::move(snapshot).error();
    log(Severity::kWarning, snapshot.error().text() + "; an older one is taken up");
  }
  if (all.empty()) return std::optional<Snapshot>();
  return Error{Code::kCorrupt, snapshots.string() + ": no snapshot in it is whole",
               "begin anew with another run.out, or remove that folder"};
}

}  // namespace

Status write_snapshot(const fs::path& snapshots, const RunState& state, const std::vector<Parameter>& parameters,
                      const WeightAverage* average, AdamW& optimizer, int64_t keep, ProcessGroup& group) {
  const fs::path folder = snapshot_folder(snapshots, state.step), partial = partial_path(folder);
  PHIAL_CHECKED(group.agree(group.is_first() ? begin_folder(partial) : ok()));
  const int writers = optimizer.owns_all() ? 1 : group.size();
  uint64_t hash_of_model = 0, hash_of_average = 0, hash_of_own = 0;
  const auto write = [&]() -> Status {
    if (group.rank() < writers) {
      PHIAL_TRY(hash_of_own,
                write_tensors(partial / optimizer_file(group.rank(), writers), stored_moments(parameters, optimizer)));
    }
    if (!group.is_first()) return ok();
    PHIAL_TRY(hash_of_model, write_tensors(partial / kModel, stored_weights(parameters)));
    if (average != nullptr) {
      PHIAL_TRY(hash_of_average, write_tensors(partial / kAverage, stored_weights(average->values())));
    }
    return ok();
  };
  Status written = group.agree(write());
  PHIAL_TRY(const auto hashes, group.gather(static_cast<int64_t>(hash_of_own)));
  if (written && group.is_first()) {
    Json files = {{kModel, hash_text(hash_of_model)}};
    if (average != nullptr) files[kAverage] = hash_text(hash_of_average);
    for (int rank = 0; rank < writers; ++rank) {
      files[optimizer_file(rank, writers)] = hash_text(static_cast<uint64_t>(hashes[static_cast<size_t>(rank)]));
    }
    written = write_state(partial, state, files, writers);
    if (written) written = put_in_place(snapshots, partial, folder, state.step, keep);
  }
  if (!written && group.is_first()) {
    std::error_code failed;
    fs::remove_all(partial, failed);
  }
  return group.agree(std::move(written));
}

void remove_partial_snapshots(const fs::path& snapshots) {
  std::vector<fs::path> partial;
  std::error_code failed;
  for (fs::directory_iterator at(snapshots, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with("." + std::string(kPrefix)) && name.ends_with(".part")) partial.push_back(at->path());
  }
  for (const fs::path& folder : partial) fs::remove_all(folder, failed);
}

bool has_snapshot(const fs::path& snapshots) { return !snapshots_in(snapshots).empty(); }

Result<std::optional<RunState>> read_newest_snapshot(const fs::path& snapshots, std::vector<Parameter>& parameters,
                                                     WeightAverage* average, AdamW& optimizer,
                                                     const std::function<Status(const RunState&)>& accept,
                                                     const Log& log, ProcessGroup& group) {
  // Rank 0 chooses, and the others take the one that it chose.
  std::optional<Snapshot> newest;
  const auto choose = [&]() -> Status {
    PHIAL_TRY(newest, find_newest(snapshots, log));
    return newest ? accept(newest->state) : ok();
  };
  PHIAL_CHECKED(group.agree(group.is_first() ? choose() : ok()));
  PHIAL_TRY(const auto steps, group.gather(newest ? newest->state.step : -1));
  if (steps.front() < 0) return std::optional<RunState>();
  const auto take_up = [&]() -> Status {
    if (!group.is_first()) {
      const fs::path folder = snapshot_folder(snapshots, steps.front());
      PHIAL_TRY(newest, read_snapshot(folder, steps.front(), /*checks_files=*/false));
    }
    return take_tensors(*newest, parameters, average, optimizer);
  };
  PHIAL_CHECKED(group.agree(take_up()));
  PHIAL_CHECKED(group.check_same(static_cast<int64_t>(newest->hash), "snapshot"));
  return std::optional(std::move(newest->state));
}

}  // namespace phial::train

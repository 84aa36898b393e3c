#include "phial/train/snapshot.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <string>
#include <system_error>

#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/train/stored_tensor.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModel = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "state.json";
constexpr std::string_view kPrefix = "step-";
constexpr int kFormat = 1;

std::string hash_of(std::span<const std::byte> bytes) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(XXH3_64bits(bytes.data(), bytes.size())));
  return text;
}

Result<std::string> hash_of_file(const fs::path& path) {
  PHIAL_TRY(const MappedFile file, MappedFile::open(path));
  return hash_of(file.bytes());
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

// Newest first.
std::vector<Found> snapshots_in(const fs::path& snapshots) {
  std::vector<Found> found;
  std::error_code failed;
  for (fs::directory_iterator at(snapshots, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    int64_t step = 0;
    if (!name.starts_with(kPrefix)) continue;
    const auto parsed = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size()) found.push_back({step, at->path()});
  }
  std::ranges::sort(found, std::ranges::greater(), &Found::step);
  return found;
}

Json as_json(const RunState& state) {
  return {{"format", kFormat},
          {"step", state.step},
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

// The state, once the hashes of everything are right.
Result<RunState> read_state(const fs::path& folder) {
  const fs::path path = folder / kState;
  PHIAL_TRY(const std::string text, read_text_file(path));
  auto parsed = parse_json(text);
  if (!parsed) return damaged(path, parsed.error().message);
  Json json = *std::move(parsed);
  const std::string* own = find_string(json, "hash");
  if (own == nullptr) return damaged(path, "there is no hash");
  const std::string stated = *own;
  json.erase("hash");
  if (const std::string plain = dump_json(json); hash_of(std::as_bytes(std::span(plain))) != stated) {
    return damaged(path, "its hash is not the one it states");
  }
  if (find_int(json, "format") != kFormat) {
    return Error{Code::kUnsupported, path.string() + ": written by another version", "go on with that version"};
  }
  for (const char* name : {kModel, kOptimizer}) {
    const Json* files = find_member(json, "files");
    const std::string* wanted = files != nullptr ? find_string(*files, name) : nullptr;
    PHIAL_TRY(const std::string found, hash_of_file(folder / name));
    if (wanted == nullptr || found != *wanted) return damaged(folder / name, "its hash is not that of state.json");
  }
  RunState state;
  const auto number = [&](const char* key) { return find_int(json, key).value_or(0); };
  state.step = number("step");
  state.optimizer_steps = number("optimizer_steps");
  state.skipped_in_a_row = number("skipped_in_a_row");
  state.loss = find_number(json, "loss").value_or(0);
  state.samples = static_cast<uint64_t>(number("samples"));
  state.tokens = static_cast<uint64_t>(number("tokens"));
  state.metrics_bytes = static_cast<uint64_t>(number("metrics_bytes"));
  state.events_bytes = static_cast<uint64_t>(number("events_bytes"));
  if (const Json* config = find_member(json, "config")) state.config = *config;
  return state;
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
  std::memcpy(into.detach().data_ptr<float>(), stored->bytes.data(), stored->bytes.size());
  return ok();
}

Status take_tensors(const fs::path& folder, std::vector<Parameter>& parameters, AdamW& optimizer) {
  PHIAL_TRY(const auto model, formats::Checkpoint::open(folder / kModel));
  PHIAL_TRY(const auto moments, formats::Checkpoint::open(folder / kOptimizer));
  for (size_t i = 0; i < parameters.size(); ++i) {
    PHIAL_CHECKED(take(model, parameters[i].name, parameters[i].value));
    PHIAL_CHECKED(take(moments, "mean." + parameters[i].name, optimizer.states()[i].mean));
    PHIAL_CHECKED(take(moments, "square." + parameters[i].name, optimizer.states()[i].square));
  }
  return ok();
}

Status write_files(const fs::path& folder, const RunState& state, std::vector<formats::NewTensor> model,
                   std::vector<formats::NewTensor> moments) {
  PHIAL_CHECKED(make_folders(folder));
  PHIAL_CHECKED(formats::write_safetensors(folder / kModel, std::move(model), {}));
  PHIAL_CHECKED(formats::write_safetensors(folder / kOptimizer, std::move(moments), {}));
  Json json = as_json(state);
  for (const char* name : {kModel, kOptimizer}) {
    PHIAL_TRY(json["files"][name], hash_of_file(folder / name));
  }
  const std::string plain = dump_json(json);
  json["hash"] = hash_of(std::as_bytes(std::span(plain)));
  PHIAL_TRY(OutputFile file, OutputFile::create(folder / kState));
  const std::string text = dump_json(json) + "\n";
  PHIAL_CHECKED(file.write(std::as_bytes(std::span(text))));
  PHIAL_CHECKED(file.finish());
  return sync_folder(folder);
}

}  // namespace

Status write_snapshot(const fs::path& snapshots, const RunState& state, const std::vector<Parameter>& parameters,
                      AdamW& optimizer, int64_t keep) {
  PHIAL_CHECKED(make_folders(snapshots));
  std::vector<formats::NewTensor> model, moments;
  for (size_t i = 0; i < parameters.size(); ++i) {
    model.push_back(stored_tensor(parameters[i].name, parameters[i].value));
    moments.push_back(stored_tensor("mean." + parameters[i].name, optimizer.states()[i].mean));
    moments.push_back(stored_tensor("square." + parameters[i].name, optimizer.states()[i].square));
  }
  char number[24];
  std::snprintf(number, sizeof number, "%09lld", static_cast<long long>(state.step));
  const fs::path folder = snapshots / (std::string(kPrefix) + number);
  const fs::path partial = partial_path(folder);
  std::error_code failed;
  fs::remove_all(partial, failed);  // of a run that was killed
  if (Status written = write_files(partial, state, std::move(model), std::move(moments)); !written) {
    fs::remove_all(partial, failed);
    return written;
  }
  fs::remove_all(folder, failed);  // a damaged one, from before this run took up an older
  fs::rename(partial, folder, failed);
  if (failed) return Error{Code::kIo, folder.string() + ": cannot be put in place: " + failed.message(), ""};
  PHIAL_CHECKED(sync_folder(snapshots));
  int64_t kept = 0;
  for (const Found& found : snapshots_in(snapshots)) {
    // A later one was passed over as damaged: it takes no whole one's place.
    if (found.step <= state.step && ++kept <= std::max<int64_t>(1, keep)) continue;
    fs::remove_all(found.folder, failed);  // one that cannot be removed does no harm
  }
  return ok();
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
                                                     AdamW& optimizer,
                                                     const std::function<Status(const RunState&)>& accept,
                                                     const Log& log) {
  const std::vector<Found> all = snapshots_in(snapshots);
  for (const Found& found : all) {
    auto state = read_state(found.folder);
    if (!state) {
      // One that cannot be read now may be whole: an older one would take its place.
      const Code code = state.error().code;
      if (code != Code::kCorrupt && code != Code::kNotFound) return std::move(state).error();
      log(Severity::kWarning, state.error().text() + "; an older one is taken up");
      continue;
    }
    PHIAL_CHECKED(accept(*state));
    PHIAL_CHECKED(take_tensors(found.folder, parameters, optimizer));
    optimizer.set_steps(state->optimizer_steps);
    return std::optional(*std::move(state));
  }
  if (all.empty()) return std::optional<RunState>();
  return Error{Code::kCorrupt, snapshots.string() + ": no snapshot in it is whole",
               "begin anew with another run.out, or remove that folder"};
}

}  // namespace phial::train

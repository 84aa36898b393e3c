// Where a run stands, on disk: whole or not there, and as many of the last ones as are kept.
//
// A snapshot is a folder step-N of model.safetensors (what is trained: the tensors of a Hugging Face folder, or an
// adapter's; f32), average.safetensors (the same of the weights' average, where there is one), optimizer.safetensors
// (first and second moments; where these are divided among ranks, a file of each: optimizer-00001-of-00004.safetensors,
// and format 2 where it is 1 else) and state.json, which has the hash of all of them and of itself. It is written
// beside, synced and renamed; training that goes on from one gives the same bits as training that was never stopped.
// There is no other state: the order of the data and new weights are functions of the seed, and an adapter's model is
// the one that the run began with. All ranks call these together, and see one folder. Rank 0 writes everything but the
// others' moments, and puts the snapshot in place when all are done: it is whole at every rank, or not there. Errors:
// kIo, kCorrupt, kInvalid for a snapshot of another run. Threads: one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/log.h"
#include "phial/base/result.h"
#include "phial/train/optimizer.h"
#include "phial/train/parameters.h"
#include "phial/train/process_group.h"
#include "phial/train/weight_average.h"

namespace phial::train {

struct RunState {
  int64_t step = 0;  // steps done, skipped ones included
  int64_t optimizer_steps = 0;
  int64_t skipped_in_a_row = 0;
  double loss = 0;             // of the last step that was not skipped
  uint64_t samples = 0;        // of the loader, used
  uint64_t tokens = 0;         // targets that counted
  uint64_t metrics_bytes = 0;  // of metrics.jsonl, written by then
  uint64_t events_bytes = 0;   // of TensorBoard's events
  Json config = Json::object();
};

// `average`: null if the run has none. Replaces a folder of the same step, and removes those of later ones: they were
// passed over. Keeps the last `keep`, at least 1.
Status write_snapshot(const std::filesystem::path& snapshots, const RunState& state,
                      const std::vector<Parameter>& parameters, const WeightAverage* average, AdamW& optimizer,
                      int64_t keep, ProcessGroup& group);

// What runs that were killed had begun to write.
void remove_partial_snapshots(const std::filesystem::path& snapshots);

// Whether there is one, whole or not.
bool has_snapshot(const std::filesystem::path& snapshots);

// Takes up the newest snapshot that rank 0 finds whole, if `accept` has nothing against it: else its error, and nothing
// is changed. `log` is warned of damaged ones, one that cannot be read is an error. Nothing: there is none. kCorrupt if
// there are some and none is whole.
Result<std::optional<RunState>> read_newest_snapshot(const std::filesystem::path& snapshots,
                                                     std::vector<Parameter>& parameters, WeightAverage* average,
                                                     AdamW& optimizer,
                                                     const std::function<Status(const RunState&)>& accept,
                                                     const Log& log, ProcessGroup& group);

}  // namespace phial::train

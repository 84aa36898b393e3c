// What a run leaves in its folder beside the snapshots: config.toml, metrics.jsonl, TensorBoard's events, report.html,
// and the model at the end. Nothing that a run did not make is replaced.
//
// Of several ranks the first one writes it all. Errors: kInvalid for a folder that is not this run's, those of files.
// Threads: one.
#pragma once

#include <filesystem>
#include <optional>

#include "phial/train/event_file.h"
#include "phial/train/metrics_file.h"
#include "phial/train/network.h"
#include "phial/train/run_config.h"
#include "phial/train/snapshot.h"
#include "phial/train/start_model.h"

namespace phial::train {

class RunOutput {
 public:
  // Both live as long.
  RunOutput(const RunConfig& config, const StartModel& model) : config_(config), model_(model) {}

  std::filesystem::path snapshots() const { return folder() / "snapshots"; }
  std::filesystem::path model_folder() const { return folder() / "model"; }

  // kInvalid if something stands in the way. What a run with fewer steps wrote is replaced; nothing else is.
  Status check() const;
  // Writes config.toml, and cuts the metrics back to those of the state.
  Status open(const std::string& toml, const RunState& state);
  Status append(const StepReport& report, uint64_t tokens);
  // How far the metrics are written by now.
  void mark(RunState& state) const;
  // What goes wrong here keeps no model back.
  void write_page(const Log& log) const;
  // And the adapter, which is then merged into the network's parameters.
  Status write_model(Network& network);

 private:
  std::filesystem::path folder() const { return config_.out; }
  tensor::DType dtype_of_model() const;

  const RunConfig& config_;
  const StartModel& model_;
  std::optional<MetricsFile> metrics_;
  std::optional<EventFile> events_;
};

}  // namespace phial::train

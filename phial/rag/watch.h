// Keeps a library in step with its folders while they change.
//
// inotify on every folder. A change starts a rescan of its root once things have been quiet for a moment, so a burst is
// one scan; a lost event (queue overflow) does too. Rescans are incremental, so one that finds nothing is cheap.
// Errors: kIo if the system gives no watch, kCancelled never: a stop is the normal end.
// Threads: one call a store.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "phial/rag/ingest.h"

namespace phial::rag {

// Tells when something under some folders has changed.
class FolderWatch {
 public:
  static Result<std::unique_ptr<FolderWatch>> make();
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // Adds what is not watched yet. kIo with the remedy when the system's limit is reached.
  Status add(std::span<const std::string> folders);

  // Waits until something changed and `quiet` went by without another change, at most `longest` after the first.
  // False: stopped.
  Result<bool> wait(std::chrono::milliseconds quiet, std::chrono::milliseconds longest, const std::stop_token& stop);

 private:
  explicit FolderWatch(int fd) : fd_(fd) {}
  bool drain();
  int fd_;
};

// Ingests once, then after each change, until `options.cancel`. `on_report` hears of every run that did something.
Status watch(Store& store, Embedder& embedder, std::span<const std::filesystem::path> paths,
             const IngestOptions& options, const OnProgress& on_progress,
             const std::function<void(const IngestReport&)>& on_report);

}  // namespace phial::rag

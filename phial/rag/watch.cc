#include "phial/rag/watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace phial::rag {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr uint32_t kEvents =
    IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;
constexpr milliseconds kPoll{100};
constexpr milliseconds kQuiet{500};
constexpr milliseconds kLongest{5000};

bool did_something(const IngestReport& report) {
  return report.added + report.changed + report.linked + report.removed > 0 || !report.problems.empty();
}

}  // namespace

Result<std::unique_ptr<FolderWatch>> FolderWatch::make() {
  const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0) {
    if (errno == EMFILE) {
      return Error{Code::kIo, "too many programs watch folders already (--watch)",
                   "close some, or 'sudo sysctl fs.inotify.max_user_instances=512'"};
    }
    return Error{Code::kIo, std::string("cannot watch folders: ") + std::strerror(errno) + " (--watch)",
                 "leave it out, and add again after changes"};
  }
  return std::unique_ptr<FolderWatch>(new FolderWatch(fd));
}

FolderWatch::~FolderWatch() { close(fd_); }

Status FolderWatch::add(std::span<const std::string> folders) {
  for (const std::string& folder : folders) {
    if (inotify_add_watch(fd_, folder.c_str(), kEvents) >= 0) continue;
    if (errno == ENOENT || errno == EACCES) continue;  // gone again, or not ours: the scan tells
    if (errno == ENOSPC) {
      return Error{Code::kIo, "too many folders to watch (" + folder + ")",
                   "'sudo sysctl fs.inotify.max_user_watches=524288', or name fewer"};
    }
    return Error{Code::kIo, std::string("cannot watch: ") + std::strerror(errno) + " (" + folder + ")",
                 "leave --watch out, and add again after changes"};
  }
  return ok();
}

// Takes all waiting events; which they are does not matter, since the rescan looks for itself.
bool FolderWatch::drain() {
  alignas(inotify_event) std::array<char, 1 << 16> buffer;
  bool any = false;
  while (read(fd_, buffer.data(), buffer.size()) > 0) any = true;
  return any;
}

Result<bool> FolderWatch::wait(milliseconds quiet, milliseconds longest, const std::stop_token& stop) {
  bool changed = false;
  auto first = Clock::now();
  auto last = first;
  while (!stop.stop_requested()) {
    pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
    const int got = poll(&ready, 1, static_cast<int>(kPoll.count()));
    if (got < 0 && errno != EINTR)
      return Error{Code::kIo, std::string("the watch ended: ") + std::strerror(errno) + " (--watch)",
                   "start 'phial add --watch' again"};
    const auto now = Clock::now();
    if (got > 0 && drain()) {
      if (!changed) first = now;
      changed = true;
      last = now;
    }
    if (changed && (now - last >= quiet || now - first >= longest)) return true;
  }
  return false;
}

Status watch(Store& store, Embedder& embedder, std::span<const std::filesystem::path> paths,
             const IngestOptions& options, const OnProgress& on_progress,
             const std::function<void(const IngestReport&)>& on_report) {
  PHIAL_TRY(const auto watcher, FolderWatch::make());
  for (;;) {
    // Watched before it is looked at, so that no change falls between.
    for (const auto& path : paths) {
      const std::string root = absolute_path(path);
      const auto found = scan(root, options.scan, options.cancel);
      if (found) PHIAL_CHECKED(watcher->add(found->folders));
      const std::string above = std::filesystem::path(root).parent_path().string();
      if (!found || found->folders.empty()) PHIAL_CHECKED(watcher->add(std::span(&above, 1)));
    }
    const auto report = ingest(store, embedder, paths, options, on_progress);
    if (!report && report.error().code == Code::kCancelled) return ok();
    // A root that is away for now may come back.
    if (!report && report.error().code != Code::kNotFound) return report.error();
    if (report && did_something(*report)) on_report(*report);
    PHIAL_TRY(const bool goes_on, watcher->wait(kQuiet, kLongest, options.cancel));
    if (!goes_on) return ok();
  }
}

}  // namespace phial::rag

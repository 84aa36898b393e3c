#include "phial/rag/reader_client.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "phial/base/decimal.h"
#include "phial/base/json.h"
#include "phial/formats/ppm.h"

namespace phial::rag {
namespace {

using Clock = std::chrono::steady_clock;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

Error system_error(std::string_view what, int code) {
  return {Code::kIo, std::string(what) + ": " + std::strerror(code), ""};
}

// A child in a process group of its own, killed with all it started when the object goes.
class Child {
 public:
  static Result<std::unique_ptr<Child>> start(const std::vector<std::string>& arguments, int output) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes, 0);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_t pid = 0;
    const int failure = posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failure == ENOENT || failure == EACCES) {
      return Error{Code::kNotFound, "the document reader " + arguments[0] + " cannot be started",
                   "install phial-reader beside phial"};
    }
    if (failure != 0) return system_error(arguments[0], failure);
    return std::unique_ptr<Child>(new Child(pid));
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) static_cast<void>(end());
  }

  // Kills the group and gives the status of the child.
  int end() {
    kill(-pid_, SIGKILL);
    return wait();
  }
  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status;
  }
  // True once it has ended, without taking its status away.
  bool ended() const {
    siginfo_t info;
    info.si_pid = 0;
    return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
  }

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

std::filesystem::path beside_this_program() {
  std::error_code failure;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failure);
  return self.parent_path() / "phial-reader";
}

Error gave_up(const std::filesystem::path& path, const std::string& why) {
  return {Code::kOutOfRange, path.string() + ": " + why, "split the file or raise the reader's limits"};
}

// All that the child writes until it closes its output.
Result<std::string> collect(int output, const std::filesystem::path& path, const ReaderOptions& options,
                            const std::stop_token& cancel) {
  const int seconds = 2 * options.seconds + options.spare_seconds;
  const auto deadline = Clock::now() + std::chrono::seconds(seconds);
  constexpr int kPollMs = 100;
  std::string text;
  std::vector<char> buffer(size_t{1} << 16);
  for (;;) {
    if (cancel.stop_requested()) return Error{Code::kCancelled, "stopped while reading " + path.string(), ""};
    if (Clock::now() > deadline) return gave_up(path, "not read after " + std::to_string(seconds) + " s");
    pollfd wait{.fd = output, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, kPollMs) <= 0) continue;
    const ssize_t got = read(output, buffer.data(), buffer.size());
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path.string(), errno);
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > options.max_output_bytes) {
      return gave_up(path, "its text is larger than " + std::to_string(options.max_output_bytes >> 20) + " MB");
    }
  }
}

Status check_ended(int status, const std::filesystem::path& path) {
  if (!WIFSIGNALED(status)) return ok();
  const int signal = WTERMSIG(status);
  const bool limited = signal == SIGXCPU || signal == SIGKILL;
  return Error{
      limited ? Code::kOutOfRange : Code::kCorrupt,
      path.string() + ": the document reader " +
          (limited ? "ran out of time or memory" : "ended with signal " + std::to_string(signal)),
      limited ? "split the file or raise the reader's limits" : "the file may be damaged: open and save it again"};
}

// The program's JSON; the error if it is one.
Result<Json> parse(const std::string& text, const std::filesystem::path& path) {
  auto json = parse_json(text);
  if (!json) {
    return Error{Code::kCorrupt, path.string() + ": the document reader gave no answer",
                 "the file may be damaged or too large: open and save it again"};
  }
  if (const Json* failure = find_member(*json, "error")) {
    const std::string* message = find_string(*failure, "message");
    const std::string* remedy = find_string(*failure, "remedy");
    return Error{Code::kUnsupported, message != nullptr ? *message : path.string() + ": could not be read",
                 remedy != nullptr ? *remedy : ""};
  }
  return json;
}

// All that phial-reader writes about the file, with options of its own beside those of every run.
Result<std::string> run_reader(const std::filesystem::path& path, const std::vector<std::string>& own,
                               const ReaderOptions& options, const std::stop_token& cancel) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno);
  Descriptor output(ends[0]);
  Descriptor input(ends[1]);
  const std::filesystem::path program = options.program.empty() ? beside_this_program() : options.program;
  std::vector<std::string> arguments = {program.string(), "--memory-mb", std::to_string(options.memory_mb), "--seconds",
                                        std::to_string(options.seconds)};
  arguments.insert(arguments.end(), own.begin(), own.end());
  arguments.insert(arguments.end(), {"--", path.string()});
  PHIAL_TRY(const auto child, Child::start(arguments, input.get()));
  input.close();
  PHIAL_TRY(std::string text, collect(output.get(), path, options, cancel));
  // It has closed its output, but may go on all the same.
  constexpr auto kGrace = std::chrono::seconds(5);
  for (const auto until = Clock::now() + kGrace; !child->ended() && Clock::now() < until;) usleep(1000);
  PHIAL_CHECKED(check_ended(child->end(), path));
  return text;
}

}  // namespace

Result<formats::ExtractedDocument> read_document(const std::filesystem::path& path, const ReaderOptions& options,
                                                 const std::stop_token& cancel) {
  PHIAL_TRY(
      const std::string text,
      run_reader(path, {"--ocr", options.ocr ? "auto" : "off", "--languages", options.languages}, options, cancel));
  PHIAL_TRY(const Json json, parse(text, path));
  auto document = formats::document_from_json(json);
  if (!document) return std::move(document).error().in(path.string());
  return document;
}

Result<formats::Image> draw_figure(const std::filesystem::path& path, const formats::Figure& figure,
                                   const ReaderOptions& options, const std::stop_token& cancel) {
  std::string place = std::to_string(figure.page);
  for (const float at : {figure.left, figure.top, figure.right, figure.bottom}) place += "," + decimal("%.3f", at);
  PHIAL_TRY(const std::string text, run_reader(path, {"--figure", place}, options, cancel));
  if (text.starts_with("{")) {
    PHIAL_TRY(const Json json, parse(text, path));
    return Error{Code::kCorrupt, path.string() + ": the document reader gave no picture", "open and save it again"};
  }
  auto image = formats::image_from_ppm(text);
  if (!image) return std::move(image).error().in(path.string());
  return image;
}

}  // namespace phial::rag

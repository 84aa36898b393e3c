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
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "phial/base/decimal.h"
#include "phial/base/descriptor.h"
#include "phial/base/json.h"
#include "phial/formats/ppm.h"

namespace phial::rag {
namespace {

using Clock = std::chrono::steady_clock;

// What the program is started for.
struct Task {
  const std::filesystem::path& path;
  std::string_view act;  // "reading"
};

Error about(const Task& task, Code code, const std::string& what, std::string remedy) {
  return Error{code, what, std::move(remedy)}.in(task.path.string());
}

Error gave_up(const Task& task, const std::string& why) {
  return about(task, Code::kOutOfRange, std::string(task.act) + " " + why, "split the file");
}

Error came_to_nothing(const Task& task) {
  return about(task, Code::kCorrupt, std::string(task.act) + " failed, the file may be damaged",
               "open it in the program that made it and save it again");
}

// A child in a process group of its own, killed with all it started when the object goes.
class Child {
 public:
  static Result<std::unique_ptr<Child>> start(const std::vector<std::string>& arguments, int output, const Task& task) {
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
      return Error{Code::kNotFound,
                   "the program that reads documents is missing or may not be run (" + arguments[0] + ")",
                   "install phial-reader beside phial, or check its permissions"};
    }
    if (failure != 0) {
      errno = failure;
      return system_error(task.path, "start the program that reads documents");
    }
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

// All that the child writes until it closes its output.
Result<std::string> collect(int output, const Task& task, const ReaderOptions& options, const std::stop_token& cancel) {
  const int seconds = 2 * options.seconds + options.spare_seconds;
  const auto deadline = Clock::now() + std::chrono::seconds(seconds);
  constexpr int kPollMs = 100;
  std::string text;
  std::vector<char> buffer(size_t{1} << 16);
  for (;;) {
    if (cancel.stop_requested()) return Error{Code::kCancelled, "stopped while reading " + task.path.string(), ""};
    if (Clock::now() > deadline) return gave_up(task, "took more than " + std::to_string(seconds) + " s");
    pollfd wait{.fd = output, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, kPollMs) <= 0) continue;
    const ssize_t got = read(output, buffer.data(), buffer.size());
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(task.path, "read");
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > options.max_output_bytes) {
      return gave_up(task, "gave more than " + std::to_string(options.max_output_bytes >> 20) + " MiB");
    }
  }
}

Status check_ended(int status, const Task& task) {
  if (!WIFSIGNALED(status)) return ok();
  const int signal = WTERMSIG(status);
  const bool is_limited = signal == SIGXCPU || signal == SIGKILL;
  return is_limited ? gave_up(task, "takes more time or memory than allowed") : came_to_nothing(task);
}

// The program's JSON; the error if it is one.
Result<Json> parse(const std::string& text, const Task& task) {
  auto json = parse_json(text);
  if (!json) return came_to_nothing(task);
  if (const Json* failure = find_member(*json, "error")) {
    const std::string* message = find_string(*failure, "message");
    const std::string* remedy = find_string(*failure, "remedy");
    Error error{Code::kUnsupported, message != nullptr ? *message : "it could not be read",
                remedy != nullptr ? *remedy : ""};
    const bool names_it = error.message.find(task.path.string()) != std::string::npos;
    return names_it ? error : std::move(error).in(task.path.string());
  }
  return json;
}

// All that phial-reader writes about the file, with options of its own beside those of every run.
Result<std::string> run_reader(const Task& task, const std::vector<std::string>& own, const ReaderOptions& options,
                               const std::stop_token& cancel) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(task.path, "read documents");
  Descriptor output(ends[0]);
  Descriptor input(ends[1]);
  const std::filesystem::path program = options.program.empty() ? beside_this_program() : options.program;
  std::vector<std::string> arguments = {program.string(),
                                        "--memory-mb",
                                        std::to_string(options.memory_mb),
                                        "--max-file-mb",
                                        std::to_string(options.max_file_mb),
                                        "--seconds",
                                        std::to_string(options.seconds)};
  arguments.insert(arguments.end(), own.begin(), own.end());
  arguments.insert(arguments.end(), {"--", task.path.string()});
  PHIAL_TRY(const auto child, Child::start(arguments, input.get(), task));
  input = Descriptor();  // or the pipe would never end
  PHIAL_TRY(std::string text, collect(output.get(), task, options, cancel));
  // It has closed its output, but may go on all the same.
  constexpr auto kGrace = std::chrono::seconds(5);
  for (const auto until = Clock::now() + kGrace; !child->ended() && Clock::now() < until;) usleep(1000);
  PHIAL_CHECKED(check_ended(child->end(), task));
  return text;
}

}  // namespace

Result<formats::ExtractedDocument> read_document(const std::filesystem::path& path, const ReaderOptions& options,
                                                 const std::stop_token& cancel) {
  const Task task{path, "reading"};
  PHIAL_TRY(
      const std::string text,
      run_reader(task, {"--ocr", options.ocr ? "auto" : "off", "--languages", options.languages}, options, cancel));
  PHIAL_TRY(const Json json, parse(text, task));
  auto document = formats::document_from_json(json);
  if (!document) return std::move(document).error().in(path.string());
  return document;
}

Result<formats::Image> draw_figure(const std::filesystem::path& path, const formats::Figure& figure,
                                   const ReaderOptions& options, const std::stop_token& cancel) {
  std::string place = std::to_string(figure.page);
  for (const float at : {figure.left, figure.top, figure.right, figure.bottom}) place += "," + decimal("%.3f", at);
  const Task task{path, "drawing a figure"};
  PHIAL_TRY(const std::string text, run_reader(task, {"--figure", place}, options, cancel));
  if (text.starts_with("{")) {
    PHIAL_TRY(const Json json, parse(text, task));
    return came_to_nothing(task);
  }
  auto image = formats::image_from_ppm(text);
  if (!image) return std::move(image).error().in(path.string());
  return image;
}

}  // namespace phial::rag

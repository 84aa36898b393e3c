#include "tests/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace phial::tests {
namespace fs = std::filesystem;
namespace {

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
      read_end = ends[0];
      write_end = ends[1];
    }
  }
};

void close_if_open(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

// A pseudo-terminal: `outside` reads what a program writes to `inside`.
struct Terminal {
  int outside = -1, inside = -1;
  explicit Terminal(int columns) {
    winsize size{.ws_row = 24, .ws_col = static_cast<unsigned short>(columns), .ws_xpixel = 0, .ws_ypixel = 0};
    if (columns > 0) ::openpty(&outside, &inside, nullptr, nullptr, &size);
  }
  // The reading end of `pipe`, whose place it takes. For the parent, once the child has what it needs.
  void take_place_of(Pipe& pipe) {
    close_if_open(inside);
    if (outside < 0) return;
    close_if_open(pipe.read_end);
    pipe.read_end = outside;
  }
};

// Whether a program reads what is typed key by key: it may show its prompt a moment before.
bool takes_keys(int terminal) {
  termios settings{};
  return ::tcgetattr(terminal, &settings) == 0 && (settings.c_lflag & ICANON) == 0;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Home::Home() {
  if (const char* models = std::getenv("PHIAL_MODELS"); models != nullptr && fs::is_directory(models)) {
    fs::create_directories(path() / "models");
    for (const auto& entry : fs::directory_iterator(models)) {
      if (entry.path().filename().string().starts_with(".")) continue;
      fs::create_symlink(fs::canonical(entry.path()), path() / "models" / entry.path().filename());
    }
  }
}

fs::path Home::write(const std::string& name, const std::string& text) const {
  const fs::path file = path() / "files" / name;
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
  return file;
}

Finished Home::run(const std::vector<std::string>& words, const RunOptions& options) const {
  std::vector<std::string> arguments{PHIAL_PROGRAM};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::vector<std::string> environment{"PHIAL_HOME=" + path().string(), "PATH=/usr/bin:/bin", "HOME=" + path().string(),
                                       "TERM=xterm"};
  environment.insert(environment.end(), options.environment.begin(), options.environment.end());
  const std::vector<char*> argv = pointers_to(arguments), envp = pointers_to(environment);

  Pipe in, out, err;
  Terminal out_terminal(options.output_columns), err_terminal(options.error_is_terminal ? 80 : 0);

  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGINT, SIG_DFL);
    ::dup2(options.typed_when ? out_terminal.inside : in.read_end, STDIN_FILENO);
    ::dup2(options.error_is_terminal ? err_terminal.inside : err.write_end, STDERR_FILENO);
    if (options.close_output) {
      ::close(STDOUT_FILENO);
    } else if (options.output_file) {
      ::dup2(::open(options.output_file->c_str(), O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
    } else {
      ::dup2(options.output_columns > 0 ? out_terminal.inside : out.write_end, STDOUT_FILENO);
    }
    close_if_open(out_terminal.outside);
    close_if_open(err_terminal.outside);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  close_if_open(in.read_end);
  close_if_open(out.write_end);
  close_if_open(err.write_end);
  out_terminal.take_place_of(out);
  err_terminal.take_place_of(err);

  std::thread feeder([&] {
    std::string_view left = options.input;
    while (!options.typed_when && !left.empty()) {
      const ssize_t written = ::write(in.write_end, left.data(), left.size());
      if (written <= 0) break;
      left.remove_prefix(static_cast<size_t>(written));
    }
    close_if_open(in.write_end);
  });

  Finished finished;
  bool signalled = false, typed = !options.typed_when;
  while (out.read_end >= 0 || err.read_end >= 0) {
    std::array<pollfd, 2> waiting{{{out.read_end, POLLIN, 0}, {err.read_end, POLLIN, 0}}};
    if (::poll(waiting.data(), 2, typed ? -1 : 10) < 0) break;
    for (size_t i = 0; i < 2; ++i) {
      if (waiting[i].revents == 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t got = ::read(waiting[i].fd, buffer.data(), buffer.size());
      if (got > 0) {
        (i == 0 ? finished.out : finished.err).append(buffer.data(), static_cast<size_t>(got));
      } else {
        close_if_open(i == 0 ? out.read_end : err.read_end);  // a terminal whose last user left says EIO
      }
    }
    if (!typed && finished.out.find(*options.typed_when) != std::string::npos && takes_keys(out.read_end)) {
      typed = ::write(out.read_end, options.input.data(), options.input.size()) >= 0;
    }
    if (options.signal_when && !signalled &&
        (finished.out.find(*options.signal_when) != std::string::npos ||
         finished.err.find(*options.signal_when) != std::string::npos)) {
      ::kill(child, options.signal);
      signalled = true;
    }
  }
  int state = 0;
  while (::waitpid(child, &state, 0) < 0 && errno == EINTR) {
  }
  feeder.join();
  if (options.output_columns > 0) std::erase(finished.out, '\r');
  finished.status = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
  return finished;
}

std::string testdata(const std::string& name) { return std::string(PHIAL_TESTDATA) + "/" + name; }

}  // namespace phial::tests

#include "phial/cli/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>

namespace phial::cli {
namespace {

constexpr int kInterruptedStatus = 130;

// What the handler touches: plain descriptors and lock-free atomics.
std::atomic<int> signals_seen{0};
std::atomic<bool> end_asked{false};
int wake_pipe[2] = {-1, -1};
int seen_event = -1;  // readable once a signal was seen: a read that has not begun yet would not be interrupted
termios terminal_at_start{};
bool has_terminal = false;

std::mutex interrupted_mutex;
std::stop_source interrupted{std::nostopstate};

extern "C" void on_signal(int signal) {
  const int saved = errno;
  if (signal != SIGINT) end_asked = true;
  if (signals_seen.fetch_add(1) > 0) {
    if (has_terminal) ::tcsetattr(STDIN_FILENO, TCSANOW, &terminal_at_start);
    ::_exit(kInterruptedStatus);
  }
  const char byte = 's';
  (void)!::write(wake_pipe[1], &byte, 1);
  const uint64_t one = 1;
  (void)!::write(seen_event, &one, sizeof one);
  errno = saved;
}

}  // namespace

Interrupt::Interrupt(std::stop_source stop) {
  interrupted = std::move(stop);
  has_terminal = ::tcgetattr(STDIN_FILENO, &terminal_at_start) == 0;
  seen_event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (::pipe2(wake_pipe, O_CLOEXEC) != 0) return;
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  struct sigaction before{};
  // nohup: what was told to outlive its terminal does.
  if (::sigaction(SIGHUP, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) {
    ::sigaction(SIGHUP, &action, nullptr);
  }
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);

  watcher_ = std::thread([] {
    char byte = 0;
    for (;;) {
      const ssize_t got = ::read(wake_pipe[0], &byte, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got != 1 || byte == 'q') return;
      const std::lock_guard lock(interrupted_mutex);
      interrupted.request_stop();
    }
  });
}

Interrupt::~Interrupt() {
  if (!watcher_.joinable()) return;
  const char byte = 'q';
  (void)!::write(wake_pipe[1], &byte, 1);
  watcher_.join();
}

void Interrupt::redirect(std::stop_source stop) {
  const std::lock_guard lock(interrupted_mutex);
  interrupted = std::move(stop);
  signals_seen = 0;
  uint64_t seen = 0;
  (void)!::read(seen_event, &seen, sizeof seen);
}

bool Interrupt::happened() { return signals_seen.load() > 0 || ends_program(); }

bool Interrupt::ends_program() { return end_asked.load(); }

bool Interrupt::wait_to_read(int descriptor) {
  std::array<pollfd, 2> either{{{descriptor, POLLIN, 0}, {seen_event, POLLIN, 0}}};
  for (;;) {
    if (happened()) return false;
    if (::poll(either.data(), either.size(), -1) >= 0) return !happened();
    if (errno != EINTR) return true;  // read() will say why
  }
}

}  // namespace phial::cli

#include "phial/cli/interrupt.h"

#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>

namespace phial::cli {
namespace {

constexpr int kInterruptedStatus = 130;

// What the handler touches: plain descriptors and lock-free atomics.
std::atomic<int> signals_seen{0};
std::atomic<bool> end_asked{false};
int wake_pipe[2] = {-1, -1};
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
  errno = saved;
}

}  // namespace

Interrupt::Interrupt(std::stop_source stop) {
  interrupted = std::move(stop);
  has_terminal = ::tcgetattr(STDIN_FILENO, &terminal_at_start) == 0;
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
}

bool Interrupt::happened() { return signals_seen.load() > 0; }

bool Interrupt::ends_program() { return end_asked.load(); }

}  // namespace phial::cli

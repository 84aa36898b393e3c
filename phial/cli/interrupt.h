// Ctrl-C: the first asks the work to stop, the second ends the program at once. SIGTERM and SIGHUP ask likewise.
//
// A signal handler may do next to nothing, so it writes one byte to a pipe and a thread of its own asks for the stop.
// One object in the program, for as long as main runs.
#pragma once

#include <stop_token>
#include <thread>

namespace phial::cli {

class Interrupt {
 public:
  explicit Interrupt(std::stop_source stop);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // The stop source that the next signal asks; chat gives one to each answer.
  static void redirect(std::stop_source stop);
  // True once a signal came since the last redirect(), or SIGTERM or SIGHUP ever: those mean the whole program.
  static bool happened();
  static bool ends_program();
  // Until something can be read from the descriptor; false if a signal came before or meanwhile.
  static bool wait_to_read(int descriptor);

 private:
  std::thread watcher_;
};

}  // namespace phial::cli

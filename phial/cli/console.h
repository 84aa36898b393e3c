// The person at the terminal: where results, notes, progress and errors go, and how Ctrl-C arrives.
//
// Results go to standard output, everything else to standard error. Progress and colour appear only on a terminal, and
// never with NO_COLOR. A write that fails (a full disk, a closed pipe) stops the work and is told by finish().
// Threads: log() and progress() may be called from any; the rest from one.
#pragma once

#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "phial/base/log.h"
#include "phial/base/result.h"

namespace phial::cli {

struct Verb;

class Console {
 public:
  // `stop`: asked to stop by Ctrl-C, or by output that nobody takes.
  explicit Console(std::stop_source stop);

  void set_verbose(bool verbose) { verbose_ = verbose; }
  void set_quiet(bool quiet) { quiet_ = quiet; }

  bool output_is_terminal() const { return output_is_terminal_; }
  bool colours() const { return colours_; }
  // Columns of the terminal that standard output is; 0: it is none, or one that does not tell.
  int output_columns() const;

  void write(std::string_view text);
  // All results are out: an error if they could not be written. kCancelled for a reader who left (head, less).
  Status finish();

  void note(std::string_view text);
  void error(const Error& error);
  // For the libraries: details with --verbose, notes unless --quiet, warnings always.
  Log log();

  // One line that the next one replaces; nothing if standard error is no terminal.
  void progress(std::string_view line);
  bool shows_progress() const { return shows_progress_; }
  void clear_progress();

  std::stop_token stopped() const { return stop_.get_token(); }
  std::stop_source& stop_source() { return stop_; }

 private:
  void write_error_line(std::string_view prefix, std::string_view text);

  std::stop_source stop_;
  std::mutex error_stream_;
  bool verbose_ = false, quiet_ = false;
  bool output_is_terminal_ = false, shows_progress_ = false, colours_ = false;
  bool progress_shown_ = false;
  std::optional<int> write_errno_;
};

// `text` on one line and without control characters: nothing that a file's name or content can draw on a terminal.
std::string one_line(std::string_view text);

// A path as a person would type it here: relative below this folder, ~ below their home. On one line.
std::string shown_path(std::string_view path);

}  // namespace phial::cli

// Lines from a person: edited, with history, through libedit on a terminal; plain lines from anything else.
//
// One object in the program. Threads: one.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace phial::cli {

class LineEditor {
 public:
  // `history_file`: read now and written as lines come; nothing is written if standard input is no terminal.
  explicit LineEditor(std::filesystem::path history_file);
  ~LineEditor();

  bool is_interactive() const { return is_interactive_; }

  enum class Ended { kNo, kEndOfInput, kInterrupted };
  struct Line {
    std::string text;  // without its end
    Ended ended = Ended::kNo;
  };
  Line read(const std::string& prompt);

  void remember(const std::string& line);

 private:
  struct Terminal;
  bool is_interactive_ = false;
  std::unique_ptr<Terminal> terminal_;
};

}  // namespace phial::cli

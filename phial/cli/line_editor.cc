#include "phial/cli/line_editor.h"

#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cwchar>
#include <system_error>

#include "phial/cli/interrupt.h"

namespace phial::cli {
namespace {

constexpr int kHistoryLines = 1000;

// One character of standard input. libedit's own reader starts over after a signal; ours lets Ctrl-C end the line.
int read_character(EditLine*, wchar_t* into) {
  std::mbstate_t state{};
  for (;;) {
    if (!Interrupt::wait_to_read(STDIN_FILENO)) return -1;
    char byte = 0;
    const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0 ? 0 : -1;
    const size_t length = std::mbrtowc(into, &byte, 1, &state);
    if (length == static_cast<size_t>(-2)) continue;  // the character goes on
    if (length == static_cast<size_t>(-1)) *into = L'?';
    return 1;
  }
}

}  // namespace

struct LineEditor::Terminal {
  EditLine* editor = nullptr;
  History* history = nullptr;
  std::filesystem::path history_file;
  std::string prompt;

  ~Terminal() {
    if (history != nullptr) ::history_end(history);
    if (editor != nullptr) ::el_end(editor);
  }
  static char* show_prompt(EditLine* editor) {
    Terminal* self = nullptr;
    ::el_get(editor, EL_CLIENTDATA, &self);
    return self->prompt.data();
  }
};

LineEditor::LineEditor(std::filesystem::path history_file) {
  is_interactive_ = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  if (!is_interactive_) return;
  if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
  terminal_ = std::make_unique<Terminal>();
  terminal_->history_file = std::move(history_file);
  terminal_->history = ::history_init();
  terminal_->editor = ::el_init("phial", stdin, stdout, stderr);
  if (terminal_->editor == nullptr || terminal_->history == nullptr) {
    terminal_.reset();
    return;
  }
  HistEvent event;
  ::history(terminal_->history, &event, H_SETSIZE, kHistoryLines);
  ::history(terminal_->history, &event, H_SETUNIQUE, 1);
  ::history(terminal_->history, &event, H_LOAD, terminal_->history_file.c_str());
  ::el_set(terminal_->editor, EL_CLIENTDATA, terminal_.get());
  ::el_set(terminal_->editor, EL_PROMPT, &Terminal::show_prompt);
  ::el_set(terminal_->editor, EL_EDITOR, "emacs");
  ::el_set(terminal_->editor, EL_SIGNAL, 0);
  ::el_set(terminal_->editor, EL_HIST, ::history, terminal_->history);
  ::el_set(terminal_->editor, EL_GETCFN, &read_character);
  ::el_source(terminal_->editor, nullptr);
}

LineEditor::~LineEditor() = default;

LineEditor::Line LineEditor::read(const std::string& prompt) {
  Line line;
  if (terminal_) {
    terminal_->prompt = prompt;
    int count = 0;
    const char* text = ::el_gets(terminal_->editor, &count);
    if (text == nullptr || count <= 0) {
      line.ended = Interrupt::happened() ? Ended::kInterrupted : Ended::kEndOfInput;
      ::el_reset(terminal_->editor);
      return line;
    }
    line.text.assign(text, static_cast<size_t>(count));
  } else {
    for (;;) {
      if (!Interrupt::wait_to_read(STDIN_FILENO)) {
        line.ended = Ended::kInterrupted;
        return line;
      }
      char byte = 0;
      const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        if (line.text.empty()) line.ended = Ended::kEndOfInput;
        return line;
      }
      if (byte == '\n') return line;
      line.text += byte;
    }
  }
  while (line.text.ends_with('\n') || line.text.ends_with('\r')) line.text.pop_back();
  return line;
}

void LineEditor::remember(const std::string& line) {
  if (!terminal_ || line.empty()) return;
  HistEvent event;
  ::history(terminal_->history, &event, H_ENTER, line.c_str());
  std::error_code ignored;
  std::filesystem::create_directories(terminal_->history_file.parent_path(), ignored);
  ::history(terminal_->history, &event, H_SAVE, terminal_->history_file.c_str());
}

}  // namespace phial::cli

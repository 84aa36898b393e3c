#include "phial/cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/rag/graphemes.h"

namespace phial::cli {
namespace {

// Writes all of it; the errno if that fails.
std::optional<int> write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return std::nullopt;
}

bool says_terminal(int descriptor) {
  const char* terminal = std::getenv("TERM");
  return ::isatty(descriptor) == 1 && (terminal == nullptr || std::string_view(terminal) != "dumb");
}

// 0: it is no terminal, or one that does not tell.
int columns_of(int descriptor) {
  winsize size{};
  return ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace

Console::Console(std::stop_source stop) : stop_(std::move(stop)) {
  const char* no_color = std::getenv("NO_COLOR");
  const bool plain = no_color != nullptr && *no_color != '\0';
  output_is_terminal_ = ::isatty(STDOUT_FILENO) == 1;
  shows_progress_ = says_terminal(STDERR_FILENO) && !plain;
  colours_ = says_terminal(STDOUT_FILENO) && !plain;
}

int Console::output_columns() const { return output_is_terminal_ ? columns_of(STDOUT_FILENO) : 0; }

void Console::write(std::string_view text) {
  if (write_errno_) return;
  clear_progress();
  write_errno_ = write_all(STDOUT_FILENO, text);
  if (write_errno_) stop_.request_stop();
}

Status Console::finish() {
  clear_progress();
  if (!write_errno_) return ok();
  if (*write_errno_ == EPIPE) return Error{Code::kCancelled, "the reader of standard output has left", ""};
  return Error{Code::kIo,
               std::string("the result could not be written: ") + std::strerror(*write_errno_) + " (standard output)",
               "name another place, or make room"};
}

void Console::write_error_line(std::string_view prefix, std::string_view text) {
  clear_progress();
  const std::lock_guard lock(error_stream_);
  // If standard error is closed there is nobody to tell.
  (void)write_all(STDERR_FILENO, std::string(prefix) + one_line(text) + "\n");
}

void Console::note(std::string_view text) {
  if (!quiet_) write_error_line("phial: ", text);
}

void Console::error(const Error& error) { write_error_line("phial: error: ", error.text()); }

Log Console::log() {
  return [this](Severity severity, std::string_view text) {
    if (severity == Severity::kWarning) {
      write_error_line("phial: warning: ", text);
    } else if (severity == Severity::kNote ? !quiet_ : verbose_) {
      write_error_line("phial: ", text);
    }
  };
}

void Console::progress(std::string_view line) {
  if (!shows_progress_ || quiet_) return;
  const std::string whole = one_line(line);
  const int columns = columns_of(STDERR_FILENO);
  const auto room = static_cast<size_t>(columns > 0 ? columns - 1 : 79);
  const std::lock_guard lock(error_stream_);
  progress_shown_ = true;
  (void)write_all(STDERR_FILENO, "\r\033[K" + whole.substr(0, rag::grapheme_floor(whole, room)));
}

void Console::clear_progress() {
  const std::lock_guard lock(error_stream_);
  if (!progress_shown_) return;
  progress_shown_ = false;
  (void)write_all(STDERR_FILENO, "\r\033[K");
}

std::string one_line(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const DecodedChar next = decode_utf8(text, at);
    const char32_t c = next.code_point;
    const bool control = c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
                         (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029;
    if (control) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      append_utf8(out, c);
    }
    at += static_cast<size_t>(next.length);
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string shown_path(std::string_view path) {
  std::error_code error;
  const std::filesystem::path here = std::filesystem::current_path(error);
  const char* home = std::getenv("HOME");
  std::string shown(path);
  for (const auto& [folder, instead] :
       {std::pair<std::string, std::string>{error ? "" : here.string(), ""}, {home == nullptr ? "" : home, "~/"}}) {
    if (folder.size() < 2 || !path.starts_with(folder + "/")) continue;
    shown = instead + std::string(path.substr(folder.size() + 1));
    break;
  }
  return one_line(shown);
}

}  // namespace phial::cli

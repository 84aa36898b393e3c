#include "phial/cli/input.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "phial/base/mapped_file.h"

namespace phial::cli {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 30;

Result<std::string> read_stream(int descriptor, const std::string& name) {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(descriptor, buffer, sizeof buffer);
    if (got == 0) return text;
    if (got < 0) {
      if (errno == EINTR) return Error{Code::kCancelled, "stopped while reading (" + name + ")", ""};
      return Error{Code::kIo, std::string("cannot read: ") + std::strerror(errno) + " (" + name + ")",
                   "give a text that can be read"};
    }
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > kMaxBytes) {
      return Error{Code::kOutOfRange, "more than 1 GiB came in (" + name + ")", "give less text at once"};
    }
  }
}

Result<std::string> read_standard_input() { return read_stream(STDIN_FILENO, "standard input"); }

}  // namespace

Result<std::string> read_input_file(const std::string& path) {
  std::error_code error;
  const auto kind = std::filesystem::status(path, error).type();
  // What a shell's <(...) and /dev/stdin are.
  if (kind != std::filesystem::file_type::fifo && kind != std::filesystem::file_type::character) {
    return read_text_file(path, kMaxBytes);
  }
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return Error{Code::kIo, std::string("cannot open: ") + std::strerror(errno) + " (" + path + ")", "check the path"};
  }
  auto text = read_stream(descriptor, path);
  ::close(descriptor);
  return text;
}

void TextInput::describe(Flags& flags, std::string_view what, bool with_text_flag) {
  const std::string name(what);
  has_text_flag_ = with_text_flag;
  if (with_text_flag) flags.add("-p,--prompt", &text_, "TEXT", name);
  flags.add("-f,--file", &file_, "FILE", "a file that holds " + name).offers(Completes::kPath);
  flags.argument("-", &dash_, "a dash: read " + name + " from standard input");
}

void TextInput::take_word_as_text() {
  if (dash_.empty() || dash_ == "-" || text_) return;
  text_ = std::move(dash_);
  dash_.clear();
}

Status TextInput::check(bool needed) const {
  if (!dash_.empty() && dash_ != "-") {
    return Error{Code::kInvalid, "'" + dash_ + "' is one word too many", "give one of " + ways() + " (standard input)"};
  }
  if (int{text_.has_value()} + int{file_.has_value()} + int{!dash_.empty()} > 1) {
    return Error{Code::kInvalid, "two texts were given", "give one of " + ways()};
  }
  if (!given() && (needed || ::isatty(STDIN_FILENO) == 1)) {
    return Error{Code::kInvalid, "no text was given", "give one of " + ways() + " (standard input)"};
  }
  return ok();
}

Result<std::string> TextInput::read() const {
  if (text_) return *text_;
  if (file_ && *file_ != "-") return read_input_file(*file_);
  return read_standard_input();
}

std::string TextInput::place() const {
  if (text_) return "--prompt";
  return file_ && *file_ != "-" ? *file_ : "standard input";
}

Result<std::vector<int32_t>> parse_ids(std::string_view list, std::string_view where, size_t pictures) {
  std::vector<int32_t> ids;
  const std::string_view between = " \t\r\n,[]";
  for (size_t at = list.find_first_not_of(between); at != std::string_view::npos;
       at = list.find_first_not_of(between, at)) {
    const size_t end = std::min(list.find_first_of(between, at), list.size());
    const std::string_view word = list.substr(at, end - at);
    int32_t id = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || stop != word.data() + word.size() || id < -static_cast<int64_t>(pictures)) {
      return Error{Code::kInvalid,
                   "'" + std::string(word.substr(0, 40)) + "' is no token id (" + std::string(where) + ")",
                   "ids are whole numbers from 0, separated by commas; -k is a token of the k-th --image"};
    }
    ids.push_back(id);
    at = end;
  }
  if (ids.empty())
    return Error{Code::kInvalid, "no token ids were given (" + std::string(where) + ")", "give at least one"};
  return ids;
}

Result<std::vector<int32_t>> read_ids(const std::string& list, size_t pictures) {
  if (!list.starts_with("@")) return parse_ids(list, "--ids", pictures);
  PHIAL_TRY(const std::string text, read_input_file(list.substr(1)));
  return parse_ids(text, list.substr(1), pictures);
}

Status check_ids(const std::optional<std::string>& list, size_t pictures) {
  if (!list || list->starts_with("@")) return ok();
  PHIAL_TRY(const auto ids, parse_ids(*list, "--ids", pictures));
  return ok();
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace phial::cli

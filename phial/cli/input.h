// What a person gives a verb to work on: a text from -p, -f or standard input, token ids from --ids.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/cli/flags.h"

namespace phial::cli {

// A file that a person names, whole; a pipe or a device too. kIo, kNotFound; kOutOfRange beyond 1 GiB.
Result<std::string> read_input_file(const std::string& path);

class TextInput {
 public:
  // `what`: "the prompt", for the help.
  void describe(Flags& flags, std::string_view what, bool with_text_flag = true);
  // A word that is not the dash is the text itself: `--decode 1,2,3`.
  void take_word_as_text();
  // At most one source. `needed`: standard input must be asked for with "-".
  Status check(bool needed) const;
  bool given() const { return text_ || file_ || !dash_.empty(); }
  // kIo, kNotFound; kOutOfRange beyond 1 GiB.
  Result<std::string> read() const;
  // Where the text stands, for messages: the file, "--prompt" or "standard input".
  std::string place() const;

 private:
  // The ways of giving a text that this verb has, for messages.
  std::string ways() const { return has_text_flag_ ? "-p TEXT, -f FILE and -" : "-f FILE and -"; }

  bool has_text_flag_ = true;
  std::optional<std::string> text_, file_;
  std::string dash_;
};

// "1,2,3", with spaces or brackets too, or "@FILE" that holds such a list. At least one id, none below 0 but those that
// stand for `pictures` pictures: -1, -2, ...
Result<std::vector<int32_t>> read_ids(const std::string& list, size_t pictures = 0);
// The list that stands on the command line is in order: a mistake there is the command line's.
Status check_ids(const std::optional<std::string>& list, size_t pictures = 0);
// The same for a text that is the list itself.
Result<std::vector<int32_t>> parse_ids(std::string_view list, std::string_view where, size_t pictures = 0);

// The lines of a text, without their ends ("\n" or "\r\n"); an end after the last line makes no further one.
std::vector<std::string> split_lines(std::string_view text);

}  // namespace phial::cli

// Runs the built program as a person or a script would, and tells what came of it.
#pragma once

#include <csignal>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "phial/base/temp_folder_for_test.h"

namespace phial::tests {

struct Finished {
  int status = -1;  // exit status; 128 + signal if a signal ended it
  std::string out, err;
};

struct RunOptions {
  std::string input = {};                       // for standard input
  std::vector<std::string> environment = {};    // "NAME=value", beside PHIAL_HOME and a plain PATH, HOME, TERM
  std::optional<std::string> output_file = {};  // standard output goes there (/dev/full)
  bool close_output = false;                    // as with >&- in a shell
  int output_columns = 0;                       // standard output is a terminal this wide; its "\r\n" are "\n" in out
  // That terminal is standard input, too: `input` is typed once it shows this and takes keys.
  std::optional<std::string> typed_when = {};
  bool error_is_terminal = false;               // standard error is a terminal of 80 columns; what it saw is in err
  std::optional<std::string> signal_when = {};  // send `signal` once standard output or error holds this text
  int signal = SIGINT;
};

// An empty PHIAL_HOME of its own, with the default models in it if PHIAL_MODELS names them; removed at the end.
class Home {
 public:
  Home();

  const std::filesystem::path& path() const { return folder_.path(); }
  Finished run(const std::vector<std::string>& words, const RunOptions& options = {}) const;
  // A file in this home's folder `files`.
  std::filesystem::path write(const std::string& name, const std::string& text) const;

 private:
  TempFolder folder_;
};

std::string testdata(const std::string& name);

// The model that most tests run: phi3-mini-like, as the folder of Hugging Face and as GGUF.
inline const std::string kFolder = testdata("golden/phi3-mini-like");
inline const std::string kModel = kFolder + "/model.gguf";

}  // namespace phial::tests

// `phial train` is a program of its own, phial-train, because it brings libtorch along: this one takes its place.

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "phial/cli/home.h"
#include "phial/cli/verbs.h"

namespace phial::cli {

Result<int> start_training_program(std::span<const std::string> words) {
  const std::string program = program_beside("phial-train").string();
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  // libtorch's threads meet a thousand times a step. Where they spin, and anything else wants a core, each meeting
  // takes a turn of the scheduler: 25 times slower was measured; where they sleep, an idle machine loses nothing.
  ::setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);
  ::execv(program.c_str(), argv.data());  // returns only if it failed
  if (errno == ENOENT) {
    return Error{Code::kNotFound, "this build cannot train (" + program + ")",
                 "build it with 'make train': it is then beside phial in build/release/bin"};
  }
  return Error{Code::kIo, "cannot start: " + std::generic_category().message(errno) + " (" + program + ")",
               "build it again with 'make train'"};
}

}  // namespace phial::cli

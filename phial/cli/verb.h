// A verb of the program: its place in the table (main.cc) and the command that runs it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/cli/console.h"
#include "phial/cli/flags.h"

namespace phial::cli {

// One run of a verb: its options are its members.
class Command {
 public:
  virtual ~Command() = default;
  virtual void describe(Flags& flags) = 0;
  // What single flags cannot know: which exclude each other. An error here is the person's (exit status 2).
  virtual Status check() { return ok(); }
  virtual Status run(Console& console) = 0;
};

// What every verb has: how much is told on standard error.
struct Messages {
  bool verbose = false, quiet = false;
};
void describe(Command& command, Messages& messages, Flags& flags);

template <class T>
std::unique_ptr<Command> make_command() {
  return std::make_unique<T>();
}

struct Verb {
  const char* name;
  const char* summary;                           // one line
  const char* text;                              // what else a person should know; may be empty
  const char* example;                           // one or more command lines, each on a line of its own
  std::unique_ptr<Command> (*make)() = nullptr;  // null: it has verbs of its own, or another program runs it
  std::span<const Verb> verbs = {};
  // Gives the words behind the verb, unread, to the program that has it. Returns the exit status.
  Result<int> (*hand_over)(std::span<const std::string> words) = nullptr;
};

// All verbs as "ask", "library list", ... with their makers; the order of the table.
struct NamedVerb {
  std::string name;
  const Verb* verb;
};
std::vector<NamedVerb> runnable_verbs(std::span<const Verb> table);

// Runs a whole command line (without the program's name). Returns the exit status.
int run_program(std::span<const Verb> table, std::span<const std::string> words, Console& console);

}  // namespace phial::cli

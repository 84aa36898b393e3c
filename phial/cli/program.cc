// From a command line to an exit status: finds the verb, parses, runs, says what went wrong in one line.
#include <algorithm>
#include <array>

#include "phial/cli/help.h"
#include "phial/cli/interrupt.h"
#include "phial/cli/verb.h"
#include "phial/cli/version.h"

namespace phial::cli {
namespace {

enum ExitStatus { kDone = 0, kFailed = 1, kWrongCommandLine = 2, kStopped = 130 };

// Planned, and named in the documents: the answer says that this version has none.
constexpr std::array<std::string_view, 2> kLater = {"serve", "eval"};

int wrong(Console& console, const Error& error) {
  console.error(error);
  return kWrongCommandLine;
}

int show(Console& console, std::string_view text) {
  console.write(text);
  if (const Status written = console.finish(); !written) {
    if (written.error().code != Code::kCancelled) console.error(written.error());
    return kFailed;
  }
  return kDone;
}

Error unknown_verb(std::string_view path, std::string_view word, std::span<const Verb> verbs) {
  const std::string prefix = path.empty() ? "phial" : "phial " + std::string(path);
  if (path.empty() && std::ranges::find(kLater, word) != kLater.end()) {
    return Error{Code::kUnsupported, "this version has no '" + std::string(word) + "' (phial " + version() + ")",
                 "'phial --help' lists what it has"};
  }
  std::vector<std::string> names;
  for (const Verb& verb : verbs) names.emplace_back(verb.name);
  const auto meant = nearest(word, names);
  return Error{Code::kInvalid, "'" + prefix + "' has no command '" + std::string(word) + "'",
               meant ? "did you mean '" + *meant + "'?" : "'" + prefix + " --help' lists them"};
}

int run_verb(const std::string& path, const Verb& verb, std::span<const std::string> words, Console& console) {
  const auto command = verb.make();
  Flags flags;
  Messages messages;
  describe(*command, messages, flags);
  const auto parsed = parse(path, flags, words);
  if (!parsed) return wrong(console, parsed.error());
  if (parsed->wants_help) return show(console, help_text(path, verb));
  console.set_verbose(messages.verbose);
  console.set_quiet(messages.quiet);
  if (const Status chosen = check_instruction_set(); !chosen) return wrong(console, chosen.error());
  if (const Status checked = command->check(); !checked) return wrong(console, checked.error());

  Status done = command->run(console);
  const Status written = console.finish();
  if (!written) {
    if (written.error().code == Code::kCancelled) return kFailed;  // the reader left: nobody is there to be told
    done = written;
  }
  if (Interrupt::happened() && (done || done.error().code == Code::kCancelled)) return kStopped;
  if (done) return kDone;
  console.error(done.error());
  return kFailed;
}

int hand_over(const Verb& verb, std::span<const std::string> words, Console& console) {
  const auto status = verb.hand_over(words);
  if (status) return *status;
  console.error(status.error());
  return kFailed;
}

void collect(const std::string& prefix, std::span<const Verb> table, std::vector<NamedVerb>& into) {
  for (const Verb& verb : table) {
    const std::string path = prefix.empty() ? verb.name : prefix + " " + verb.name;
    if (verb.make != nullptr) into.push_back({path, &verb});
    collect(path, verb.verbs, into);
  }
}

}  // namespace

void describe(Command& command, Messages& messages, Flags& flags) {
  command.describe(flags);
  flags.group("Messages");
  flags.add("-v,--verbose", messages.verbose, "tell more on standard error: the memory plan, timings, what was chosen");
  flags.add("-q,--quiet", messages.quiet, "tell only warnings and errors on standard error");
}

std::vector<NamedVerb> runnable_verbs(std::span<const Verb> table) {
  std::vector<NamedVerb> all;
  collect("", table, all);
  return all;
}

int run_program(std::span<const Verb> table, std::span<const std::string> words, Console& console) {
  std::string path;
  const Verb* group = nullptr;
  std::span<const Verb> verbs = table;
  for (;;) {
    if (words.empty()) {
      // "phial models": a group that can list what it is about does so when nothing else is asked.
      const auto lists = std::ranges::find(verbs, std::string_view("list"), &Verb::name);
      if (group != nullptr && lists != verbs.end()) return run_verb(path + " list", *lists, words, console);
      console.error({Code::kInvalid,
                     "no command was given" + (path.empty() ? std::string() : " after 'phial " + path + "'"),
                     "'phial " + (path.empty() ? "" : path + " ") + "--help' lists them"});
      return kWrongCommandLine;
    }
    const std::string& word = words.front();
    if (word == "help" && path.empty() && words.size() > 1) {  // "phial help models add": "phial models add --help"
      std::vector<std::string> about(words.begin() + 1, words.end());
      about.emplace_back("--help");
      return run_program(table, about, console);
    }
    if (word == "--help" || word == "-h" || word == "help") return show(console, overview(path, group, verbs));
    if (group == nullptr && (word == "--version" || word == "-V")) {
      if (const Status chosen = check_instruction_set(); !chosen) return wrong(console, chosen.error());
      return show(console, version_text());
    }
    const auto found = std::ranges::find_if(verbs, [&](const Verb& verb) { return word == verb.name; });
    if (found == verbs.end()) {
      if (word.starts_with("-")) {
        const auto meant = nearest(word, std::vector<std::string>{"--help", "--version"});
        return wrong(console, {Code::kInvalid, "'" + word + "' stands where a command is wanted",
                               meant ? "did you mean " + *meant + "?"
                                     : "'phial " + (path.empty() ? "" : path + " ") + "--help' lists them"});
      }
      return wrong(console, unknown_verb(path, word, verbs));
    }
    path += (path.empty() ? "" : " ") + word;
    words = words.subspan(1);
    if (found->make != nullptr) return run_verb(path, *found, words, console);
    if (found->hand_over != nullptr) return hand_over(*found, words, console);
    group = &*found;
    verbs = found->verbs;
  }
}

}  // namespace phial::cli

// Completion scripts for bash, zsh and fish, written from the table of verbs.
//
// bash and zsh get one function with a case for each verb; names of models and libraries are asked of phial itself when
// the key is pressed. Those, and names of files, are taken line by line, never as words that a shell would expand.
#include <algorithm>

#include "phial/cli/help.h"

namespace phial::cli {
namespace {

struct Completion {
  std::string path;
  const Verb* verb = nullptr;
  std::vector<Flag> flags;
};

std::vector<Completion> completions_of(std::span<const Verb> table) {
  std::vector<Completion> all;
  for (const auto& [path, verb] : runnable_verbs(table)) {
    const auto command = verb->make();
    Messages messages;
    Flags flags;
    describe(*command, messages, flags);
    all.push_back({path, verb, flags.all()});
  }
  return all;
}

// In single quotes for a shell.
std::string in_shell_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string names_of(const Flag& flag, char separator) {
  std::string out;
  for (const std::string& name : flag.names) out += (out.empty() ? "" : std::string(1, separator)) + name;
  return out;
}

std::string choices_of(const Flag& flag) {
  std::string words;
  for (const std::string& choice : flag.choices) words += (words.empty() ? "" : " ") + choice;
  return words;
}

// The verb whose list holds the values of a flag; empty: none does.
std::string lister_of(const Flag& flag) {
  if (flag.completes == Completes::kModel) return "models";
  if (flag.completes == Completes::kLibrary) return "library";
  return "";
}

// Commands of the script that offer the values of a flag, or of an argument.
std::string offers(const Flag& flag) {
  if (!flag.choices.empty()) return "_phial_words " + in_shell_quotes(choices_of(flag));
  const std::string lister = lister_of(flag);
  if (lister.empty()) return "_phial_files";
  const bool may_be_a_path = flag.is_positional() || flag.completes == Completes::kModel;
  return "_phial_names " + lister + (may_be_a_path ? "; _phial_files" : "");
}

std::string verbs_in(std::span<const Verb> verbs) {
  std::string out;
  for (const Verb& verb : verbs) out += (out.empty() ? "" : " ") + std::string(verb.name);
  return out;
}

constexpr const char* kBashParts =
    "_phial_add() {\n"
    "  local line\n"
    "  while IFS= read -r line; do\n"
    "    if [[ \"$line\" == \"$plain\"* ]]; then COMPREPLY+=(\"$line\"); fi\n"
    "  done\n"
    "}\n"
    "_phial_words() { _phial_add < <(printf '%s\\n' \"$1\" | tr ' ' '\\n'); }\n"
    "_phial_names() { _phial_add < <(phial \"$1\" list --names 2>/dev/null); }\n"
    "_phial_files() { _phial_add < <(compgen -f -- \"$plain\"); }\n";

// The body of the function that completes, which wants kBashParts.
std::string bash_body(std::span<const Verb> table) {
  std::string out =
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}\n"
      "  local plain=${word//\\\\/}; plain=${plain#[\\\"\\']}\n"  // as typed it may be quoted, or have escapes
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then _phial_words '" +
      verbs_in(table) + " --help --version'; return; fi\n";
  for (const Verb& verb : table) {
    if (verb.verbs.empty()) continue;
    out += "  if [ \"$verb\" = " + std::string(verb.name) +
           " ]; then\n"
           "    if [ \"$COMP_CWORD\" -eq 2 ]; then _phial_words '" +
           verbs_in(verb.verbs) +
           "'; return; fi\n"
           "    verb=\"$verb ${COMP_WORDS[2]}\"\n  fi\n";
  }
  out += "  case \"$verb\" in\n";
  for (const Completion& one : completions_of(table)) {
    out += "  " + in_shell_quotes(one.path) + ")\n    case \"$before\" in\n";
    std::string all, arguments = "_phial_files";
    for (const Flag& flag : one.flags) {
      if (flag.is_positional()) {
        if (!flag.choices.empty() || !lister_of(flag).empty()) arguments = offers(flag);
        continue;
      }
      all += names_of(flag, ' ') + " ";
      if (!flag.is_switch()) out += "    " + names_of(flag, '|') + ") " + offers(flag) + "; return ;;\n";
    }
    out.append("    esac\n    case \"$word\" in\n    -*) _phial_words '").append(all).append("--help' ;;\n    *) ");
    out.append(arguments).append(" ;;\n    esac ;;\n");
  }
  return out + "  esac\n";
}

std::string bash_script(std::span<const Verb> table) {
  return "# phial(1) completion for bash; made by 'phial completions bash'\n" + std::string(kBashParts) +
         "_phial() {\n" + bash_body(table) + "}\ncomplete -o filenames -F _phial phial\n";
}

// zsh runs bash's function through its own compatibility layer: at once when the file is autoloaded as _phial, from
// the next time on when it is sourced.
std::string zsh_script(std::span<const Verb> table) {
  return "#compdef phial\n# phial(1) completion for zsh; made by 'phial completions zsh'\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         std::string(kBashParts) + "_phial_bash() {\n" + bash_body(table) +
         "}\nif [ \"$funcstack[1]\" = _phial ]; then\n  _bash_complete -o filenames -F _phial_bash\nelse\n"
         "  complete -o filenames -F _phial_bash phial\nfi\n";
}

std::string fish_script(std::span<const Verb> table) {
  std::string out = "# phial(1) completion for fish; made by 'phial completions fish'\n";
  for (const Verb& verb : table) {
    out += "complete -c phial -n __fish_use_subcommand -f -a " + std::string(verb.name) + " -d " +
           in_shell_quotes(verb.summary) + "\n";
    for (const Verb& inner : verb.verbs) {
      out += "complete -c phial -n '__fish_seen_subcommand_from " + std::string(verb.name) + "' -f -a " +
             std::string(inner.name) + " -d " + in_shell_quotes(inner.summary) + "\n";
    }
  }
  for (const Completion& one : completions_of(table)) {
    std::string condition;
    std::string word;
    for (const char c : one.path + " ") {
      if (c != ' ') {
        word += c;
        continue;
      }
      condition += (condition.empty() ? "" : "; and ") + std::string("__fish_seen_subcommand_from ") + word;
      word.clear();
    }
    for (const Flag& flag : one.flags) {
      const std::string lister = lister_of(flag);
      const std::string offered = lister.empty() ? choices_of(flag) : "(phial " + lister + " list --names 2>/dev/null)";
      if (flag.is_positional() && offered.empty()) continue;
      out += "complete -c phial -n " + in_shell_quotes(condition);
      for (const std::string& name : flag.names) {
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (!flag.is_switch()) {
        out += offered.empty() ? " -r" : (flag.is_positional() ? " -f -a " : " -x -a ") + in_shell_quotes(offered);
      }
      out += " -d " + in_shell_quotes(flag.help) + "\n";
    }
  }
  return out;
}

}  // namespace

Result<std::string> completion_script(std::span<const Verb> table, std::string_view shell) {
  if (shell == "bash") return bash_script(table);
  if (shell == "zsh") return zsh_script(table);
  if (shell == "fish") return fish_script(table);
  return Error{Code::kInvalid, "no completions for '" + std::string(shell) + "'", "name bash, zsh or fish"};
}

}  // namespace phial::cli

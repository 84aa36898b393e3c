#include "phial/cli/help.h"

#include <algorithm>
#include <sstream>

namespace phial::cli {
namespace {

constexpr size_t kHelpWidth = 96;
constexpr size_t kHelpColumn = 30;

// `text` wrapped to the page, its lines after the first indented.
std::string wrapped(std::string_view text, size_t indent) {
  std::string out;
  size_t column = indent;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (!out.empty()) {
      if (column + 1 + word.size() > kHelpWidth) {
        out += "\n" + std::string(indent, ' ');
        column = indent;
      } else {
        out += ' ';
        ++column;
      }
    }
    out += word;
    column += word.size();
  }
  return out;
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : separator).append(word);
  return out;
}

// "-n, --max-tokens N"
std::string left_column(const Flag& flag) {
  if (flag.is_positional()) return flag.placeholder + (flag.is_repeated() ? " ..." : "");
  std::string out = joined(flag.names, ", ");
  if (flag.names.front().starts_with("--")) out = "    " + out;
  if (!flag.is_switch()) out += " " + flag.placeholder + (flag.is_repeated() && !flag.takes_one ? " ..." : "");
  return out;
}

std::string explanation(const Flag& flag) {
  std::string out = flag.help;
  if (!flag.choices.empty()) out += " (" + joined(flag.choices, ", ") + ")";
  if (!flag.default_text.empty()) out += " [" + flag.default_text + "]";
  return out;
}

std::string usage(std::string_view path, const std::vector<Flag>& flags) {
  std::string out = "phial " + std::string(path);
  bool optional_flags = false;
  for (const Flag& flag : flags) {
    if (flag.is_positional()) continue;
    if (flag.required) {
      out += " " + flag.shown_name() + " " + flag.placeholder;
    } else {
      optional_flags = true;
    }
  }
  if (optional_flags) out += " [FLAGS]";
  for (const Flag& flag : flags) {
    if (!flag.is_positional()) continue;
    const std::string word = flag.placeholder + (flag.is_repeated() ? " ..." : "");
    out += flag.required ? " " + word : " [" + word + "]";
  }
  return out;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// A verb's flags, bound to variables that only their defaults are read of.
struct Described {
  std::unique_ptr<Command> command;
  Messages messages;
  Flags flags;

  explicit Described(const Verb& verb) : command(verb.make()) { describe(*command, messages, flags); }
};

void add_rows(std::string& out, const std::vector<Flag>& flags) {
  std::string group;
  bool first = true;
  for (const bool positional : {true, false}) {
    for (const Flag& flag : flags) {
      if (flag.is_positional() != positional) continue;
      const std::string heading = positional ? "Arguments" : flag.group.empty() ? "Flags" : flag.group;
      if (first || heading != group) out += "\n" + heading + ":\n";
      first = false;
      group = heading;
      std::string row = "  " + left_column(flag);
      row += row.size() + 2 > kHelpColumn ? "\n" + std::string(kHelpColumn, ' ')
                                          : std::string(kHelpColumn - row.size(), ' ');
      out += row + wrapped(explanation(flag), kHelpColumn) + "\n";
    }
  }
}

// Text for roff: backslashes, leading dots and hyphens are its own language.
std::string roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_start = c == '\n';
  }
  return out;
}

std::string man_name(std::string_view path) {
  std::string name = "phial-" + std::string(path);
  std::ranges::replace(name, ' ', '-');
  return name;
}

std::string man_head(const std::string& name, std::string_view summary, std::string_view version) {
  std::string upper = name;
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return ".TH " + roff(upper) + " 1 \"\" \"Phial " + std::string(version) + "\"\n.SH NAME\n" + roff(name) + " \\- " +
         roff(summary) + "\n";
}

constexpr const char* kFiles =
    ".SH FILES\nModels and libraries are kept in $PHIAL_HOME, else $XDG_DATA_HOME/phial, else ~/.local/share/phial.\n"
    ".SH EXIT STATUS\n0 done; 1 it failed; 2 the command line was wrong; 130 stopped by Ctrl\\-C.\n";

}  // namespace

std::string overview(std::string_view path, const Verb* group, std::span<const Verb> verbs) {
  std::string out;
  const std::string prefix = path.empty() ? "phial" : "phial " + std::string(path);
  out += group == nullptr
             ? "phial: small language models on this machine; ask your own documents, offline, with citations\n"
             : prefix + ": " + group->summary + "\n";
  out += "\nUsage: " + prefix + " COMMAND [FLAGS]\n\nCommands:\n";
  for (const Verb& verb : verbs) {
    std::string row = "  " + std::string(verb.name);
    row.resize(std::max<size_t>(row.size() + 2, 16), ' ');
    out += row + wrapped(verb.summary, 16) + "\n";
  }
  if (group == nullptr) {
    out +=
        "\nFlags:\n  -h, --help      this text; 'phial COMMAND --help' tells a command's flags, with an example\n"
        "      --version   the version, and the instruction sets compiled in and chosen\n"
        "\nExample:\n  phial ask --docs ~/Documents \"When does the lease end?\"\n"
        "\nModels and libraries are kept in $PHIAL_HOME, else $XDG_DATA_HOME/phial, else ~/.local/share/phial.\n";
  } else {
    if (*group->text != '\0') out += "\n" + wrapped(group->text, 0) + "\n";
    out += "\nExample:\n";
    for (const std::string& line : lines_of(group->example)) out += "  " + line + "\n";
  }
  return out;
}

std::string help_text(std::string_view path, const Verb& verb) {
  const Described described(verb);
  const Flags& flags = described.flags;
  std::string out =
      "phial " + std::string(path) + ": " + verb.summary + "\n\nUsage: " + usage(path, flags.all()) + "\n";
  if (*verb.text != '\0') out += "\n" + wrapped(verb.text, 0) + "\n";
  add_rows(out, flags.all());
  out += "\nExample:\n";
  for (const std::string& line : lines_of(verb.example)) out += "  " + line + "\n";
  return out;
}

std::string program_man_page(std::span<const Verb> table, std::string_view version) {
  std::string out =
      man_head("phial", "small language models on this machine, and answers from your own documents", version);
  out += ".SH SYNOPSIS\n.B phial\n.I COMMAND\n[FLAGS]\n.SH COMMANDS\n";
  for (const auto& [path, verb] : runnable_verbs(table)) {
    out += ".TP\n.B " + roff(path) + "\n" + roff(verb->summary) + ". See " + roff(man_name(path)) + "(1).\n";
  }
  return out + kFiles;
}

std::string verb_man_page(std::string_view path, const Verb& verb, std::string_view version) {
  const Described described(verb);
  const Flags& flags = described.flags;
  std::string out = man_head(man_name(path), verb.summary, version);
  out += ".SH SYNOPSIS\n" + roff(usage(path, flags.all())) + "\n.SH DESCRIPTION\n";
  out += roff(*verb.text != '\0' ? verb.text : verb.summary) + "\n.SH OPTIONS\n";
  for (const Flag& flag : flags.all()) {
    std::string left = left_column(flag);
    left.erase(0, left.find_first_not_of(' '));
    out += ".TP\n.B " + roff(left) + "\n" + roff(explanation(flag)) + "\n";
  }
  out += ".SH EXAMPLE\n.nf\n";
  for (const std::string& line : lines_of(verb.example)) out += roff(line) + "\n";
  return out + ".fi\n" + kFiles;
}

}  // namespace phial::cli

// What a verb and its flags say about themselves: `--help`, the man page, the shell completions. One source, three
// forms.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "phial/cli/verb.h"

namespace phial::cli {

// `phial --help`, or that of a verb with verbs of its own ("library").
std::string overview(std::string_view path, const Verb* group, std::span<const Verb> verbs);
// `phial ask --help`. `path`: "ask", "library list".
std::string help_text(std::string_view path, const Verb& verb);

// roff: the page of the program, or of one verb.
std::string program_man_page(std::span<const Verb> table, std::string_view version);
std::string verb_man_page(std::string_view path, const Verb& verb, std::string_view version);

// shell: bash, zsh or fish.
Result<std::string> completion_script(std::span<const Verb> table, std::string_view shell);

}  // namespace phial::cli

// Which files of a folder are left out, by the rules of .gitignore.
//
// Source: the "pattern format" of gitignore(5): later rules win, '!' takes back, a slash at the start or in the middle
// ties a pattern to its folder, one at the end asks for a folder; '*', '?' and [a-z] stop at slashes, '**' does not.
// Threads: immutable once made.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace phial::rag {

// True if the whole of `path` fits `pattern`. Time is bounded by the product of their lengths.
bool glob_matches(std::string_view pattern, std::string_view path);

// A pattern as a person types it for --include, --exclude or a search filter: without a slash it fits a name at any
// depth, with one the path from its start or, if it is relative, from any folder.
bool filter_matches(std::string_view pattern, std::string_view path);

enum class Verdict { kNoRule, kIgnored, kKept };

// The rules of one file of patterns, for paths relative to its folder.
class IgnoreRules {
 public:
  explicit IgnoreRules(std::string_view file_text);

  Verdict judge(std::string_view relative_path, bool is_folder) const;

 private:
  struct Rule {
    std::string glob;
    bool keeps = false;  // "!"
    bool only_folders = false;
  };
  std::vector<Rule> rules_;
};

}  // namespace phial::rag

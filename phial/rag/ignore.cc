// A pattern is compiled into steps, and all positions of the path that the steps so far can reach are carried along
// (no backtracking, so no pattern is slow).
#include "phial/rag/ignore.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace phial::rag {
namespace {

struct Step {
  enum Kind : uint8_t { kLiteral, kAnyOne, kAnyRun, kSet, kAnyFolders, kAnything } kind = kLiteral;
  char literal = 0;
  bool negated = false;
  std::string set;  // pairs of first and last
};

using namespace std::string_view_literals;

struct NamedSet {
  std::string_view name;    // as in "[[:alpha:]]"
  std::string_view ranges;  // pairs of first and last
};
constexpr std::array<NamedSet, 12> kNamedSets = {{{"[:alpha:]"sv, "azAZ"sv},
                                                  {"[:digit:]"sv, "09"sv},
                                                  {"[:alnum:]"sv, "azAZ09"sv},
                                                  {"[:upper:]"sv, "AZ"sv},
                                                  {"[:lower:]"sv, "az"sv},
                                                  {"[:space:]"sv, "\t\r  "sv},
                                                  {"[:blank:]"sv, "\t\t  "sv},
                                                  {"[:punct:]"sv, "!/:@[`{~"sv},
                                                  {"[:xdigit:]"sv, "09afAF"sv},
                                                  {"[:graph:]"sv, "!~"sv},
                                                  {"[:print:]"sv, " ~"sv},
                                                  {"[:cntrl:]"sv, "\0\x1F\x7F\x7F"sv}}};

// '[' at `at`: the set and where it ends, or nothing if it is not closed (then '[' is a character).
size_t parse_set(std::string_view pattern, size_t at, Step& step) {
  size_t i = at + 1;
  step.kind = Step::kSet;
  if (i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^')) {
    step.negated = true;
    ++i;
  }
  for (bool first = true; i < pattern.size() && (first || pattern[i] != ']'); first = false) {
    const auto* const named = std::find_if(kNamedSets.begin(), kNamedSets.end(), [&](const NamedSet& one) {
      return pattern.substr(i).starts_with(one.name);
    });
    if (named != kNamedSets.end()) {
      step.set += named->ranges;
      i += named->name.size();
      continue;
    }
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    const char low = pattern[i++];
    char high = low;
    if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
      high = pattern[i + 1];
      i += 2;
    }
    step.set += low;
    step.set += high;
  }
  return i < pattern.size() ? i + 1 : std::string_view::npos;
}

// '*' at `at`, alone or with more after it: what it stands for, and where it ends.
size_t parse_stars(std::string_view pattern, size_t at, Step& step) {
  const size_t end = std::min(pattern.find_first_not_of('*', at), pattern.size());
  const bool is_folder = end - at > 1 && (at == 0 || pattern[at - 1] == '/');
  step.kind = Step::kAnyRun;
  if (is_folder && end == pattern.size()) step.kind = Step::kAnything;
  if (!is_folder || end == pattern.size() || pattern[end] != '/') return end;
  step.kind = Step::kAnyFolders;
  return end + 1;
}

std::vector<Step> compile(std::string_view pattern) {
  std::vector<Step> steps;
  for (size_t i = 0; i < pattern.size();) {
    Step step;
    if (pattern[i] == '*') {
      i = parse_stars(pattern, i, step);
    } else if (pattern[i] == '?') {
      step.kind = Step::kAnyOne;
      ++i;
    } else if (const size_t after = pattern[i] == '[' ? parse_set(pattern, i, step) : std::string_view::npos;
               after != std::string_view::npos) {
      i = after;
    } else {
      step = Step{};
      if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
      step.literal = pattern[i++];
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

// Git takes a set that is not closed, and a backslash with nothing after it, for what fits no name.
bool is_broken(std::string_view pattern) {
  for (size_t i = 0; i < pattern.size();) {
    Step step;
    const bool escapes = pattern[i] == '\\';
    if (escapes && i + 1 == pattern.size()) return true;
    i = pattern[i] == '[' ? parse_set(pattern, i, step) : i + (escapes ? 2 : 1);
    if (i == std::string_view::npos) return true;
  }
  return false;
}

bool in_set(const Step& step, char c) {
  for (size_t i = 0; i + 1 < step.set.size(); i += 2) {
    if (static_cast<unsigned char>(step.set[i]) <= static_cast<unsigned char>(c) &&
        static_cast<unsigned char>(c) <= static_cast<unsigned char>(step.set[i + 1])) {
      return !step.negated;
    }
  }
  return step.negated;
}

// reached[p]: the steps so far can take exactly the first p characters.
void advance(const Step& step, std::string_view path, std::vector<bool>& reached) {
  std::vector<bool> next(path.size() + 1);
  switch (step.kind) {
    case Step::kAnyRun:
      for (size_t p = 0; p <= path.size(); ++p) {
        next[p] = reached[p] || (p > 0 && next[p - 1] && path[p - 1] != '/');
      }
      break;
    case Step::kAnyFolders:
      for (size_t p = 0; p <= path.size(); ++p) {
        // Past p: either nothing was taken, or everything up to a slash.
        bool from_before = false;
        if (p > 0 && path[p - 1] == '/') {
          for (size_t q = 0; q < p && !from_before; ++q) from_before = reached[q];
        }
        next[p] = reached[p] || from_before;
      }
      break;
    case Step::kAnything:
      for (size_t p = 0, any = 0; p <= path.size(); ++p) {
        next[p] = any != 0;  // "a/**" is what lies in a, not a itself
        any |= static_cast<size_t>(reached[p]);
      }
      break;
    default:
      for (size_t p = 0; p < path.size(); ++p) {
        if (!reached[p]) continue;
        const char c = path[p];
        next[p + 1] = step.kind == Step::kLiteral ? c == step.literal
                                                  : c != '/' && (step.kind == Step::kAnyOne || in_set(step, c));
      }
  }
  reached = std::move(next);
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view path) {
  std::vector<bool> reached(path.size() + 1);
  reached[0] = true;
  for (const Step& step : compile(pattern)) advance(step, path, reached);
  return reached[path.size()];
}

bool filter_matches(std::string_view pattern, std::string_view path) {
  while (pattern.size() > 1 && pattern.ends_with('/')) pattern.remove_suffix(1);
  if (pattern.starts_with("./")) pattern.remove_prefix(2);
  const std::string inside = std::string(pattern) + "/**";
  if (pattern.starts_with('/')) return glob_matches(pattern, path) || glob_matches(inside, path);
  return glob_matches("**/" + std::string(pattern), path) || glob_matches("**/" + inside, path);
}

IgnoreRules::IgnoreRules(std::string_view file_text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (file_text.starts_with(kByteOrderMark)) file_text.remove_prefix(kByteOrderMark.size());
  for (size_t at = 0; at < file_text.size();) {
    const size_t end = std::min(file_text.find('\n', at), file_text.size());
    std::string_view line = file_text.substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    // Spaces at the end do not count unless escaped.
    while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    Rule rule;
    if (line.front() == '!') {
      rule.keeps = true;
      line.remove_prefix(1);
    }
    if (line.ends_with('/')) {
      rule.only_folders = true;
      line.remove_suffix(1);
    }
    if (line.empty() || is_broken(line)) continue;
    const bool is_tied = line.find('/') != std::string_view::npos;
    if (line.front() == '/') line.remove_prefix(1);
    rule.glob = is_tied ? std::string(line) : "**/" + std::string(line);
    rules_.push_back(std::move(rule));
  }
}

Verdict IgnoreRules::judge(std::string_view relative_path, bool is_folder) const {
  for (size_t i = rules_.size(); i-- > 0;) {
    const Rule& rule = rules_[i];
    if (rule.only_folders && !is_folder) continue;
    if (glob_matches(rule.glob, relative_path)) return rule.keeps ? Verdict::kKept : Verdict::kIgnored;
  }
  return Verdict::kNoRule;
}

}  // namespace phial::rag

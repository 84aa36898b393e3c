#include "phial/rag/scan.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "phial/base/descriptor.h"
#include "phial/base/mapped_file.h"
#include "phial/rag/ignore.h"

namespace phial::rag {
namespace {

// Folders that hold what programs made, not what a person wrote.
constexpr std::array<std::string_view, 8> kMachineFolders = {"node_modules", "__pycache__", "venv",  ".git",
                                                             ".hg",          ".svn",        ".venv", "lost+found"};
constexpr size_t kMaxIgnoreFileBytes = size_t{1} << 20;

struct RulesOfFolder {
  std::string folder;  // with a slash at the end
  IgnoreRules rules;
};
// The rules of a folder and, before them, of those above it.
using RuleChain = std::vector<std::shared_ptr<const RulesOfFolder>>;

struct Folder {
  std::string path;
  RuleChain rules;
};

int64_t mtime_ns(const struct stat& info) { return info.st_mtim.tv_sec * 1'000'000'000LL + info.st_mtim.tv_nsec; }

std::vector<std::string> names_in(const std::string& folder, int* failure) {
  std::vector<std::string> names;
  const auto close = [](DIR* stream) { closedir(stream); };
  const std::unique_ptr<DIR, decltype(close)> stream(opendir(folder.c_str()), close);
  *failure = stream ? 0 : errno;
  if (!stream) return names;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  *failure = errno;
  std::sort(names.begin(), names.end());
  return names;
}

// Of a folder or regular file: others, such as a pipe, may have no end.
Result<struct stat> look_at_root(const std::string& root) {
  struct stat info{};
  if (stat(root.c_str(), &info) != 0) {
    if (errno != ENOENT) return system_error(root, "look at it");
    return Error{Code::kNotFound, "no such file or folder (" + root + ")", "name a file or folder that exists"};
  }
  if (S_ISDIR(info.st_mode) || S_ISREG(info.st_mode)) return info;
  return Error{Code::kInvalid, "it is neither a file nor a folder (" + root + ")", "name a file or a folder"};
}

class Walk {
 public:
  Walk(const ScanOptions& options, std::stop_token cancel) : options_(options), cancel_(std::move(cancel)) {}

  Result<Scan> run(const std::string& root) {
    PHIAL_TRY(const struct stat info, look_at_root(root));
    if (!S_ISDIR(info.st_mode)) {
      scan_.files.push_back({root, info.st_size, mtime_ns(info)});
      return std::move(scan_);
    }
    entered_.emplace(info.st_dev, info.st_ino);
    open_.push_back({root, {}});
    // Linked folders come last, so that a folder is listed under its own name where both are inside.
    while (!open_.empty() || !linked_.empty()) {
      if (cancel_.stop_requested()) return Error{Code::kCancelled, "stopped while looking through " + root, ""};
      auto& queue = open_.empty() ? linked_ : open_;
      const Folder folder = std::move(queue.front());
      queue.pop_front();
      if (&queue == &linked_ && !enter(folder.path)) continue;
      visit(folder);
    }
    std::sort(scan_.files.begin(), scan_.files.end(),
              [](const ScannedFile& a, const ScannedFile& b) { return a.path < b.path; });
    return std::move(scan_);
  }

 private:
  void visit(const Folder& folder) {
    int failure = 0;
    const std::vector<std::string> names = names_in(folder.path, &failure);
    if (failure != 0) {
      scan_.problems.push_back({folder.path, std::strerror(failure)});
      return;
    }
    scan_.folders.push_back(folder.path);
    const std::string base = folder.path == "/" ? "/" : folder.path + "/";
    RuleChain rules = folder.rules;
    if (options_.ignore_files) add_rules(base, rules);
    for (const std::string& name : names) visit_entry(base + name, name, rules);
  }

  void add_rules(const std::string& base, RuleChain& rules) const {
    for (const char* name : {".gitignore", ".phialignore"}) {
      const auto text = read_text_file(base + name, kMaxIgnoreFileBytes);
      if (text) rules.push_back(std::make_shared<const RulesOfFolder>(RulesOfFolder{base, IgnoreRules(*text)}));
    }
  }

  void visit_entry(const std::string& path, const std::string& name, const RuleChain& rules) {
    struct stat link{};
    struct stat info{};
    if (lstat(path.c_str(), &link) != 0) return;  // gone since it was listed
    const bool is_link = S_ISLNK(link.st_mode);
    if (stat(path.c_str(), &info) != 0) {
      if (!is_link) scan_.problems.push_back({path, std::strerror(errno)});
      return;  // a link to nowhere
    }
    const bool is_folder = S_ISDIR(info.st_mode);
    if (!is_folder && !S_ISREG(info.st_mode)) return;
    if (is_left_out(path, name, is_folder, rules)) return;
    if (!is_folder) {
      if (is_included(path)) scan_.files.push_back({path, info.st_size, mtime_ns(info)});
    } else if (is_link) {
      linked_.push_back({path, rules});
    } else if (entered_.emplace(info.st_dev, info.st_ino).second) {
      open_.push_back({path, rules});
    }
  }

  bool enter(const std::string& path) {
    struct stat info{};
    return stat(path.c_str(), &info) == 0 && entered_.emplace(info.st_dev, info.st_ino).second;
  }

  bool is_left_out(const std::string& path, const std::string& name, bool is_folder, const RuleChain& rules) const {
    if (!options_.hidden && name.starts_with('.')) return true;
    if (is_folder && std::find(kMachineFolders.begin(), kMachineFolders.end(), name) != kMachineFolders.end())
      return true;
    for (const std::string& pattern : options_.exclude) {
      if (filter_matches(pattern, path)) return true;
    }
    for (size_t i = rules.size(); i-- > 0;) {
      const auto verdict = rules[i]->rules.judge(std::string_view(path).substr(rules[i]->folder.size()), is_folder);
      if (verdict != Verdict::kNoRule) return verdict == Verdict::kIgnored;
    }
    return false;
  }

  bool is_included(const std::string& path) const {
    return options_.include.empty() ||
           std::any_of(options_.include.begin(), options_.include.end(),
                       [&](const std::string& pattern) { return filter_matches(pattern, path); });
  }

  const ScanOptions& options_;
  std::stop_token cancel_;
  Scan scan_;
  std::deque<Folder> open_, linked_;
  std::set<std::pair<dev_t, ino_t>> entered_;
};

}  // namespace

Result<Scan> scan(const std::filesystem::path& root, const ScanOptions& options, std::stop_token cancel) {
  return Walk(options, std::move(cancel)).run(root.string());
}

Status check_root(const std::filesystem::path& root) {
  PHIAL_CHECKED(look_at_root(root.string()));
  return ok();
}

std::string absolute_path(const std::filesystem::path& path) {
  std::error_code failure;
  auto absolute = std::filesystem::absolute(path, failure);
  if (failure) absolute = path;
  std::string text = absolute.lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace phial::rag

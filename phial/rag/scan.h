// Walks folders and lists the files that belong into a library.
//
// Left out: hidden names, .git, node_modules and the like, what .gitignore and .phialignore files say, what `exclude`
// names; with `include`, everything else. Symbolic links are followed, but no folder is entered twice, so loops end and
// linked copies are not listed again. A path that the person names itself is never left out.
// Threads: any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "phial/base/result.h"

namespace phial::rag {

struct ScanOptions {
  std::vector<std::string> include, exclude;  // globs, see filter_matches()
  bool hidden = false;                        // hidden names too
  bool ignore_files = true;                   // heed .gitignore and .phialignore
};

struct ScannedFile {
  std::string path;  // absolute
  int64_t size = 0;
  int64_t mtime_ns = 0;
};

struct ScanProblem {
  std::string path;  // a folder or file that could not be looked at; nothing is known about what lies under it
  std::string message;
};

struct Scan {
  std::vector<ScannedFile> files;    // sorted by path
  std::vector<std::string> folders;  // entered ones, for a watch
  std::vector<ScanProblem> problems;
};

// `root`: absolute. What check_root() says of it, kCancelled.
Result<Scan> scan(const std::filesystem::path& root, const ScanOptions& options, std::stop_token cancel);

// kNotFound if it does not exist, kInvalid if it is neither a folder nor a regular file, kIo.
Status check_root(const std::filesystem::path& root);

// Absolute, without "." and "..", without a slash at the end; links stay as they are.
std::string absolute_path(const std::filesystem::path& path);

}  // namespace phial::rag

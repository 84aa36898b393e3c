#include "phial/base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

namespace phial {
namespace fs = std::filesystem;
Result<OutputFile> OutputFile::create(const std::filesystem::path& path) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (file.get() < 0) return system_error(path, "create");
  return OutputFile(path, std::move(file));
}

Result<OutputFile> OutputFile::overwrite(const std::filesystem::path& path, const std::filesystem::path& named) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0) return system_error(named, "create");
  return OutputFile(named, std::move(file));
}

Result<OutputFile> OutputFile::append(const std::filesystem::path& path, uint64_t keep) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error(path, "open");
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size < 0) return system_error(path, "write");
  if (static_cast<uint64_t>(size) < keep) {
    return Error{Code::kCorrupt,
                 "it has " + std::to_string(size) + " of the " + std::to_string(keep) + " bytes that stood there (" +
                     path.string() + ")",
                 "run the command again, from the beginning"};
  }
  const auto end = static_cast<off_t>(keep);
  if (::ftruncate(file.get(), end) != 0 || ::lseek(file.get(), end, SEEK_SET) < 0) return system_error(path, "write");
  return OutputFile(path, std::move(file));
}

Status OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(named_, "write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return ok();
}

Status OutputFile::finish() {
  // EINVAL: a pipe or a terminal has nothing to sync; EROFS: some devices say so.
  if (::fsync(file_.get()) != 0 && errno != EINVAL && errno != EROFS) return system_error(named_, "write");
  return ok();
}

Status replace_private_file(const fs::path& path, const std::function<Status(OutputFile& file)>& write) {
  std::error_code failed;
  const fs::path real = fs::exists(path, failed) ? fs::canonical(path, failed) : path;
  const fs::path& target = failed ? path : real;
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  struct stat old{};
  const bool is_there = ::stat(target.c_str(), &old) == 0;
  if (is_there && !S_ISREG(old.st_mode))
    return Error{Code::kInvalid, "it is no file (" + path.string() + ")", "name a file"};

  // Without a name until it is whole, where the file system can: then nothing is left of a run that is killed.
  std::string beside = (folder / ("." + target.filename().string() + ".part-XXXXXX")).string();
  Descriptor unnamed(::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  const bool has_no_name = unnamed.get() >= 0;
  Descriptor begun = has_no_name ? std::move(unnamed) : Descriptor(::mkostemp(beside.data(), O_CLOEXEC));
  if (begun.get() < 0) return system_error(path, "create");
  OutputFile file(path, std::move(begun));
  if (is_there) static_cast<void>(::fchmod(file.file_.get(), old.st_mode & 0777));  // refused: it stays private
  Status done = write(file);
  if (done) done = file.finish();
  if (done && has_no_name) {
    const std::string self = "/proc/self/fd/" + std::to_string(file.file_.get());
    beside.replace(beside.size() - 6, 6, std::to_string(::getpid()));
    ::unlink(beside.c_str());  // of a process that was killed between the next two lines
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, beside.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      return system_error(path, "replace");
    }
  }
  if (done && ::rename(beside.c_str(), target.c_str()) != 0) done = system_error(path, "replace");
  if (!done) ::unlink(beside.c_str());
  return done;
}

Status make_folders(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (!failed) return ok();
  return Error{Code::kIo, "cannot make the folder: " + failed.message() + " (" + folder.string() + ")",
               "name a place that can be written"};
}

Status check_is_new(const fs::path& target) {
  const fs::path place = place_of(target);
  std::error_code failed;
  if (!place.empty() && fs::symlink_status(place, failed).type() == fs::file_type::not_found) return ok();
  return Error{Code::kInvalid, "'" + target.string() + "' is there already", "name an output that is not"};
}

fs::path place_of(const fs::path& target) { return target.has_filename() ? target : target.parent_path(); }

fs::path partial_path(const fs::path& target) {
  const fs::path place = place_of(target);
  return place.parent_path() / ("." + place.filename().string() + ".part");
}

Error named_as(Error error, const fs::path& hidden, const fs::path& named) {
  const std::string name = hidden.string();
  for (size_t at = error.message.find(name); !name.empty() && at != std::string::npos;) {
    error.message.replace(at, name.size(), named.string());
    at = error.message.find(name, at + named.string().size());
  }
  return error;
}

Status write_beside(const fs::path& target, const std::function<Status(const fs::path& partial)>& write) {
  PHIAL_CHECKED(check_is_new(target));
  const fs::path place = place_of(target);
  std::error_code failed;
  const fs::path partial = partial_path(target);
  fs::remove_all(partial, failed);  // of a run that was killed
  Status done = write(partial);
  if (done) {
    fs::rename(partial, place, failed);
    if (!failed) return ok();
    done = Error{Code::kIo, "cannot put it in place: " + failed.message() + " (" + place.string() + ")",
                 "name another place"};
  }
  fs::remove_all(partial, failed);
  return named_as(std::move(done).error(), partial, place);
}

}  // namespace phial

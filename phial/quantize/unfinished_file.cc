#include "phial/quantize/unfinished_file.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "phial/base/mapped_file.h"
#include "phial/quantize/run_log.h"

namespace phial::quantize {
namespace fs = std::filesystem;

UnfinishedFile::UnfinishedFile(const fs::path& target, Json asked, Descriptor lock)
    : target_(place_of(target)),
      part_(partial_path(target_)),
      log_path_(part_.string() + ".log"),
      asked_(std::move(asked)),
      lock_(std::move(lock)) {}

Result<UnfinishedFile> UnfinishedFile::open(const fs::path& target, const Json& asked,
                                            std::span<const formats::NewTensor> tensors, int n_layers,
                                            bool has_calibration) {
  PHIAL_CHECKED(check_is_new(target));
  const fs::path log = partial_path(target).string() + ".log";
  Descriptor lock(::open(log.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.get() < 0) return system_error(target, "create");
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error(target, "lock");
    return Error{Code::kInvalid, "'" + target.string() + "' is being written by another process", "wait for it to end"};
  }
  // Another process may have put its file in place between the first look and the lock.
  if (const Status still = check_is_new(target); !still) {
    std::error_code unknown;
    fs::remove(log, unknown);
    return still.error();
  }
  UnfinishedFile file(target, asked, std::move(lock));
  LoggedRun run;
  if (const auto text = read_text_file(file.log_path_))
    run = read_run_log(*text, asked, tensors, n_layers, has_calibration);
  file.choices_ = std::move(run.choices);
  file.whole_ = std::move(run.whole);
  auto log_file = OutputFile::append(file.log_path_, run.bytes);
  if (!log_file) return file.named(std::move(log_file).error());
  file.log_ = *std::move(log_file);
  if (file.whole_.empty()) {
    std::error_code unknown;
    fs::remove_all(file.part_, unknown);
  }
  return file;
}

Status UnfinishedFile::write_line(const Json& line) {
  const std::string text = dump_json(line) + "\n";
  return log_->write(std::as_bytes(std::span(text)));
}

Status UnfinishedFile::choose(std::vector<Choice> choices) {
  choices_ = std::move(choices);
  return write_line(run_log_line(asked_, *choices_));
}

Status UnfinishedFile::add(std::span<const TensorReport> more) {
  for (const TensorReport& tensor : more) {
    PHIAL_CHECKED(write_line(run_log_line(tensor)));
    whole_.push_back(tensor);
  }
  return log_->finish();
}

Status UnfinishedFile::finish() {
  std::error_code failed;
  fs::rename(part_, target_, failed);
  if (failed) {
    return Error{Code::kIo, "cannot put it in place: " + failed.message() + " (" + target_.string() + ")",
                 "name another place"};
  }
  fs::remove(log_path_, failed);
  return ok();
}

Error UnfinishedFile::named(Error error) const {
  return named_as(named_as(std::move(error), log_path_, target_), part_, target_);
}

void UnfinishedFile::discard() {
  std::error_code unknown;
  fs::remove_all(part_, unknown);
  fs::remove(log_path_, unknown);
}

}  // namespace phial::quantize

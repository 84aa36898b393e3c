#include "phial/documents/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/base/utf8.h"
#include "phial/documents/charset.h"
#include "phial/documents/read_document.h"
#include "phial/documents/wire.h"
#include "phial/formats/extracted_document.h"
#include "phial/formats/ppm.h"
#include "phial/sandbox/cage.h"

namespace phial::documents {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxAnswerBytes = size_t{1} << 30;

// The child's answer: one of these letters, then a line of JSON, or a picture. A child that dies leaves less.
constexpr char kDocument = 'd';
constexpr char kDocumentWantsOcr = 'D';
constexpr char kError = 'e';
constexpr char kErrorWantsOcr = 'E';
constexpr char kPicture = 'p';

// Where libraries look for what text and its recognition need; nothing of the person's own.
const std::vector<std::string>& readable_folders() {
  static const std::vector<std::string> kFolders = {
      "/usr/share/poppler",    "/usr/share/fonts", "/usr/local/share/fonts",
      "/usr/share/fontconfig", "/etc/fonts",       "/var/cache/fontconfig"};
  return kFolders;
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
}

struct Job {
  Source source;
  const SuperviseOptions& options;
  const formats::Figure* figure = nullptr;  // only this one is drawn
  bool with_ocr = false;
};

Result<sandbox::CageReport> enter_cage_of(const Job& job) {
  sandbox::CageLimits limits;
  limits.memory_bytes = job.options.memory_mb << 20;
  limits.cpu_seconds = job.options.seconds;
  limits.readable = readable_folders();
  return sandbox::enter_cage(limits);
}

Reading read_caged(const Job& job) {
  const LoadedCharsets charsets;
  Ocr* ocr = nullptr;
  if (job.with_ocr) {
    auto opened = open_tesseract(job.options.languages);
    if (!opened) return {std::move(opened).error()};
    ocr = opened->release();  // the process's until it ends: Tesseract takes long to tidy up
  }
  auto cage = enter_cage_of(job);
  if (!cage) return {std::move(cage).error()};
  ReadOptions options{.format = job.options.format, .max_pages = job.options.max_pages};
  options.max_text_bytes = job.options.max_text_mb << 20;
  options.ocr = ocr;
  options.ocr_is_off = !job.options.ocr;
  options.ocr_seconds = 0.7 * job.options.seconds;
  Reading reading = read_document(job.source, options);
  if (reading.document) reading.document->machine_warning = std::move(cage->warning);
  return reading;
}

Result<std::string> draw_caged(const Job& job) {
  PHIAL_CHECKED(enter_cage_of(job));
  PHIAL_TRY(const formats::Image image, draw_figure(job.source, {.format = job.options.format}, *job.figure));
  return formats::ppm_of(image);
}

void write_answer(int to, char kind, std::string_view bytes) {
  write_all(to, {&kind, 1});
  write_all(to, bytes);
}

[[noreturn]] void run_child(const Job& job, int answer) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Nothing that this process has open is the document's business; standard input and output least of all.
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing >= 0) {
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
  }
  constexpr int kAnswer = 3;
  if (answer != kAnswer) dup2(answer, kAnswer);
  close_range(kAnswer + 1, ~0U, 0);
  if (job.figure != nullptr) {
    const auto picture = draw_caged(job);
    if (picture) {
      write_answer(kAnswer, kPicture, *picture);
    } else {
      write_answer(kAnswer, kError, dump_json(error_to_json(picture.error())));
    }
    _exit(0);
  }
  const Reading reading = read_caged(job);
  if (reading.document) {
    write_answer(kAnswer, reading.ocr_would_help ? kDocumentWantsOcr : kDocument,
                 dump_json(formats::to_json(*reading.document)));
  } else {
    write_answer(kAnswer, reading.ocr_would_help ? kErrorWantsOcr : kError,
                 dump_json(error_to_json(reading.document.error())));
  }
  _exit(0);
}

struct Answer {
  char kind = 0;
  std::string text;   // behind the letter
  int status = 0;     // of waitpid()
  bool late = false;  // ended by the clock
  bool too_long = false;
};

Answer collect(pid_t child, int from, int seconds) {
  Answer answer;
  std::string all;
  std::array<char, 1 << 16> buffer;
  const auto deadline = Clock::now() + std::chrono::seconds(3 * int64_t{seconds} + 1);
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{from, POLLIN, 0};
    const int ready = left > 0 ? poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left, 60'000))) : 0;
    if (left <= 0) {
      answer.late = true;
      break;
    }
    if (ready <= 0) continue;
    const ssize_t got = read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    all.append(buffer.data(), static_cast<size_t>(got));
    answer.too_long = all.size() > kMaxAnswerBytes;
    if (answer.too_long) break;
  }
  if (answer.late || answer.too_long) kill(child, SIGKILL);
  while (waitpid(child, &answer.status, 0) < 0 && errno == EINTR) {
  }
  if (!all.empty()) {
    answer.kind = all[0];
    answer.text = std::move(all);
    answer.text.erase(0, 1);
  }
  return answer;
}

Error what_killed(const Answer& answer, const SuperviseOptions& options) {
  const std::string seconds = std::to_string(options.seconds);
  const int signal = WIFSIGNALED(answer.status) ? WTERMSIG(answer.status) : 0;
  if (answer.late || signal == SIGXCPU || (signal == SIGKILL && !answer.too_long)) {
    return {Code::kOutOfRange, "reading took longer than the " + seconds + " seconds allowed", "split the file"};
  }
  if (answer.too_long) {
    return {Code::kOutOfRange, "the text is too large to hand over", "split the file"};
  }
  if (signal == SIGABRT || signal == 0) {
    return {Code::kOutOfRange,
            "reading takes more memory than the " + std::to_string(options.memory_mb) + " MiB allowed, most likely",
            "split the file, or open and save it again if it is small"};
  }
  if (signal == SIGBUS) return {Code::kIo, "the file changed while it was read", "add it again"};
  return {Code::kCorrupt, "the file made the reader crash by signal " + std::to_string(signal),
          "it is damaged or hostile: open it in the program that made it and save it again"};
}

Result<Answer> run(const Job& job) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return Error{Code::kIo, std::string("cannot make a pipe: ") + std::strerror(errno), "close other programs"};
  }
  const pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    return Error{Code::kIo, std::string("cannot start a process: ") + std::strerror(errno), "close other programs"};
  }
  if (child == 0) run_child(job, ends[1]);
  close(ends[1]);
  Answer answer = collect(child, ends[0], job.options.seconds);
  close(ends[0]);
  const bool whole = WIFEXITED(answer.status) && WEXITSTATUS(answer.status) == 0 && !answer.too_long && !answer.late;
  if (!whole || answer.text.empty()) return what_killed(answer, job.options);
  return answer;
}

Result<std::string> finish(const Answer& answer) {
  if (answer.kind == kDocument || answer.kind == kDocumentWantsOcr || answer.kind == kPicture) return answer.text;
  PHIAL_TRY(const Json json, parse_json(answer.text));
  return error_from_json(json);
}

// The record of a document that stands without text recognition, with the reason why there was none.
Result<std::string> with_reason(const std::string& record, const Error& error) {
  constexpr size_t kLongest = 300;
  PHIAL_TRY(const Json json, parse_json(record));
  PHIAL_TRY(auto document, formats::document_from_json(json));
  const std::string reason = "scans were not recognised: " + error.text();
  document.warnings.push_back(printable(reason, kLongest));
  return dump_json(formats::to_json(document));
}

// A document of the first run is only given up for a better one; an error for any, but that Tesseract is not there.
Result<std::string> better_of(const Answer& first, const Result<Answer>& second) {
  Result<std::string> without = finish(first);
  Result<std::string> with = second ? finish(*second) : Result<std::string>(second.error());
  if (without && !with) return with_reason(*without, with.error());
  const bool keeps_first = !without && !with && with.error().code == Code::kNotFound;
  return keeps_first ? std::move(without) : std::move(with);
}

Result<MappedFile> open_bounded(const std::string& path, const SuperviseOptions& options) {
  PHIAL_TRY(MappedFile file, MappedFile::open(path));
  const uint64_t limit = options.max_file_mb << 20;
  if (file.bytes().size() > limit) {
    return Error{Code::kOutOfRange,
                 "the file has " + std::to_string(file.bytes().size() >> 20) + " MiB, at most " +
                     std::to_string(options.max_file_mb) + " are read",
                 "split it"};
  }
  return file;
}

Source source_of(const MappedFile& file, const std::string& name) {
  return {{reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, name};
}

}  // namespace

Result<std::string> read_in_cage(const std::string& path, const SuperviseOptions& options) {
  PHIAL_TRY(const MappedFile file, open_bounded(path, options));
  const std::string name = std::filesystem::path(path).filename().string();
  Job job{source_of(file, name), options};
  PHIAL_TRY(const Answer answer, run(job));
  const bool wants_ocr = answer.kind == kDocumentWantsOcr || answer.kind == kErrorWantsOcr;
  if (wants_ocr && options.ocr) {
    job.with_ocr = true;
    return better_of(answer, run(job));
  }
  Result<std::string> finished = finish(answer);
  if (finished || answer.kind != kErrorWantsOcr) return finished;
  Error error = std::move(finished).error();
  error.remedy = "leave out --no-ocr (of phial-reader: --ocr off) to have it recognised";
  return error;
}

Result<std::string> draw_in_cage(const std::string& path, const formats::Figure& figure,
                                 const SuperviseOptions& options) {
  PHIAL_TRY(const MappedFile file, open_bounded(path, options));
  const std::string name = std::filesystem::path(path).filename().string();
  PHIAL_TRY(const Answer answer, run({.source = source_of(file, name), .options = options, .figure = &figure}));
  return finish(answer);
}

}  // namespace phial::documents

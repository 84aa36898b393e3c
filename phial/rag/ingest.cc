// Readers (threads that each wait for a process) take files from a list, hash them, and put what they found into a
// bounded queue. The calling thread takes from it, embeds in batches and writes.
#include "phial/rag/ingest.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "phial/base/json.h"
#include "phial/base/regular_file.h"
#include "phial/rag/chunk.h"
#include "phial/rag/content_hasher.h"
#include "phial/rag/describe.h"

namespace phial::rag {
namespace {

using Clock = std::chrono::steady_clock;

// Passages that are embedded in one call: enough to fill the cores, few enough to stop soon.
constexpr size_t kEmbedBatch = 64;

struct Job {
  ScannedFile file;
  FileRecord known;     // path is empty: not in the library yet
  bool is_old = false;  // its document is read again though its bytes are those that the library has
};

// What a reader hands over for one job.
struct Outcome {
  FileRecord record;  // of the file as it is now
  bool was_known = false;
  bool is_same = false;  // the bytes are those that the library has for this path
  bool is_gone = false;  // deleted since it was listed
  bool fails_as_before = false;
  bool is_copy = false;  // another file of this run or of the library has the same bytes
  // The library's document, if it has these bytes and they were to be read again. It stays if that fails.
  int64_t old_content = 0;
  formats::ExtractedDocument document;
  std::vector<Passage> passages;
  std::string described_by;
  std::vector<ContentHash> pictures;  // of each figure, as Descriptions has them
};

Result<ContentHash> hash_file(const std::string& path, const std::stop_token& cancel) {
  PHIAL_TRY(const RegularFile file, RegularFile::open(path));
  ContentHasher hasher;
  std::vector<char> buffer(size_t{1} << 18);
  for (;;) {
    if (cancel.stop_requested()) return Error{Code::kCancelled, "stopped while reading " + path, ""};
    const ssize_t got = ::read(file.descriptor(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return phial::system_error(path, "read");
    if (got == 0) return hasher.hash();
    hasher.add(std::as_bytes(std::span(buffer).first(static_cast<size_t>(got))));
  }
}

IngestProblem problem_of(const FileRecord& record) { return {record.path, record.error, record.remedy}; }

std::vector<Passage> chunk_document(const formats::ExtractedDocument& document, const Embedder& embedder) {
  ChunkOptions options;
  options.max_tokens = embedder.max_tokens();
  options.max_context_tokens = std::min(options.max_context_tokens, embedder.max_tokens() / 4);
  return chunk(document, options, [&](std::string_view text) { return embedder.count_tokens(text); });
}

class Readers {
 public:
  Readers(std::vector<Job> jobs, std::unordered_set<ContentHash> known, const Embedder& embedder,
          const IngestOptions& options)
      : jobs_(std::move(jobs)), known_(std::move(known)), embedder_(embedder), options_(options) {
    const auto threads =
        std::min(jobs_.size(), static_cast<size_t>(options.readers > 0 ? options.readers : usable_cores()));
    capacity_ = 2 * threads + 1;
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;
  ~Readers() { stop(); }

  size_t jobs() const { return jobs_.size(); }

  // The next outcome, or nothing when all jobs are done or the caller has asked to stop. `wait`: false gives nothing
  // also when none is ready. What was thrown while reading (std::bad_alloc) is thrown here.
  std::unique_ptr<Outcome> take(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) {
      filled_.wait(lock,
                   [this] { return !queue_.empty() || taken_ == jobs_.size() || thrown_ || stop_.stop_requested(); });
    }
    if (thrown_) std::rethrow_exception(thrown_);
    if (queue_.empty()) return nullptr;
    auto outcome = std::move(queue_.front());
    queue_.pop_front();
    ++taken_;
    room_.notify_one();
    return outcome;
  }

 private:
  // Leaves also the document that is being read.
  void stop() {
    const std::scoped_lock lock(mutex_);  // so that none who is about to wait misses it
    stop_.request_stop();
    room_.notify_all();
    filled_.notify_all();
  }

  void work() {
    try {
      read_all();
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      thrown_ = std::current_exception();
      filled_.notify_one();
    }
  }

  void read_all() {
    for (;;) {
      const size_t index = next_.fetch_add(1);
      if (index >= jobs_.size() || stop_.stop_requested()) return;
      auto outcome = std::make_unique<Outcome>(read(jobs_[index]));
      outcome->fails_as_before = !outcome->is_same && !options_.retry_failed && !outcome->record.error.empty() &&
                                 outcome->record.error == jobs_[index].known.error &&
                                 outcome->record.hash == jobs_[index].known.hash;
      outcome->is_gone = !outcome->record.error.empty() && access(outcome->record.path.c_str(), F_OK) != 0;
      std::unique_lock lock(mutex_);
      room_.wait(lock, [this] { return queue_.size() < capacity_ || stop_.stop_requested(); });
      if (stop_.stop_requested()) return;
      queue_.push_back(std::move(outcome));
      filled_.notify_one();
    }
  }

  Outcome read(const Job& job) {
    Outcome outcome;
    outcome.was_known = !job.known.path.empty();
    outcome.record = {.path = job.file.path,
                      .size = job.file.size,
                      .mtime_ns = job.file.mtime_ns,
                      .hash = {},
                      .content_id = 0,
                      .error = {},
                      .remedy = {}};
    const bool looks_same = job.file.size == job.known.size && job.file.mtime_ns == job.known.mtime_ns;
    outcome.old_content = job.is_old && looks_same ? job.known.content_id : 0;
    // phial-reader would say the same, after all of it was hashed.
    if (job.file.size > int64_t{options_.reader.max_file_mb} << 20) {
      fail(outcome, {Code::kOutOfRange,
                     "the file has " + std::to_string(job.file.size >> 20) + " MiB, at most " +
                         std::to_string(options_.reader.max_file_mb) + " are read (" + job.file.path + ")",
                     "split it"});
      return outcome;
    }
    auto hash = hash_file(job.file.path, options_.cancel);
    if (!hash) {
      fail(outcome, hash.error());
      return outcome;
    }
    outcome.record.hash = *std::move(hash);
    outcome.is_same = outcome.was_known && !job.is_old && outcome.record.hash == job.known.hash &&
                      (job.known.content_id != 0 || !options_.retry_failed);
    if (outcome.is_same) {
      outcome.record.content_id = job.known.content_id;
      outcome.record.error = job.known.error;
      outcome.record.remedy = job.known.remedy;
      return outcome;
    }
    {
      const std::scoped_lock lock(mutex_);
      outcome.is_copy = !known_.insert(outcome.record.hash).second;
    }
    outcome.old_content = job.is_old && outcome.record.hash == job.known.hash ? job.known.content_id : 0;
    if (!outcome.is_copy) extract(outcome);
    return outcome;
  }

  void extract(Outcome& outcome) const {
    auto document = read_document(outcome.record.path, options_.reader, stop_.get_token());
    if (!document) {
      fail(outcome, document.error());
      return;
    }
    outcome.document = *std::move(document);
    outcome.passages = chunk_document(outcome.document, embedder_);
    if (outcome.passages.empty()) {
      fail(outcome, {Code::kUnsupported, "the file holds no text (" + outcome.record.path + ")", "leave it out"});
    }
  }

  static void fail(Outcome& outcome, const Error& error) {
    outcome.record.error = error.message;
    outcome.record.remedy = error.remedy;
  }

  const std::vector<Job> jobs_;
  std::unordered_set<ContentHash> known_;
  const Embedder& embedder_;
  const IngestOptions& options_;

  std::atomic<size_t> next_ = 0;
  std::mutex mutex_;
  std::condition_variable filled_, room_;
  std::deque<std::unique_ptr<Outcome>> queue_;
  size_t capacity_ = 1, taken_ = 0;
  std::exception_ptr thrown_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> on_cancel_{options_.cancel, [this] { stop(); }};
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

class Ingest {
 public:
  Ingest(Store& store, Embedder& embedder, const IngestOptions& options, const OnProgress& on_progress)
      : store_(store), embedder_(embedder), options_(options), on_progress_(on_progress) {}

  Result<IngestReport> run(std::span<const std::filesystem::path> paths) {
    PHIAL_TRY(const auto old, store_.to_read_again(options_.describer_name, options_.retry_failed));
    old_.insert(old.begin(), old.end());
    std::vector<Job> jobs;
    PHIAL_CHECKED(compare(paths, jobs));
    PHIAL_CHECKED(bring_in(std::move(jobs)));
    // Copies of a document that another process dropped meanwhile are read after all.
    if (!left_over_.empty()) PHIAL_CHECKED(bring_in(std::exchange(left_over_, {})));
    // Last, so that a file that moved finds its document still there.
    PHIAL_CHECKED(store_.remove_files(gone_));
    PHIAL_CHECKED(store_.remove_orphans());
    if (report_.added + report_.changed > 0) PHIAL_CHECKED(store_.refresh_word_list());
    report_.removed = static_cast<int64_t>(gone_.size());
    return std::move(report_);
  }

 private:
  // What is on the disk against what the library knows.
  Status compare(std::span<const std::filesystem::path> paths, std::vector<Job>& jobs) {
    std::unordered_set<std::string> seen;
    size_t missing = 0;
    for (const auto& path : paths) {
      const std::string root = absolute_path(path);
      auto found = scan(root, options_.scan, options_.cancel);
      if (!found) {
        if (found.error().code == Code::kCancelled || ++missing == paths.size()) return std::move(found).error();
        report_.problems.push_back({root, found.error().message, found.error().remedy});
        continue;
      }
      PHIAL_CHECKED(store_.put_root({root, to_text(options_.scan)}));
      for (const ScanProblem& problem : found->problems) {
        report_.problems.push_back({problem.path, "cannot look at it: " + problem.message + " (" + problem.path + ")",
                                    "check its permissions"});
      }
      PHIAL_TRY(const auto known_files, store_.files_under(root));
      std::unordered_map<std::string_view, const FileRecord*> known;
      for (const FileRecord& record : known_files) known.emplace(record.path, &record);
      for (ScannedFile& file : found->files) {
        const auto it = known.find(file.path);
        const FileRecord* record = it == known.end() ? nullptr : it->second;
        if (!seen.insert(file.path).second) continue;
        const bool is_old = record != nullptr && old_.contains(record->content_id);
        if (record == nullptr || is_old || needs_look(file, *record)) {
          jobs.push_back({std::move(file), record == nullptr ? FileRecord{} : *record, is_old});
        } else {
          count_unchanged(*record);
        }
      }
      for (const FileRecord& record : known_files) {
        if (!seen.contains(record.path) && !is_under_problem(record.path, *found)) gone_.push_back(record.path);
      }
    }
    return ok();
  }

  void count_unchanged(const FileRecord& record) {
    if (record.content_id != 0) {
      ++report_.unchanged;
    } else {
      report_.failed_before.push_back(problem_of(record));
    }
  }

  bool needs_look(const ScannedFile& file, const FileRecord& record) const {
    return file.size != record.size || file.mtime_ns != record.mtime_ns ||
           (record.content_id == 0 && (options_.retry_failed || record.hash.empty()));
  }

  static bool is_under_problem(const std::string& path, const Scan& scan) {
    return std::any_of(scan.problems.begin(), scan.problems.end(), [&](const ScanProblem& problem) {
      return path == problem.path || path.starts_with(problem.path + "/");
    });
  }

  Status bring_in(std::vector<Job> jobs) {
    progress_.files_total += jobs.size();
    for (const Job& job : jobs) progress_.bytes_total += job.file.size;
    PHIAL_TRY(const auto hashes, store_.content_hashes());
    std::unordered_set<ContentHash> known(hashes.begin(), hashes.end());
    for (const Job& job : jobs) {
      if (job.is_old) known.erase(job.known.hash);
    }
    Readers readers(std::move(jobs), std::move(known), embedder_, options_);
    std::vector<std::unique_ptr<Outcome>> batch;
    size_t batch_passages = 0;
    for (;;) {
      auto outcome = readers.take(batch.empty());
      // Behind take(): what was cut short by a stop must not be remembered as unreadable.
      if (options_.cancel.stop_requested()) return Error{Code::kCancelled, "stopped; what was added stays", ""};
      if (outcome) PHIAL_CHECKED(fail_if_it_reads_less(*outcome));
      if (outcome && outcome->passages.empty()) {
        PHIAL_CHECKED(settle(std::move(outcome)));
        continue;
      }
      const bool is_idle = !outcome;
      if (outcome) {
        batch_passages += outcome->passages.size();
        batch.push_back(std::move(outcome));
      }
      if (batch.empty()) break;
      if (is_idle || batch_passages >= kEmbedBatch) {
        PHIAL_CHECKED(embed_and_write(batch));
        batch.clear();
        batch_passages = 0;
      }
    }
    for (auto& copy : std::exchange(copies_, {})) PHIAL_CHECKED(write_copy(*copy));
    return ok();
  }

  // Without text recognition a scan that was read with it would lose its text, and a second try may have less of it.
  Status fail_if_it_reads_less(Outcome& outcome) {
    const bool may_read_less = !options_.reader.ocr || options_.retry_failed;
    if (!may_read_less || outcome.old_content == 0 || outcome.passages.empty()) return ok();
    PHIAL_TRY(const auto words, store_.boxes(outcome.old_content, 0, std::numeric_limits<uint64_t>::max()));
    if (outcome.document.words.size() >= words.size()) return ok();
    outcome.record.error = "less of its text would be recognised, and it stays as it was (" + outcome.record.path + ")";
    outcome.record.remedy = "recognise text as the first time: with Tesseract, and the same languages";
    outcome.passages.clear();
    return ok();
  }

  // An outcome that needs no embedding.
  Status settle(std::unique_ptr<Outcome> outcome) {
    if (outcome->is_gone) {
      if (outcome->was_known) gone_.push_back(outcome->record.path);
      tell(outcome->record);
      return ok();
    }
    if (outcome->fails_as_before) {
      report_.failed_before.push_back(problem_of(outcome->record));
      tell(outcome->record);
      return ok();
    }
    if (outcome->is_copy) {
      // What it is a copy of may still be on its way.
      copies_.push_back(std::move(outcome));
      return ok();
    }
    if (outcome->is_same) {
      PHIAL_TRY(const bool done, store_.put_file(outcome->record));
      // False: another process removed the document; the next run reads it again.
      if (done) count_unchanged(outcome->record);
    } else if (outcome->old_content != 0) {
      PHIAL_CHECKED(keep_old(*outcome));
    } else {
      PHIAL_CHECKED(write_failure(*outcome));
    }
    tell(outcome->record);
    return ok();
  }

  // What could not be read again stays as it was.
  Status keep_old(const Outcome& outcome) {
    FileRecord record = outcome.record;
    report_.problems.push_back({record.path, std::move(record.error), std::move(record.remedy), true});
    record.content_id = outcome.old_content;
    record.error.clear();
    record.remedy.clear();
    PHIAL_TRY(const bool done, store_.put_file(record));
    if (done) ++report_.unchanged;
    return ok();
  }

  Status write_failure(const Outcome& outcome) {
    const FileRecord& record = outcome.record;
    failures_.emplace(record.hash, report_.problems.size());
    report_.problems.push_back(problem_of(record));
    PHIAL_TRY(const bool done, store_.put_file(record));
    static_cast<void>(done);  // always true without a document
    return ok();
  }

  Status write_copy(Outcome& copy) {
    PHIAL_TRY(copy.record.content_id, store_.find_content(copy.record.hash));
    bool done = false;
    if (copy.record.content_id != 0) {
      PHIAL_TRY(done, store_.put_file(copy.record));
    }
    if (done) {
      ++report_.linked;
    } else if (const auto failure = failures_.find(copy.record.hash); failure != failures_.end()) {
      const IngestProblem& first = report_.problems[failure->second];
      copy.record.content_id = 0;
      copy.record.error = "same content as '" + first.path + "', which could not be read (" + copy.record.path + ")";
      copy.record.remedy = first.remedy;
      PHIAL_CHECKED(write_failure(copy));
    } else {
      left_over_.push_back({{copy.record.path, copy.record.size, copy.record.mtime_ns}, {}});
    }
    tell(copy.record);
    return ok();
  }

  // Before describe(), which adds warnings that it tells of itself.
  void report_what_is_missing(const Outcome& outcome) {
    const std::string& path = outcome.record.path;
    const formats::ExtractedDocument& document = outcome.document;
    if (report_.machine_warning.empty()) report_.machine_warning = document.machine_warning;
    if (document.warnings.empty()) return;
    report_.problems.push_back({path, read_in_part(document.warnings) + " (" + path + ")", "", true});
  }

  Status describe(Outcome& outcome) {
    outcome.described_by = options_.describer_name;
    if (options_.describer == nullptr || outcome.document.figures.empty()) return ok();
    const DescribeOptions options{
        .model_name = options_.describer_name, .reader = options_.reader, .cancel = options_.cancel, .on_written = [&] {
          ++report_.described;
          ++progress_.described;
          tell_progress(outcome.record.path);
        }};
    PHIAL_TRY(auto described,
              describe_figures(store_, *options_.describer, outcome.record.path, options, outcome.document));
    outcome.pictures = std::move(described.pictures);
    if (const auto& left = described.left; !left.empty()) {
      std::string message =
          std::to_string(left.size()) + " of its figures could not be described: " + left.front().message;
      if (message.find(outcome.record.path) == std::string::npos) message += " (" + outcome.record.path + ")";
      report_.problems.push_back({outcome.record.path, std::move(message),
                                  left.front().remedy.empty() ? "add it again" : left.front().remedy, true});
      outcome.described_by += kDescribedInPart;
    }
    outcome.passages = chunk_document(outcome.document, embedder_);
    return ok();
  }

  Status embed_and_write(const std::vector<std::unique_ptr<Outcome>>& batch) {
    for (const auto& outcome : batch) {
      report_what_is_missing(*outcome);
      PHIAL_CHECKED(describe(*outcome));
    }
    std::vector<std::string> texts;
    for (const auto& outcome : batch) {
      for (const Passage& passage : outcome->passages) texts.push_back(embedding_text(passage, outcome->document.text));
    }
    std::vector<float> vectors;
    for (size_t first = 0; first < texts.size(); first += kEmbedBatch) {
      if (options_.cancel.stop_requested()) return Error{Code::kCancelled, "stopped; what was added stays", ""};
      const size_t count = std::min(kEmbedBatch, texts.size() - first);
      PHIAL_TRY(const auto rows, embedder_.embed(std::span(texts).subspan(first, count)));
      vectors.insert(vectors.end(), rows.begin(), rows.end());
      progress_.passages += static_cast<int64_t>(count);
      if (texts.size() > kEmbedBatch) tell_progress(batch.front()->record.path);
    }
    std::span<const float> left = vectors;
    const auto dim = static_cast<size_t>(embedder_.identity().dim);
    for (const auto& outcome : batch) {
      const size_t floats = outcome->passages.size() * dim;
      const bool is_second_try = options_.retry_failed && outcome->old_content != 0;
      PHIAL_CHECKED(store_.put_document(outcome->record, outcome->document, outcome->passages, left.subspan(0, floats),
                                        {outcome->described_by, outcome->pictures, is_second_try}));
      left = left.subspan(floats);
      ++(outcome->was_known ? report_.changed : report_.added);
      report_.passages += static_cast<int64_t>(outcome->passages.size());
      tell(outcome->record);
    }
    return ok();
  }

  void tell(const FileRecord& record) {
    ++progress_.files_done;
    progress_.bytes_done += record.size;
    tell_progress(record.path);
  }

  void tell_progress(const std::string& path) {
    if (!on_progress_) return;
    progress_.path = path;
    progress_.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    progress_.passages_per_second = static_cast<double>(progress_.passages) / std::max(progress_.seconds, 1e-3);
    if (progress_.bytes_done > 0) {
      progress_.seconds_left = progress_.seconds * static_cast<double>(progress_.bytes_total - progress_.bytes_done) /
                               static_cast<double>(progress_.bytes_done);
    }
    on_progress_(progress_);
  }

  Store& store_;
  Embedder& embedder_;
  const IngestOptions& options_;
  const OnProgress& on_progress_;
  const Clock::time_point start_ = Clock::now();
  IngestProgress progress_;
  IngestReport report_;
  std::vector<std::unique_ptr<Outcome>> copies_;
  std::vector<Job> left_over_;
  std::unordered_set<int64_t> old_;                   // documents that are read again (Store::to_read_again)
  std::vector<std::string> gone_;                     // known files that are no longer there, or no longer wanted
  std::unordered_map<ContentHash, size_t> failures_;  // place in report_.problems
};

}  // namespace

Result<IngestReport> ingest(Store& store, Embedder& embedder, std::span<const std::filesystem::path> paths,
                            const IngestOptions& options, const OnProgress& on_progress) {
  return Ingest(store, embedder, options, on_progress).run(paths);
}

std::string read_in_part(std::span<const std::string> warnings) {
  constexpr size_t kNamed = 4;
  std::string text = "read in part: ";
  for (size_t i = 0; i < std::min(warnings.size(), kNamed); ++i) text.append(i == 0 ? "" : "; ").append(warnings[i]);
  if (warnings.size() > kNamed) text += "; and " + std::to_string(warnings.size() - kNamed) + " more";
  return text;
}

std::string to_text(const ScanOptions& options) {
  return dump_json({{"include", options.include},
                    {"exclude", options.exclude},
                    {"hidden", options.hidden},
                    {"ignore_files", options.ignore_files}});
}

ScanOptions scan_options_from(std::string_view text) {
  ScanOptions options;
  const auto json = parse_json(text);
  if (!json) return options;
  const auto strings = [&](std::string_view key) {
    std::vector<std::string> values;
    if (const Json* list = find_member(*json, key); list != nullptr && list->is_array()) {
      for (const Json& item : *list) {
        if (item.is_string()) values.push_back(item.get<std::string>());
      }
    }
    return values;
  };
  options.include = strings("include");
  options.exclude = strings("exclude");
  options.hidden = find_bool(*json, "hidden").value_or(false);
  options.ignore_files = find_bool(*json, "ignore_files").value_or(true);
  return options;
}

}  // namespace phial::rag

#include "phial/cli/libraries.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <iterator>

#include "phial/cli/home.h"

namespace phial::cli {
namespace fs = std::filesystem;
namespace {

// "2024-05-31", local time: the first moment of that day, or of the day so many `days` later.
std::optional<int64_t> day_start_ns(std::string_view text, int days) {
  std::tm day{};
  const auto number = [&](size_t at, size_t length, int& into) {
    if (text.size() < at + length) return false;
    const char* first = text.data() + at;
    const auto [end, error] = std::from_chars(first, first + length, into);
    return error == std::errc() && end == first + length;
  };
  int year = 0, month = 0, day_of_month = 0;
  if (text.size() != 10 || text[4] != '-' || text[7] != '-' || !number(0, 4, year) || !number(5, 2, month) ||
      !number(8, 2, day_of_month)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day_of_month))};
  if (month < 1 || day_of_month < 1 || !date.ok()) return std::nullopt;
  day.tm_year = year - 1900;
  day.tm_mon = month - 1;
  day.tm_mday = day_of_month + days;  // not 24 hours: where clocks change, a day has 23 or 25
  day.tm_isdst = -1;
  const std::time_t seconds = std::mktime(&day);
  if (seconds == -1) return std::nullopt;
  return int64_t{seconds} * 1'000'000'000;
}

std::string seconds_text(double seconds) {
  const auto whole = std::llround(seconds);
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s";
  return std::to_string(whole / 3600) + " h " + std::to_string(whole % 3600 / 60) + " min";
}

std::string progress_text(const rag::IngestProgress& progress) {
  constexpr size_t kCells = 20;
  const double share = progress.bytes_total > 0
                           ? static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total)
                           : 0;
  const auto full = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * kCells);
  std::string text = "[" + std::string(full, '=') + std::string(kCells - full, ' ') + "] ";
  text += std::to_string(progress.files_done) + "/" + std::to_string(progress.files_total) + " files, " +
          std::to_string(static_cast<int64_t>(progress.passages_per_second)) + " passages/s";
  if (progress.described > 0) text += ", " + std::to_string(progress.described) + " pictures described";
  if (progress.seconds_left > 0) text += ", " + seconds_text(progress.seconds_left) + " left";
  return text + "  " + fs::path(progress.path).filename().string();
}

}  // namespace

void FilterFlags::describe(Flags& flags) {
  flags.group("Which documents");
  flags.add("--path", &paths, "GLOB", "only files whose path fits, '*.pdf' or 'contracts/*'; may be repeated");
  flags.add("--since", &since, "DATE", "only files changed on that day (2024-05-31) or later");
  flags.add("--until", &until, "DATE", "only files changed on that day or earlier");
}

Result<rag::SearchFilter> FilterFlags::filter() const {
  rag::SearchFilter filter;
  filter.paths = paths;
  for (const auto& [text, name] : {std::pair{since, "--since"}, std::pair{until, "--until"}}) {
    if (!text) continue;
    const bool is_since = std::string_view(name) == "--since";
    const auto start = day_start_ns(*text, is_since ? 0 : 1);
    if (!start) {
      return Error{Code::kInvalid, "'" + *text + "' is no value for " + name, "give a day, written as 2024-05-31"};
    }
    if (is_since) {
      filter.since_ns = start;
    } else {
      filter.until_ns = *start - 1;
    }
  }
  return filter;
}

void ScanFlags::describe(Flags& flags) {
  flags.group("What is read");
  flags.add("--include", &scan.include, "GLOB", "only files that fit; may be repeated").one_each();
  flags.add("--exclude", &scan.exclude, "GLOB", "leave out files and folders that fit; may be repeated").one_each();
  flags.add("--hidden", scan.hidden, "hidden files too");
  flags.add("--no-ignore", no_ignore_files, "do not heed .gitignore and .phialignore");
  flags.add("--no-ocr", no_ocr, "leave pages without text alone, even if Tesseract is installed");
  flags.add("--ocr-languages", &ocr_languages, "L",
            "languages of text recognition, as eng+deu: those of 'tesseract --list-langs'");
  flags.add("--retry", retry, "try files again that could not be read before, or only in part");
}

rag::IngestOptions ScanFlags::options(std::stop_token cancel) const {
  rag::IngestOptions options;
  options.scan = scan;
  options.scan.ignore_files = !no_ignore_files;
  options.reader.ocr = !no_ocr;
  options.reader.languages = ocr_languages;
  options.retry_failed = retry;
  options.cancel = std::move(cancel);
  return options;
}

Status check_library_name(const std::string& name) {
  PHIAL_CHECKED(rag::library_path("", name));
  return ok();
}

std::string library_name_for(std::span<const std::string> paths) {
  std::vector<std::string> whole;
  for (const std::string& path : paths) {
    std::error_code error;
    const fs::path canonical = fs::weakly_canonical(path, error);
    whole.push_back(error ? path : canonical.string());
  }
  std::ranges::sort(whole);
  whole.erase(std::unique(whole.begin(), whole.end()), whole.end());
  uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const std::string& path : whole) {
    for (const char c : path + '\n') hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
  char text[32];
  std::snprintf(text, sizeof text, "docs-%012llx", static_cast<unsigned long long>(hash & 0xFFFFFFFFFFFFULL));
  return text;
}

Result<std::unique_ptr<rag::Store>> open_library(const std::string& name) {
  PHIAL_TRY(const fs::path home, home_folder());
  PHIAL_TRY(const fs::path path, rag::library_path(home, name));
  std::error_code error;
  if (fs::exists(path, error)) return rag::Store::open_existing(path);
  const auto names = rag::library_names(home);
  const auto meant = nearest(name, names);
  return Error{Code::kNotFound, "there is no library '" + name + "'",
               meant           ? "did you mean '" + *meant + "'?"
               : names.empty() ? "'phial add PATH' makes one"
                               : "'phial library list' shows those that there are"};
}

Result<std::unique_ptr<rag::Store>> make_library(const std::string& name, const rag::Embedder& embedder) {
  PHIAL_TRY(const fs::path home, home_folder());
  PHIAL_TRY(const fs::path path, rag::library_path(home, name));
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) {
    return Error{Code::kIo, "cannot make the folder: " + error.message() + " (" + path.parent_path().string() + ")",
                 "set PHIAL_HOME to a folder that can be written"};
  }
  return rag::Store::open(path, embedder.identity());
}

Status check_paths(std::span<const std::string> paths, Console& console) {
  std::vector<Error> errors;
  for (const std::string& path : paths) {
    auto looked = rag::check_root(rag::absolute_path(path));
    if (looked) return ok();
    errors.push_back(std::move(looked).error());
  }
  if (errors.size() == 1) return std::move(errors.front());
  for (const Error& error : errors) console.log()(Severity::kWarning, error.text());
  return Error{errors.front().code, "none of these " + std::to_string(errors.size()) + " paths can be read",
               "name files and folders that exist"};
}

Result<rag::IngestReport> ingest_with_progress(rag::Store& store, rag::Embedder& embedder,
                                               std::span<const std::string> paths, const rag::IngestOptions& options,
                                               Console& console) {
  std::vector<fs::path> folders(paths.begin(), paths.end());
  auto report = rag::ingest(store, embedder, folders, options,
                            [&](const rag::IngestProgress& progress) { console.progress(progress_text(progress)); });
  console.clear_progress();
  if (!report) return report;
  const Log log = console.log();
  if (!report->machine_warning.empty()) log(Severity::kWarning, report->machine_warning);
  for (const rag::IngestProblem& problem : report->problems) log(Severity::kWarning, problem_text(problem));
  // Of what failed before, a file that was named itself is told again; those inside folders make one line.
  size_t others = 0;
  for (const rag::IngestProblem& problem : report->failed_before) {
    const bool is_named =
        std::ranges::any_of(paths, [&](const std::string& path) { return rag::absolute_path(path) == problem.path; });
    if (is_named) log(Severity::kWarning, problem_text(problem));
    others += is_named ? 0 : 1;
  }
  if (others > 0) {
    log(Severity::kWarning, "skipped " + std::to_string(others) + (others == 1 ? " file" : " files") +
                                " that could not be read before: 'phial library show --library " +
                                store.path().stem().string() + "' lists them");
  }
  return report;
}

std::string without_place(std::string message, const std::string& path) {
  const std::string place = " (" + path + ")";
  if (const size_t at = message.find(place); at != std::string::npos) message.erase(at, place.size());
  return message;
}

std::string problem_text(const rag::IngestProblem& problem) {
  const bool names_it = problem.message.find(problem.path) != std::string::npos;
  // "skipped PATH is empty", "skipped: cannot open (PATH)"
  const std::string named = problem.message.starts_with(problem.path) ? " " : ": ";
  const std::string begin = problem.is_in_library ? (names_it ? "" : problem.path + ": ")
                                                  : "skipped" + (names_it ? named : " " + problem.path + ": ");
  const std::string retry = problem.is_in_library ? ": once that is mended, 'phial add --retry' reads it again" : "";
  return begin + problem.message + (problem.remedy.empty() ? retry : ": " + problem.remedy);
}

std::string report_text(const rag::IngestReport& report) {
  std::string text;
  const auto add = [&text](int64_t count, const char* what) {
    if (count > 0) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
  };
  add(report.added, "added");
  add(report.changed, "changed");
  add(report.linked, "moved or copied");
  add(report.removed, "removed");
  add(report.unchanged, "unchanged");
  const auto in_part = std::ranges::count_if(report.problems, &rag::IngestProblem::is_in_library);
  add(in_part, "not read whole");
  add(std::ssize(report.problems) - in_part, "skipped");
  add(report.described, "pictures described");
  add(static_cast<int64_t>(report.failed_before.size()), "unreadable as before");
  return text.empty() ? "no files" : text;
}

Json report_json(const rag::IngestReport& report) {
  Json problems = Json::array();
  for (const auto* list : {&report.problems, &report.failed_before}) {
    for (const rag::IngestProblem& problem : *list) {
      problems.push_back({{"path", problem.path},
                          {"message", problem.message},
                          {"remedy", problem.remedy},
                          {"in_library", problem.is_in_library}});
    }
  }
  return {{"added", report.added},
          {"changed", report.changed},
          {"unchanged", report.unchanged},
          {"linked", report.linked},
          {"removed", report.removed},
          {"passages", report.passages},
          {"problems", std::move(problems)},
          {"failed_before", report.failed_before.size()},
          {"described", report.described},
          {"machine_warning", report.machine_warning.empty() ? Json() : Json(report.machine_warning)}};
}

std::string figures_text(std::span<const formats::Figure> figures) {
  if (figures.empty()) return "";
  return figures.size() == 1 ? ", with a figure" : ", with " + std::to_string(figures.size()) + " figures";
}

}  // namespace phial::cli

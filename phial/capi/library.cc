#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

#include "phial/base/json.h"
#include "phial/base/utf8.h"
#include "phial/capi/boundary.h"
#include "phial/capi/generation.h"
#include "phial/capi/handles.h"
#include "phial/capi/messages.h"
#include "phial/capi/reader_path.h"

namespace phial::capi {
namespace {

Result<rag::IngestOptions> ingest_options(const phial_add_options& given, const phial_library& library) {
  rag::IngestOptions options;
  PHIAL_TRY(options.scan.include, read_texts(given.include, given.include_count, "a glob to include"));
  PHIAL_TRY(options.scan.exclude, read_texts(given.exclude, given.exclude_count, "a glob to exclude"));
  options.scan.hidden = given.hidden != 0;
  options.scan.ignore_files = given.no_ignore_files == 0;
  options.reader.program = library.reader;
  options.reader.ocr = given.no_ocr == 0;
  if (given.ocr_languages != nullptr) {
    PHIAL_TRY(options.reader.languages, read_text(given.ocr_languages, "ocr_languages"));
  }
  options.retry_failed = given.retry != 0;
  return options;
}

int tell(const phial_add_options& given, const rag::IngestProgress& progress) {
  const std::string path = repair_utf8(progress.path);
  const phial_progress told = {.size = sizeof told,
                               .files_total = progress.files_total,
                               .files_done = progress.files_done,
                               .bytes_total = progress.bytes_total,
                               .bytes_done = progress.bytes_done,
                               .passages = progress.passages,
                               .seconds = progress.seconds,
                               .seconds_left = progress.seconds_left,
                               .path = path.c_str()};
  return given.on_progress(given.progress_data, &told);
}

phial_add_report report_of(const rag::IngestReport& report) {
  return {.size = sizeof(phial_add_report),
          .added = report.added,
          .changed = report.changed,
          .unchanged = report.unchanged,
          .linked = report.linked,
          .removed = report.removed,
          .passages = report.passages,
          .failed_before = static_cast<int64_t>(report.failed_before.size()),
          .problem_count = report.problems.size()};
}

Status add(phial_library& library, std::span<const std::string> texts, const phial_add_options& given,
           phial_add_report* told) {
  if (told != nullptr)
    PHIAL_CHECKED(write_info(phial_add_report{}, sizeof(phial_add_report), told));  // before the work
  PHIAL_TRY(rag::IngestOptions options, ingest_options(given, library));
  std::stop_source stop;
  const std::stop_token cancel = given.cancel != nullptr ? given.cancel->stop.get_token() : std::stop_token();
  const std::stop_callback forward(cancel, [&stop] { stop.request_stop(); });
  options.cancel = stop.get_token();
  const std::vector<std::filesystem::path> paths(texts.begin(), texts.end());
  PHIAL_TRY(rag::IngestReport report,
            rag::ingest(*library.store, *library.embedder, paths, options, [&](const rag::IngestProgress& progress) {
              if (given.on_progress == nullptr) return;
              if (tell(given, progress) != 0) stop.request_stop();
            }));
  if (told != nullptr) PHIAL_CHECKED(write_info(report_of(report), sizeof(phial_add_report), told));
  library.problems = std::move(report.problems);
  for (rag::IngestProblem& problem : library.problems) problem.path = repair_utf8(problem.path);
  return ok();
}

// What of a struct every caller's header has.
constexpr size_t kLeastAskOptions = offsetof(phial_ask_options, figures);
constexpr size_t kLeastProblem = offsetof(phial_problem, in_library);
constexpr int32_t kMostFigures = 16;

struct Question {
  phial_ask_options given;
  std::string text;
  rag::SearchOptions search;
};

Result<Question> read_question(const char* text, const phial_ask_options* options) {
  Question question;
  PHIAL_TRY(question.text, read_text(text, "the question"));
  if (question.text.find_first_not_of(" \t\r\n") == std::string::npos) {
    return Error{Code::kInvalid, "the question is empty", "ask something"};
  }
  PHIAL_TRY(question.given, read_options(options, kLeastAskOptions));
  if (question.given.passages < 0 || question.given.passage_tokens < 0) {
    return Error{Code::kInvalid, "passages or passage_tokens is below 0", "0 is the default"};
  }
  if (question.given.figures > kMostFigures) {
    return Error{Code::kInvalid, "figures is above " + std::to_string(kMostFigures), "0 is the default"};
  }
  if (question.given.passages > 0) question.search.k = static_cast<size_t>(question.given.passages);
  PHIAL_TRY(question.search.filter.paths, read_texts(question.given.paths, question.given.path_count, "a glob"));
  return question;
}

// File names may be any bytes; what is handed out is UTF-8.
void repair_names(rag::Answer& answer) {
  for (rag::Citation& citation : answer.citations) {
    citation.path = repair_utf8(citation.path);
    citation.title = repair_utf8(citation.title);
  }
}

// Whether what is kept between questions may serve the next: of a search that was stopped, what was read stays.
template <typename T>
bool is_whole(const Result<T>& done) {
  return done || done.error().code == Code::kCancelled;
}

Status search(phial_library& library, const Question& question, phial_answer** answer) {
  rag::SearchOptions options = question.search;
  PHIAL_TRY(const auto generate, read_options(question.given.generate, sizeof(phial_generate_options)));
  if (generate.cancel != nullptr) options.cancel = generate.cancel->stop.get_token();
  auto retriever = std::move(library.retriever);
  if (retriever == nullptr) retriever = std::make_unique<rag::Retriever>(*library.store, *library.embedder);
  auto searched = retriever->search(question.text, options);
  if (is_whole(searched)) library.retriever = std::move(retriever);
  PHIAL_TRY(const rag::Retrieval found, std::move(searched));
  auto told = std::make_unique<phial_answer>();
  Json list = Json::array();
  for (const rag::Hit& hit : found.hits) {
    told->answer.citations.push_back(rag::citation_of(hit, static_cast<int>(told->answer.citations.size()) + 1));
    list.push_back(rag::to_json(told->answer.citations.back()));
  }
  repair_names(told->answer);
  told->answer.question = question.text;
  told->answer.retrieve_ms = told->answer.total_ms = found.milliseconds;
  told->json = dump_json(list);
  *answer = told.release();
  return ok();
}

Result<rag::AnswerOptions> answer_options(const Question& question, const phial_library& library) {
  PHIAL_TRY(GenerateOptions generate, read_generate_options(question.given.generate));
  if (!generate.pictures.empty()) {
    return Error{Code::kInvalid, "a question to documents with images", "images go with phial_session_chat"};
  }
  rag::AnswerOptions options;
  options.search = question.search;
  if (generate.max_tokens > 0) options.max_tokens = generate.max_tokens;
  if (question.given.passage_tokens > 0) options.passage_tokens = question.given.passage_tokens;
  options.sampling = generate.sampling;
  options.stop = std::move(generate.stop);
  options.explain = question.given.explain != 0;
  options.reader.program = library.reader;
  if (question.given.figures != 0) options.figures = std::max(question.given.figures, 0);
  if (library.reader.empty()) options.figures = 0;  // nobody draws them
  options.cancel = std::move(generate.cancel);
  return options;
}

Status ask(phial_library& library, const phial_model* model, const Question& question, phial_on_text on_text,
           void* user_data, phial_answer** answer) {
  PHIAL_TRY(rag::AnswerOptions options, answer_options(question, library));
  std::vector<generate::Message> history;
  if (question.given.history_json != nullptr) {
    PHIAL_TRY(const std::string json, read_text(question.given.history_json, "history_json"));
    const auto turns = parse_json(json);
    const bool is_first_turn = turns && turns->is_array() && turns->empty();
    if (!is_first_turn) {
      PHIAL_TRY(history, read_messages(json, {}));
    }
  }
  TextSink sink(on_text, user_data, options.cancel);
  options.cancel = sink.cancel();
  const auto by = model != nullptr ? model->loaded : nullptr;
  if (by != nullptr) PHIAL_CHECKED(by->engine->engine().tokenizer());
  auto asker = std::move(library.asker);
  if (asker == nullptr || asker->model != by) asker = std::make_unique<Asker>(*library.store, library.embedder, by);
  auto told = std::make_unique<phial_answer>();
  auto answered =
      asker->answerer.answer(question.text, history, options, [&sink](std::string_view text) { sink.take(text); });
  if (is_whole(answered)) library.asker = std::move(asker);
  PHIAL_TRY(told->answer, std::move(answered));
  repair_names(told->answer);
  told->json = dump_json(rag::to_json(told->answer));
  *answer = told.release();
  return ok();
}

}  // namespace
}  // namespace phial::capi

using namespace phial::capi;  // NOLINT(google-build-using-namespace): this file defines C functions

phial_code phial_library_open(const char* path, phial_embedder* embedder, const phial_library_options* options,
                              phial_library** library, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(library, "the place for the library"));
    PHIAL_CHECKED(check_given(embedder, "the embedder"));
    PHIAL_TRY(const std::string file, read_text(path, "the library's path"));
    PHIAL_TRY(const phial_library_options given, read_options(options, sizeof(phial_library_options)));
    PHIAL_TRY(std::string reader, read_optional_text(given.reader, "reader"));
    if (reader.empty()) reader = find_reader();
    PHIAL_TRY(auto store, phial::rag::Store::open(file, embedder->loaded->identity()));
    *library = new phial_library{embedder->loaded, std::move(store), std::move(reader)};
    return phial::ok();
  });
}

void phial_library_free(phial_library* library) { delete library; }

phial_code phial_library_get_info(phial_library* library, phial_library_info* info, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(library, "the library"));
    PHIAL_TRY(const auto totals, library->store->totals());
    return write_info(phial_library_info{.size = sizeof(phial_library_info),
                                         .files = totals.files,
                                         .failed_files = totals.failed_files,
                                         .documents = totals.documents,
                                         .passages = totals.passages,
                                         .bytes_on_disk = totals.bytes_on_disk},
                      sizeof(phial_library_info), info);
  });
}

phial_code phial_library_add(phial_library* library, const char* const* paths, size_t count,
                             const phial_add_options* options, phial_add_report* report, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(library, "the library"));
    library->problems.clear();
    PHIAL_TRY(const auto texts, read_texts(paths, count, "a path"));
    if (std::ranges::find(texts, "") != texts.end() || texts.empty()) {
      return phial::Error{phial::Code::kInvalid, "there is no path, or an empty one", "name files and folders"};
    }
    if (library->reader.empty()) {
      return phial::Error{phial::Code::kNotFound, "the program phial-reader is not beside this program or library",
                          "name it in phial_library_options"};
    }
    PHIAL_TRY(const phial_add_options given, read_options(options, sizeof(phial_add_options)));
    return add(*library, texts, given, report);
  });
}

phial_code phial_library_get_problem(const phial_library* library, size_t index, phial_problem* problem,
                                     phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(library, "the library"));
    if (index >= library->problems.size()) {
      return phial::Error{phial::Code::kOutOfRange,
                          "problem " + std::to_string(index) + " of " + std::to_string(library->problems.size()), ""};
    }
    const auto& one = library->problems[index];
    return write_info(phial_problem{.size = sizeof(phial_problem),
                                    .path = one.path.c_str(),
                                    .message = one.message.c_str(),
                                    .remedy = one.remedy.c_str(),
                                    .in_library = one.is_in_library ? 1 : 0},
                      kLeastProblem, problem);
  });
}

phial_code phial_library_search(phial_library* library, const char* question, const phial_ask_options* options,
                                phial_answer** answer, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(library, "the library"));
    PHIAL_CHECKED(check_given(answer, "the place for the answer"));
    PHIAL_TRY(const Question read, read_question(question, options));
    return search(*library, read, answer);
  });
}

phial_code phial_library_ask(phial_library* library, phial_model* model, const char* question,
                             const phial_ask_options* options, phial_on_text on_text, void* user_data,
                             phial_answer** answer, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(library, "the library"));
    PHIAL_CHECKED(check_given(answer, "the place for the answer"));
    PHIAL_TRY(const Question read, read_question(question, options));
    return ask(*library, model, read, on_text, user_data, answer);
  });
}

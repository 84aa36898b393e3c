#include <algorithm>
#include <filesystem>
#include <utility>

#include "phial/cli/home.h"
#include "phial/cli/libraries.h"
#include "phial/cli/model_flags.h"
#include "phial/cli/verbs.h"
#include "phial/rag/open_embedder.h"
#include "phial/rag/watch.h"

namespace phial::cli {
namespace {

struct Add : Command {
  std::vector<std::string> paths;
  std::string library = kDefaultLibrary;
  std::optional<std::string> embedder_name;
  bool keep_watching = false, json = false;
  ScanFlags scan;
  ModelFlags describer;  // its `model` is --describe-with

  void describe(Flags& flags) override {
    flags.argument("PATH", &paths, "files and folders").offers(Completes::kPath).must();
    flags.add("-l,--library", &library, "NAME", "the library they go into").offers(Completes::kLibrary);
    flags
        .add("--describe-with", &describer.model, "M",
             "a model that sees (of a GGUF file by mmproj-NAME beside it) writes what pictures show; each once")
        .offers(Completes::kModel);
    flags.add("--watch", keep_watching, "stay, and follow changes until Ctrl-C");
    flags.add("--embedder", &embedder_name, "M", "the model that passages are searched with").offers(Completes::kModel);
    flags.add("--json", json, "one JSON object: what was done");
    scan.describe(flags);
    describer.compute.describe(flags);
  }

  Status check() override {
    if (std::ranges::find(paths, "") == paths.end()) return check_library_name(library);
    return Error{Code::kInvalid, "a path is empty", "name files and folders"};
  }

  Status run(Console& console) override {
    PHIAL_CHECKED(check_paths(paths, console));
    PHIAL_TRY(const auto model, find_model(embedder_name, ModelUse::kSearch));
    const ComputeFlags& compute = describer.compute;
    ThreadPool pool(compute.threads);
    PHIAL_TRY(const auto embedder, rag::open_embedder(model, compute.chosen_precision(), compute.load_mode(), pool));
    PHIAL_TRY(const auto store, make_library(library, *embedder));
    rag::IngestOptions options = scan.options(console.stopped());
    PHIAL_TRY(const auto seeing, open_describer(pool, console));
    options.describer = seeing.get();
    if (describer.model) options.describer_name = name_of_model(*describer.model);
    PHIAL_TRY(const auto report, ingest_with_progress(*store, *embedder, paths, options, console));
    tell(console, report);
    return keep_watching ? follow(console, *store, *embedder, options, report) : check_named(report);
  }

  // A file inside a folder may be unreadable; one that was named itself is what was asked for.
  Status check_named(const rag::IngestReport& report) const {
    std::vector<std::string> failed;
    for (const auto* list : {&report.problems, &report.failed_before}) {
      for (const rag::IngestProblem& problem : *list) {
        if (!problem.is_in_library) failed.push_back(problem.path);
      }
    }
    const auto has_failed = [&](const std::string& path) {
      return std::ranges::find(failed, rag::absolute_path(path)) != failed.end();
    };
    const auto count = std::ranges::count_if(paths, has_failed);
    if (count == 0) return ok();
    const std::string which = count == 1 ? "'" + *std::ranges::find_if(paths, has_failed) + "' was"
                                         : std::to_string(count) + " of the paths were";
    return Error{Code::kUnsupported, which + " not added", "the reason stands above"};
  }

  // Of a file or folder the last part of its path.
  static std::string name_of_model(const std::string& given) {
    const std::filesystem::path path = std::filesystem::path(given).lexically_normal();
    return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
  }

  // Null: nothing is described.
  Result<std::unique_ptr<generate::Engine>> open_describer(ThreadPool& pool, Console& console) const {
    if (!describer.model) return std::unique_ptr<generate::Engine>();
    PHIAL_TRY(auto engine, describer.open(pool, console));
    PHIAL_CHECKED(engine->tokenizer());
    if (!engine->sees()) {
      return Error{Code::kInvalid,
                   "the model '" + std::string(engine->name()) + "' does not see pictures (--describe-with)",
                   "name one that does, such as Phi-3-vision"};
    }
    return engine;
  }

  void tell(Console& console, const rag::IngestReport& report) const {
    if (json) {
      Json told = report_json(report);
      told["library"] = library;
      console.write(dump_json(told) + "\n");
    } else {
      console.write(library + ": " + report_text(report) + "\n");
    }
  }

  // `report`: of what was there when it began.
  Status follow(Console& console, rag::Store& store, rag::Embedder& embedder, rag::IngestOptions options,
                const rag::IngestReport& report) const {
    options.retry_failed = false;  // that was done
    console.note("following changes; Ctrl-C ends it");
    const std::vector<std::filesystem::path> folders(paths.begin(), paths.end());
    const Log log = console.log();
    bool is_told = !report.machine_warning.empty();
    return rag::watch(
        store, embedder, folders, options, [](const rag::IngestProgress&) {},
        [&](const rag::IngestReport& now) {
          if (!now.machine_warning.empty() && !std::exchange(is_told, true)) {
            log(Severity::kWarning, now.machine_warning);
          }
          for (const auto& problem : now.problems) log(Severity::kWarning, problem_text(problem));
          tell(console, now);
        });
  }
};

}  // namespace

std::unique_ptr<Command> make_add() { return std::make_unique<Add>(); }

}  // namespace phial::cli

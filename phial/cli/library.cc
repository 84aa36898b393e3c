#include <algorithm>

#include "phial/base/bytes_text.h"
#include "phial/base/decimal.h"
#include "phial/cli/compute_flags.h"
#include "phial/cli/home.h"
#include "phial/cli/libraries.h"
#include "phial/cli/verbs.h"
#include "phial/rag/answer.h"
#include "phial/rag/open_embedder.h"

namespace phial::cli {
namespace {

std::string count_text(int64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

struct LibraryList : Command {
  bool names = false, json = false;
  void describe(Flags& flags) override {
    flags.add("--names", names, "names only, one a line");
    flags.add("--json", json, "one JSON object a line: name, folders, files, passages, bytes");
  }
  Status run(Console& console) override {
    PHIAL_TRY(const auto home, home_folder());
    const auto all = rag::library_names(home);
    if (all.empty() && !names && !json) console.note("no libraries yet: 'phial add PATH' makes one");
    for (const std::string& name : all) {
      if (names) {
        console.write(name + "\n");
        continue;
      }
      // One damaged library must not hide the others.
      const Status told = tell(console, name);
      if (!told) console.log()(Severity::kWarning, name + ": " + told.error().text());
    }
    return ok();
  }
  Status tell(Console& console, const std::string& name) const {
    PHIAL_TRY(const auto store, open_library(name));
    PHIAL_TRY(const auto totals, store->totals());
    PHIAL_TRY(const auto roots, store->roots());
    Json folders = Json::array();
    std::string list;
    for (const rag::Root& root : roots) {
      folders.push_back(root.path);
      list += (list.empty() ? "" : ", ") + root.path;
    }
    if (json) {
      console.write(dump_json({{"name", name},
                               {"folders", folders},
                               {"files", totals.files},
                               {"passages", totals.passages},
                               {"bytes", totals.bytes_on_disk}}) +
                    "\n");
    } else {
      console.write(name + "  " + count_text(totals.files, "file") + ", " + count_text(totals.passages, "passage") +
                    ", " + bytes_text(static_cast<uint64_t>(totals.bytes_on_disk)) + "  " + one_line(list) + "\n");
    }
    return ok();
  }
};

struct LibraryShow : Command {
  std::string library = kDefaultLibrary;
  bool json = false;
  void describe(Flags& flags) override {
    flags.add("-l,--library", &library, "NAME", "which").offers(Completes::kLibrary);
    flags.add("--json", json, "one JSON object");
  }
  Status check() override { return check_library_name(library); }
  Status run(Console& console) override {
    PHIAL_TRY(const auto store, open_library(library));
    PHIAL_TRY(const auto totals, store->totals());
    PHIAL_TRY(const auto roots, store->roots());
    PHIAL_TRY(const auto files, store->files());
    PHIAL_TRY(const auto warnings, store->warnings());
    const auto warnings_of = [&](const rag::FileRecord& file) {
      const auto found = warnings.find(file.content_id);
      return found == warnings.end() ? std::vector<std::string>() : found->second;
    };
    if (json) {
      Json listed = Json::array();
      for (const rag::FileRecord& file : files) {
        listed.push_back({{"path", file.path},
                          {"bytes", file.size},
                          {"error", file.error.empty() ? Json() : Json(file.error)},
                          {"warnings", warnings_of(file)}});
      }
      write_json(console, totals, roots, std::move(listed), store->path().string());
      return ok();
    }
    console.write(library + ": " + count_text(totals.files, "file") + ", " +
                  count_text(totals.failed_files, "unreadable one") + ", " + count_text(totals.passages, "passage") +
                  ", " + bytes_text(static_cast<uint64_t>(totals.bytes_on_disk)) + " in " + store->path().string() +
                  "\nembedder: " + totals.embedder.name + " (" + std::to_string(totals.embedder.dim) + ")\n");
    for (const rag::Root& root : roots) console.write("folder: " + one_line(root.path) + "\n");
    for (const rag::FileRecord& file : files) {
      const auto in_part = warnings_of(file);
      const std::string told = in_part.empty() ? without_place(file.error, file.path) : rag::read_in_part(in_part);
      console.write("  " + one_line(file.path) + (told.empty() ? "" : "  (" + one_line(told) + ")") + "\n");
    }
    return ok();
  }
  void write_json(Console& console, const rag::LibraryTotals& totals, const std::vector<rag::Root>& roots, Json files,
                  const std::string& path) const {
    Json folders = Json::array();
    for (const rag::Root& root : roots) folders.push_back(root.path);
    console.write(dump_json({{"name", library},
                             {"path", path},
                             {"folders", folders},
                             {"files", std::move(files)},
                             {"documents", totals.documents},
                             {"passages", totals.passages},
                             {"unreadable", totals.failed_files},
                             {"bytes", totals.bytes_on_disk},
                             {"embedder", totals.embedder.name}}) +
                  "\n");
  }
};

struct LibraryRemove : Command {
  std::string library;
  std::vector<std::string> paths;
  bool json = false;
  void describe(Flags& flags) override {
    flags.argument("PATH", &paths, "only these files or folders; none: the whole library").offers(Completes::kPath);
    flags.add("-l,--library", &library, "NAME", "which").offers(Completes::kLibrary).must();
    flags.add("--json", json, "one JSON object: library, files (null: the whole library)");
  }
  Status check() override { return check_library_name(library); }
  Status run(Console& console) override {
    if (paths.empty()) {
      PHIAL_TRY(const auto home, home_folder());
      const auto names = rag::library_names(home);  // not opened: a damaged one can be removed too
      if (std::ranges::find(names, library) == names.end()) return open_library(library).error();
      PHIAL_CHECKED(rag::remove_library(home, library));
      console.note("removed the library '" + library + "'; the documents themselves are untouched");
      tell(console, nullptr);
      return ok();
    }
    PHIAL_TRY(const auto store, open_library(library));
    PHIAL_TRY(const auto roots, store->roots());
    Json removed = Json::array();
    for (const std::string& path : paths) {
      const std::string whole = rag::absolute_path(path);
      PHIAL_TRY(const auto files, store->files_under(whole));
      const bool is_root = std::ranges::any_of(roots, [&](const rag::Root& root) { return root.path == whole; });
      if (files.empty() && !is_root) {
        return Error{Code::kNotFound, "nothing of this is in the library '" + library + "' (" + whole + ")",
                     "'phial library show --library " + library + "' lists its files"};
      }
      std::vector<std::string> gone;
      gone.reserve(files.size());
      for (const rag::FileRecord& file : files) gone.push_back(file.path);
      if (is_root) PHIAL_CHECKED(store->remove_root(whole));
      PHIAL_CHECKED(store->remove_files(gone));
      console.note("removed " + count_text(static_cast<int64_t>(gone.size()), "file") + " from '" + library + "'");
      for (std::string& file : gone) removed.push_back(std::move(file));
    }
    PHIAL_CHECKED(store->forget_removed());
    tell(console, std::move(removed));
    return ok();
  }
  void tell(Console& console, Json files) const {
    if (json) console.write(dump_json({{"library", library}, {"files", std::move(files)}}) + "\n");
  }
};

struct LibrarySearch : Command {
  std::string library = kDefaultLibrary;
  std::string query;
  std::optional<std::string> embedder_name;
  int k = 8;
  bool json = false, explained = false;
  FilterFlags filter;
  ComputeFlags compute;

  void describe(Flags& flags) override {
    flags.argument("QUERY", &query, "words or a question").must();
    flags.add("-l,--library", &library, "NAME", "which").offers(Completes::kLibrary);
    flags.add("-k", &k, "N", "at most N passages").between(1, 1000);
    flags.add("--json", json, "one JSON object a line, with the fields of a citation");
    flags.add("--explain", explained, "every candidate with its scores, on standard error");
    flags.add("--embedder", &embedder_name, "M", "the model that the library was made with").offers(Completes::kModel);
    filter.describe(flags);
    compute.describe(flags);
  }
  Status check() override {
    if (query.find_first_not_of(" \t\r\n") == std::string::npos) {
      return Error{Code::kInvalid, "the query is empty", "phial library search \"notice period\""};
    }
    PHIAL_CHECKED(filter.filter());
    return check_library_name(library);
  }

  Status run(Console& console) override {
    PHIAL_TRY(const auto looked_up, open_library(library));  // before a model is loaded for one that is not there
    PHIAL_TRY(const auto model, find_model(embedder_name, ModelUse::kSearch));
    ThreadPool pool(compute.threads);
    PHIAL_TRY(const auto embedder, rag::open_embedder(model, compute.chosen_precision(), compute.load_mode(), pool));
    PHIAL_TRY(const auto store, make_library(library, *embedder));
    rag::SearchOptions options;
    options.k = static_cast<size_t>(k);
    PHIAL_TRY(options.filter, filter.filter());
    options.cancel = console.stopped();
    rag::Retriever retriever(*store, *embedder);
    PHIAL_TRY(const auto found, retriever.search(query, options));
    if (found.hits.empty() && !json) console.note("nothing found");
    for (size_t i = 0; i < found.hits.size(); ++i) {
      const rag::Hit& hit = found.hits[i];
      console.write(json ? dump_json(rag::to_json(rag::citation_of(hit, static_cast<int>(i + 1)))) + "\n"
                         : hit_text(hit, i + 1));
    }
    if (explained) console.note(dump_json(rag::explain(found)));
    return ok();
  }

  static std::string hit_text(const rag::Hit& hit, size_t n) {
    std::string text = "[" + std::to_string(n) + "] " + shown_path(hit.path);
    if (hit.passage.page > 0) text += ", page " + std::to_string(hit.passage.page);
    text += figures_text(hit.figures);
    if (!hit.passage.heading.empty()) text += ", " + one_line(hit.passage.heading);
    return text + "  (" + decimal("%.2f", hit.score) + ")\n    " + one_line(hit.passage.text) + "\n";
  }
};

}  // namespace

std::unique_ptr<Command> make_library_list() { return std::make_unique<LibraryList>(); }
std::unique_ptr<Command> make_library_show() { return std::make_unique<LibraryShow>(); }
std::unique_ptr<Command> make_library_remove() { return std::make_unique<LibraryRemove>(); }
std::unique_ptr<Command> make_library_search() { return std::make_unique<LibrarySearch>(); }

}  // namespace phial::cli

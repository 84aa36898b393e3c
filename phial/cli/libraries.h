// The person's libraries: which one a command means, and bringing it into step with folders.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "phial/cli/console.h"
#include "phial/cli/flags.h"
#include "phial/rag/ingest.h"
#include "phial/rag/retrieve.h"
#include "phial/rag/store.h"

namespace phial::cli {

inline constexpr const char* kDefaultLibrary = "default";

// What of a library is searched, and what of a folder is read.
struct FilterFlags {
  std::vector<std::string> paths;
  std::optional<std::string> since, until;

  void describe(Flags& flags);
  Result<rag::SearchFilter> filter() const;  // kInvalid for a date that is none
};

struct ScanFlags {
  rag::ScanOptions scan;
  bool no_ignore_files = false, no_ocr = false, retry = false;
  std::string ocr_languages = "eng";

  void describe(Flags& flags);
  rag::IngestOptions options(std::stop_token cancel) const;
};

// Such a name as a library can have: what --library is given is the command line's to get right.
Status check_library_name(const std::string& name);

// The library of a set of documents that was given without a name: the same set has the same one.
std::string library_name_for(std::span<const std::string> paths);

// kNotFound names those that exist.
Result<std::unique_ptr<rag::Store>> open_library(const std::string& name);
// Makes it if it is not there.
Result<std::unique_ptr<rag::Store>> make_library(const std::string& name, const rag::Embedder& embedder);

// Of files and folders that a person names, before a library is made for them: kNotFound and the like if none can be
// had. Where some can, ingest() tells of the others.
Status check_paths(std::span<const std::string> paths, Console& console);
// ingest() with its progress on the terminal, and with its problems and files that failed before as warnings.
Result<rag::IngestReport> ingest_with_progress(rag::Store& store, rag::Embedder& embedder,
                                               std::span<const std::string> paths, const rag::IngestOptions& options,
                                               Console& console);
// "it is empty (PATH)" without the place, where that is told already.
std::string without_place(std::string message, const std::string& path);

// "skipped: it is password-protected (notes.pdf): ...", "read in part: no text on page 3 (notes.pdf)"
std::string problem_text(const rag::IngestProblem& problem);
// "12 added, 1 changed, ..."
std::string report_text(const rag::IngestReport& report);
Json report_json(const rag::IngestReport& report);

// ", with a figure", ", with 2 figures", or nothing.
std::string figures_text(std::span<const formats::Figure> figures);

}  // namespace phial::cli

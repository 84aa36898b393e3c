// Brings a library into step with files and folders.
//
// Incremental: size and time first, then a hash of the bytes. What was seen before, under whatever name, is neither
// read nor embedded again. Files that cannot be read are remembered with the reason and not tried again until they
// change. Each file is one transaction, and so is each description of a figure, so stopping at any point loses nothing
// that was done. Readers run in processes
// of their own, as many as there are cores, while the embedder works. Threads: one call at a time a store.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/generate/language_model.h"
#include "phial/rag/embed.h"
#include "phial/rag/reader_client.h"
#include "phial/rag/scan.h"
#include "phial/rag/store.h"

namespace phial::rag {

struct IngestOptions {
  ScanOptions scan;
  ReaderOptions reader;
  int readers = 0;            // at once; 0: as many as usable cores
  bool retry_failed = false;  // reads those again, too, that could be read only in part
  // Sees, and writes what figures show into the text of documents that have some; those that are in the library without
  // its words are read again. Null: nobody does.
  generate::LanguageModel* describer = nullptr;
  std::string describer_name = {};  // what tells it from other models, for people too; empty without one
  std::stop_token cancel;
};

struct IngestProgress {
  size_t files_total = 0, files_done = 0;  // of those that are new or changed
  int64_t bytes_total = 0, bytes_done = 0;
  int64_t passages = 0;   // embedded so far
  int64_t described = 0;  // figures, so far
  double seconds = 0;
  double passages_per_second = 0;
  double seconds_left = 0;  // by bytes; 0 at the start
  std::string path;         // what was just done
};
using OnProgress = std::function<void(const IngestProgress&)>;

struct IngestProblem {
  std::string path, message, remedy;
  bool is_in_library = false;  // all the same: in part, or as it was before
};

struct IngestReport {
  int64_t added = 0, changed = 0, unchanged = 0;
  int64_t linked = 0;   // same bytes as a file that was there already: moved, renamed or copied
  int64_t removed = 0;  // gone from the disk, or no longer wanted
  int64_t passages = 0;
  int64_t described = 0;                     // figures, by options.describer and not known before
  std::vector<IngestProblem> problems;       // new ones; what was read in part and not described in part has two
  std::vector<IngestProblem> failed_before;  // known to be unreadable and not changed since
  std::string machine_warning;               // as in a document (formats/extracted_document.h), of any that was read
};

// kNotFound if none of `paths` exists; kCancelled; kIo and the like if the library cannot be written. A file that
// cannot be read is a problem in the report.
Result<IngestReport> ingest(Store& store, Embedder& embedder, std::span<const std::filesystem::path> paths,
                            const IngestOptions& options, const OnProgress& on_progress);

// "read in part: no text on page 3; page 7 is damaged", of a document's warnings. Not all of many are named.
std::string read_in_part(std::span<const std::string> warnings);

// Scan options as kept with a root of the library, and back.
std::string to_text(const ScanOptions& options);
ScanOptions scan_options_from(std::string_view text);

}  // namespace phial::rag

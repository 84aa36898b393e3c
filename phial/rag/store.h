// A library of documents in one SQLite file.
//
// What is promised: a document is in it wholly or not at all (one transaction a file, write-ahead log), whatever ends
// the process; several processes may read and write at once; one that cannot be written can be searched; a file of an
// earlier schema is brought up to this one when it is opened, one of a later schema or another embedder is refused with
// the remedy, never misread.
// Errors: kCorrupt (damaged file), kIo (disk full, busy, permissions), kInvalid (another embedder), kUnsupported
// (a later schema). Threads: one at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/extracted_document.h"
#include "phial/rag/chunk.h"

namespace phial::rag {

class Database;

// XXH3, 128 bits, of a file's bytes.
using ContentHash = std::string;

// What made the vectors of a library: vectors of two embedders cannot be compared.
struct EmbedderIdentity {
  std::string name;
  int dim = 0;
};
// "all-MiniLM-L6-v2" of an identity's name, in which a hash and a length stand behind it.
std::string model_of_identity(std::string_view identity);

struct FileRecord {
  std::string path;
  int64_t size = 0;
  int64_t mtime_ns = 0;
  ContentHash hash;        // empty: it could not be opened
  int64_t content_id = 0;  // 0: none, see error
  std::string error, remedy;
};

struct StoredPassage {
  int64_t id = 0;
  int64_t content_id = 0;
  int ordinal = 0;
  uint64_t start = 0, end = 0;
  int page = 0;
  std::string heading, title, format, text;
  std::string gap;  // white space up to the next passage of the document
};

// Ends the name of who described a document if another try may describe more of it.
inline constexpr std::string_view kDescribedInPart = " (in part)";
// In the place of that name, for what a version of Phial read that looked for no figures; no model is called so.
inline constexpr std::string_view kReadWithoutFigures = "/read without figures";

// What was written about a document's figures.
struct Descriptions {
  std::string_view by = {};                    // the model, kDescribedInPart behind it; empty: nobody
  std::span<const ContentHash> pictures = {};  // of each figure, empty for one that was not described; or none at all
  bool is_second_try = false;  // of a document that was read in part: takes its place whoever described that one
};

struct Root {
  std::string path;
  std::string options;  // JSON, written and read by ingest
};

struct LibraryTotals {
  int64_t files = 0, failed_files = 0, documents = 0, passages = 0, bytes_on_disk = 0;
  EmbedderIdentity embedder;
};

class Store {
 public:
  // Opens or makes the library. An existing one must have been made with `embedder`.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& path, const EmbedderIdentity& embedder);
  // Opens an existing one with whatever embedder it has (to list, show or remove). kNotFound if there is none.
  static Result<std::unique_ptr<Store>> open_existing(const std::filesystem::path& path);
  ~Store();

  const std::filesystem::path& path() const { return path_; }
  const EmbedderIdentity& embedder() const { return embedder_; }

  // Files.
  Result<std::optional<FileRecord>> file(std::string_view path);
  Result<std::vector<FileRecord>> files();                               // sorted by path
  Result<std::vector<FileRecord>> files_under(std::string_view folder);  // and `folder` itself if it is a file
  Result<std::vector<FileRecord>> files_of(int64_t content_id);
  // The document of a file with these bytes, 0 if there is none.
  Result<int64_t> find_content(const ContentHash& hash);
  Result<std::vector<ContentHash>> content_hashes();
  // One transaction each. put_document: the file, and its document unless another file brought it meanwhile. One that
  // is there takes the place of that which was, for all files with these bytes, if that was read without figures or if
  // `descriptions` are by another model, in part, or of a second try.
  // `vectors`: [passages.size(), dim].
  Status put_document(const FileRecord& file, const formats::ExtractedDocument& document,
                      std::span<const Passage> passages, std::span<const float> vectors,
                      const Descriptions& descriptions = {});
  // With content_id or error set. False, and nothing done, if that document has gone meanwhile.
  Result<bool> put_file(const FileRecord& file);
  Status remove_files(std::span<const std::string> paths);
  // Drops documents that no file has any more. Until then they can still be found under another name; searches leave
  // them out.
  Status remove_orphans();

  // What the person added.
  Result<std::vector<Root>> roots();
  Status put_root(const Root& root);
  Status remove_root(std::string_view path);  // and those of its files that stand under no other one
  // What no file needs any more, for good: documents, and descriptions of pictures that are in none.
  Status forget_removed();

  // Passages.
  Result<std::vector<StoredPassage>> passages(
      std::span<const int64_t> ids);                                   // in the order of ids; unknown ones left out
  Result<std::vector<StoredPassage>> passages_of(int64_t content_id);  // in document order
  struct WordPlace {
    int64_t passage = 0;
    int64_t times = 0;  // in its context and its text
  };
  // The passages that have `term` (lexical.h), in order of their ids.
  Result<std::vector<WordPlace>> find_word(const std::string& term);
  // Passages that have `term`, counted up to `at_most`; -1: all.
  Result<int64_t> count_passages_with(const std::string& term, int64_t at_most = -1);
  // Indexed words that contain one of `parts` or stand in it, for each part the `at_most` rarest: for compounds.
  Result<std::vector<std::string>> related_words(std::span<const std::string> parts, size_t at_most);
  // After documents came: makes related_words() as fast as it was before them. What is found is the same.
  Status refresh_word_list();
  Result<std::vector<formats::WordBox>> boxes(int64_t content_id, uint64_t start, uint64_t end);
  // The figures that bytes start..end of the document's text tell of, as they stand in it.
  Result<std::vector<formats::Figure>> figures(int64_t content_id, uint64_t start, uint64_t end);

  // What `model` wrote about the picture with this hash.
  Result<std::optional<std::string>> description(const ContentHash& hash, std::string_view model);
  Status put_description(const ContentHash& hash, std::string_view model, std::string_view text);
  // Documents that were read without figures, and those with figures that `model` has not described; "": the former.
  // `second_try`: and those that were read in part, unless another model's descriptions would be lost.
  Result<std::vector<int64_t>> to_read_again(std::string_view model, bool second_try = false);
  // What the reader left out, one line each, of the documents that it did not read whole.
  Result<std::unordered_map<int64_t, std::vector<std::string>>> warnings();

  // Grows whenever any process changes the library.
  Result<int64_t> data_version();
  // Visits ids and vectors of each document with id > `after`, in order of id.
  struct DocumentVectors {
    int64_t content_id = 0;
    std::vector<int64_t> passages;
    std::vector<uint32_t> bytes;      // of each passage's text
    std::span<const std::byte> rows;  // float16 [passages.size(), dim], valid during the visit
  };
  Status visit_vectors(int64_t after, const std::function<Status(const DocumentVectors&)>& visit);
  Result<std::vector<int64_t>> content_ids();

  Result<LibraryTotals> totals();

 private:
  Store(std::filesystem::path path, std::unique_ptr<Database> database);
  Status prepare_schema(const EmbedderIdentity* wanted);
  Status check_application();
  Status make_schema(const EmbedderIdentity* wanted);
  Status put_figures(int64_t content_id, std::span<const formats::Figure> figures,
                     std::span<const ContentHash> pictures);
  Status check_identity(const EmbedderIdentity* wanted);
  Result<int64_t> insert_content(const FileRecord& file, const formats::ExtractedDocument& document,
                                 std::span<const Passage> passages, std::span<const float> vectors,
                                 const Descriptions& descriptions);
  Status remove_content(int64_t id);  // that no file has
  // By what was read again.
  Result<bool> is_to_be_replaced(int64_t content_id, const Descriptions& descriptions);
  Status write_file(const FileRecord& file);

  std::filesystem::path path_;
  std::unique_ptr<Database> database_;
  EmbedderIdentity embedder_;
  bool has_figures_ = true;  // false: of version 1, and cannot be written
};

// $HOME_FOLDER/libraries/NAME.db. kInvalid for a name that is no plain word.
Result<std::filesystem::path> library_path(const std::filesystem::path& home, std::string_view name);
// Names of the libraries there, sorted.
std::vector<std::string> library_names(const std::filesystem::path& home);
// Deletes the library's files.
Status remove_library(const std::filesystem::path& home, std::string_view name);

}  // namespace phial::rag

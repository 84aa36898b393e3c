#include "phial/documents/read_document.h"

#include <exception>
#include <new>

#include "phial/documents/readers/readers.h"
#include "phial/documents/sniff.h"

namespace phial::documents {
namespace {

const FormatReader* find_reader(std::string_view format) {
  for (const FormatReader& reader : format_readers()) {
    if (reader.format == format) return &reader;
  }
  return nullptr;
}

// The one place where exceptions of the libraries behind the readers end.
Status run_reader(const FormatReader& reader, ReaderJob& job) {
  try {
    return reader.read(job);
  } catch (const std::bad_alloc&) {
    return Error{Code::kOutOfRange,
                 "reading this " + std::string(reader.format) + " file takes more memory than allowed",
                 "give the reader more memory, or split the file"};
  } catch (const std::exception& problem) {
    return Error{Code::kCorrupt, "this " + std::string(reader.format) + " file cannot be read: " + problem.what(),
                 "open it in the program that made it and save it again"};
  }
}

}  // namespace

Reading read_document(const Source& source, const ReadOptions& options) {
  if (source.bytes.empty()) return {Error{Code::kUnsupported, "the file is empty", "there is nothing to index"}};
  std::string format = options.format;
  if (format.empty()) {
    auto sniffed = sniff_format(source.bytes, source.name);
    if (!sniffed) return {std::move(sniffed).error()};
    format = *std::move(sniffed);
  }
  const FormatReader* reader = find_reader(format);
  if (reader == nullptr) {
    return {Error{Code::kInvalid, "there is no format '" + format + "'", "choose one of " + format_names()}};
  }
  DocumentBuilder builder(format, options.max_text_bytes);
  ReaderJob job{source, options, builder};
  if (Status status = run_reader(*reader, job); !status) return {std::move(status).error(), job.ocr_would_help};
  return {std::move(builder).finish(), job.ocr_would_help};
}

std::string format_names() {
  std::string names;
  for (const FormatReader& reader : format_readers()) {
    if (!names.empty()) names += ", ";
    names += reader.format;
  }
  return names;
}

}  // namespace phial::documents

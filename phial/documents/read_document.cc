#include "phial/documents/read_document.h"

#include <exception>
#include <new>
#include <type_traits>

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
template <class Work>
std::invoke_result_t<Work> guard(std::string_view format, const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Error{Code::kOutOfRange, "reading this " + std::string(format) + " file takes more memory than allowed",
                 "split the file"};
  } catch (const std::exception& problem) {
    return Error{Code::kCorrupt, "this " + std::string(format) + " file cannot be read: " + problem.what(),
                 "open it in the program that made it and save it again"};
  }
}

Result<const FormatReader*> reader_of(const Source& source, const ReadOptions& options) {
  if (source.bytes.empty()) return Error{Code::kUnsupported, "the file is empty", "there is nothing to index"};
  std::string format = options.format;
  if (format.empty()) {
    PHIAL_TRY(format, sniff_format(source.bytes, source.name));
  }
  const FormatReader* reader = find_reader(format);
  if (reader != nullptr) return reader;
  return Error{Code::kInvalid, "there is no format '" + format + "'", "choose one of " + format_names()};
}

}  // namespace

Reading read_document(const Source& source, const ReadOptions& options) {
  const auto found = reader_of(source, options);
  if (!found) return {found.error()};
  const FormatReader& reader = **found;
  DocumentBuilder builder(std::string(reader.format), options.max_text_bytes);
  ReaderJob job{source, options, builder};
  if (Status status = guard(reader.format, [&] { return reader.read(job); }); !status) {
    return {std::move(status).error(), job.ocr_would_help};
  }
  return {std::move(builder).finish(), job.ocr_would_help};
}

Result<formats::Image> draw_figure(const Source& source, const ReadOptions& options, const formats::Figure& figure) {
  PHIAL_TRY(const FormatReader* const reader, reader_of(source, options));
  if (reader->draw == nullptr) {
    return Error{Code::kInvalid, "a " + std::string(reader->format) + " file has no figures", "name another file"};
  }
  return guard(reader->format, [&] { return reader->draw(source, figure); });
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

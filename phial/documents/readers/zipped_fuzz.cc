// DOCX and EPUB: the bytes as an archive, and as the main part of a sound one, which mutation alone would seldom make.
#include <zip.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "phial/documents/readers/fuzzing.h"

namespace {

std::string archive_around(std::string_view part) {
  zip_error_t problem;
  zip_error_init(&problem);
  zip_source_t* const source = zip_source_buffer_create(nullptr, 0, 0, &problem);
  zip_source_keep(source);
  zip_t* const archive = zip_open_from_source(source, ZIP_TRUNCATE, &problem);
  for (const char* name : {"word/document.xml", "word/styles.xml", "word/numbering.xml", "word/footnotes.xml"}) {
    const auto index = zip_file_add(archive, name, zip_source_buffer(archive, part.data(), part.size(), 0), 0);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
  }
  zip_close(archive);
  zip_source_open(source);
  zip_source_seek(source, 0, SEEK_END);
  std::string bytes(static_cast<size_t>(zip_source_tell(source)), '\0');
  zip_source_seek(source, 0, SEEK_SET);
  zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  zip_source_free(source);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phial::documents::fuzz_reader(data, size, {"docx", "epub"});
  const std::string archive = archive_around({reinterpret_cast<const char*>(data), size});
  phial::documents::fuzz_reader(reinterpret_cast<const uint8_t*>(archive.data()), archive.size(), {"docx"});
  return 0;
}

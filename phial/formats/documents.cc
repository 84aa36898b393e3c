#include "phial/formats/documents.h"

#include <algorithm>
#include <string_view>

#include "phial/base/json.h"
#include "phial/base/utf8.h"

namespace phial::formats {

Result<DocumentReader> DocumentReader::open(const std::filesystem::path& path) {
  PHIAL_TRY(MappedFile file, MappedFile::open(path));
  const bool has_lines = path.extension() == ".jsonl";
  return DocumentReader(std::move(file), has_lines);
}

Result<std::optional<std::string>> DocumentReader::next() {
  const auto all = file_.bytes();
  const std::string_view text(reinterpret_cast<const char*>(all.data()), all.size());
  if (!has_lines_) {
    if (position_ == text.size()) return std::optional<std::string>();
    position_ = text.size();
    if (!is_valid_utf8(text)) {
      return Error{Code::kCorrupt, file_.path().string() + ": is not UTF-8", "convert it: iconv -t UTF-8"};
    }
    return std::optional(std::string(text));
  }
  while (position_ < text.size()) {
    const size_t end = std::min(text.find('\n', position_), text.size());
    const std::string_view line = text.substr(position_, end - position_);
    position_ = std::min(end + 1, text.size());
    ++line_;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto failed = [&](const std::string& what) {
      return Error{Code::kCorrupt, file_.path().string() + ", line " + std::to_string(line_) + ": " + what,
                   "a line is a JSON object with a \"text\""};
    };
    const auto object = parse_json(line);
    if (!object) return failed(object.error().message);
    const std::string* document = find_string(*object, "text");
    if (document == nullptr) return failed("has no \"text\"");
    if (const auto images = object->find("images"); images != object->end() && !images->empty()) {
      return Error{
          Code::kUnsupported,
          file_.path().string() + ", line " + std::to_string(line_) + ": has images, and only texts are read here",
          "train vision, sft and dpo read conversations with pictures"};
    }
    if (!document->empty()) return std::optional(*document);
  }
  return std::optional<std::string>();
}

}  // namespace phial::formats

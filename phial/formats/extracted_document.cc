#include "phial/formats/extracted_document.h"

#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "phial/base/utf8.h"

namespace phial::formats {
namespace {

// In the order of BlockKind.
constexpr std::array<std::string_view, 5> kKindNames = {"heading", "paragraph", "list_item", "table", "code"};

Error bad_record(std::string message) {
  return Error{Code::kCorrupt, "the reader's record: " + std::move(message), "the document cannot be read"};
}

bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

// Valid UTF-8 whose only control characters are those of `allowed`.
bool is_clean(std::string_view text, std::string_view allowed) {
  for (size_t at = 0; at < text.size();) {
    const DecodedChar c = decode_utf8(text, at);
    if (!c.valid) return false;
    if (is_control(c.code_point) && allowed.find(text[at]) == allowed.npos) return false;
    at += static_cast<size_t>(c.length);
  }
  return true;
}

bool is_border(std::string_view text, uint64_t at) {
  return at == text.size() || (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80);
}

// A whole number that is not negative. In memory such a number may be of either of JSON's integer kinds.
std::optional<uint64_t> as_offset(const Json& value) {
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (value.is_number_integer() && value.get<int64_t>() >= 0) return static_cast<uint64_t>(value.get<int64_t>());
  return std::nullopt;
}

// A number of pages or levels: 0 to what an int holds.
std::optional<int> as_small(const Json& value) {
  const auto number = as_offset(value);
  if (!number || *number > static_cast<uint64_t>(std::numeric_limits<int>::max())) return std::nullopt;
  return static_cast<int>(*number);
}

std::optional<float> as_coordinate(const Json& value) {
  if (!value.is_number()) return std::nullopt;
  const auto coordinate = value.get<double>();
  if (!(std::fabs(coordinate) <= 1e6)) return std::nullopt;
  return static_cast<float>(coordinate);
}

// [start, end) lies in the text, after what came before, holds something, and cuts no character.
Status check_span(std::string_view text, uint64_t start, uint64_t end, uint64_t after, const std::string& what) {
  if (start >= end || end > text.size()) {
    return bad_record(what + " spans bytes " + std::to_string(start) + " to " + std::to_string(end) + " of a text of " +
                      std::to_string(text.size()));
  }
  if (start < after) return bad_record(what + " begins before the one ahead of it ends");
  if (!is_border(text, start) || !is_border(text, end)) return bad_record(what + " cuts a character");
  return ok();
}

Result<std::string> read_line(const Json& json, const char* key) {
  const std::string* value = find_string(json, key);
  if (value == nullptr || !is_clean(*value, "")) return bad_record(std::string(key) + " is not one line of text");
  return *value;
}

Result<DocumentBlock> read_block(const Json& json, const std::string& what) {
  DocumentBlock block;
  const std::string* kind = find_string(json, "kind");
  const Json* level = find_member(json, "level");
  const Json* page = find_member(json, "page");
  const Json* start = find_member(json, "start");
  const Json* end = find_member(json, "end");
  if (kind == nullptr || level == nullptr || page == nullptr || start == nullptr || end == nullptr) {
    return bad_record(what + " lacks a field");
  }
  size_t index = 0;
  while (index < kKindNames.size() && kKindNames[index] != *kind) ++index;
  if (index == kKindNames.size()) return bad_record(what + " is of the unknown kind '" + printable(*kind) + "'");
  block.kind = static_cast<BlockKind>(index);
  const auto level_value = as_small(*level), page_value = as_small(*page);
  const auto start_value = as_offset(*start), end_value = as_offset(*end);
  if (!level_value || !page_value || !start_value || !end_value)
    return bad_record(what + " has a field that is no count");
  const bool is_heading = block.kind == BlockKind::kHeading;
  if (is_heading ? *level_value < 1 || *level_value > 6 : *level_value != 0) {
    return bad_record(what + " has the level " + std::to_string(*level_value));
  }
  block.level = *level_value;
  block.page = *page_value;
  block.start = *start_value;
  block.end = *end_value;
  return block;
}

Status read_blocks(const Json& json, ExtractedDocument& document) {
  const std::string_view text = document.text;
  uint64_t after = 0;
  for (const Json& item : json) {
    const std::string what = "block " + std::to_string(document.blocks.size());
    PHIAL_TRY(const DocumentBlock block, read_block(item, what));
    PHIAL_CHECKED(check_span(text, block.start, block.end, after, what));
    if (!document.blocks.empty() && text.substr(after, block.start - after).find("\n\n") == text.npos) {
      return bad_record("no blank line stands before " + what);
    }
    after = block.end;
    document.blocks.push_back(block);
  }
  return ok();
}

// [start, end, page, left, top, right, bottom], the box right side out.
Result<WordBox> read_place(const Json& item, const std::string& what) {
  if (!item.is_array() || item.size() != 7) return bad_record(what + " is not seven numbers");
  const auto start = as_offset(item[0]), end = as_offset(item[1]);
  const auto page = as_small(item[2]);
  const auto left = as_coordinate(item[3]), top = as_coordinate(item[4]);
  const auto right = as_coordinate(item[5]), bottom = as_coordinate(item[6]);
  if (!start || !end || !page || !left || !top || !right || !bottom) {
    return bad_record(what + " has a field that is no proper number");
  }
  if (*left > *right || *top > *bottom) return bad_record(what + " has a box turned inside out");
  return WordBox{*start, *end, *page, *left, *top, *right, *bottom};
}

Status read_words(const Json& json, ExtractedDocument& document) {
  uint64_t after = 0;
  for (const Json& item : json) {
    const std::string what = "word " + std::to_string(document.words.size());
    PHIAL_TRY(const WordBox word, read_place(item, what));
    if (word.page < 1) return bad_record(what + " stands on no page");
    PHIAL_CHECKED(check_span(document.text, word.start, word.end, after, what));
    after = word.end;
    document.words.push_back(word);
  }
  return ok();
}

Status read_figures(const Json& json, ExtractedDocument& document) {
  uint64_t after = 0;
  for (const Json& item : json) {
    const std::string what = "figure " + std::to_string(document.figures.size());
    PHIAL_TRY(const WordBox at, read_place(item, what));
    if (at.left == at.right || at.top == at.bottom) return bad_record(what + " has no area");
    if (at.left < 0 || at.top < 0) return bad_record(what + " begins outside its page");
    PHIAL_CHECKED(check_span(document.text, at.start, at.end, after, what));
    after = at.start;
    document.figures.push_back({at.start, at.end, at.page, at.left, at.top, at.right, at.bottom});
  }
  return ok();
}

template <class Place>
Json place_json(const Place& at) {
  return Json::array({at.start, at.end, at.page, at.left, at.top, at.right, at.bottom});
}

Result<std::vector<std::string>> read_lines(const Json& json, const char* name) {
  const Json* list = find_member(json, name);
  if (list == nullptr || !list->is_array()) return bad_record(std::string(name) + " is not an array");
  std::vector<std::string> lines;
  for (const Json& item : *list) {
    const auto* line = item.get_ptr<const std::string*>();
    if (line == nullptr || !is_clean(*line, ""))
      return bad_record(std::string(name) + " holds more than lines of text");
    lines.push_back(*line);
  }
  return lines;
}

}  // namespace

Json to_json(const ExtractedDocument& document) {
  Json blocks = Json::array();
  for (const DocumentBlock& block : document.blocks) {
    blocks.push_back({{"kind", kKindNames[static_cast<size_t>(block.kind)]},
                      {"level", block.level},
                      {"page", block.page},
                      {"start", block.start},
                      {"end", block.end}});
  }
  Json words = Json::array();
  for (const WordBox& word : document.words) words.push_back(place_json(word));
  Json figures = Json::array();
  for (const Figure& figure : document.figures) figures.push_back(place_json(figure));
  return {
      {"title", document.title},       {"format", document.format},     {"text", document.text},
      {"blocks", std::move(blocks)},   {"words", std::move(words)},     {"figures", std::move(figures)},
      {"warnings", document.warnings}, {"left_out", document.left_out}, {"machine_warning", document.machine_warning}};
}

Result<ExtractedDocument> document_from_json(const Json& json) {
  if (!json.is_object()) return bad_record("it is not a JSON object");
  ExtractedDocument document;
  PHIAL_TRY(document.title, read_line(json, "title"));
  PHIAL_TRY(document.format, read_line(json, "format"));
  const std::string* text = find_string(json, "text");
  if (text == nullptr || !is_clean(*text, "\n\t")) return bad_record("the text is not clean UTF-8");
  document.text = *text;

  const Json* blocks = find_member(json, "blocks");
  const Json* words = find_member(json, "words");
  const Json* figures = find_member(json, "figures");
  if (blocks == nullptr || !blocks->is_array()) return bad_record("blocks is not an array");
  if (words == nullptr || !words->is_array()) return bad_record("words is not an array");
  if (figures != nullptr && !figures->is_array()) return bad_record("figures is not an array");
  PHIAL_CHECKED(read_blocks(*blocks, document));
  PHIAL_CHECKED(read_words(*words, document));
  if (figures != nullptr) PHIAL_CHECKED(read_figures(*figures, document));
  PHIAL_TRY(document.warnings, read_lines(json, "warnings"));
  if (find_member(json, "left_out") != nullptr) {
    PHIAL_TRY(document.left_out, read_lines(json, "left_out"));
  }
  if (find_member(json, "machine_warning") != nullptr) {
    PHIAL_TRY(document.machine_warning, read_line(json, "machine_warning"));
  }
  return document;
}

}  // namespace phial::formats

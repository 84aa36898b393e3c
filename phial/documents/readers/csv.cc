// Tables as text files: each row becomes a line that repeats the names of its columns, so that a passage cut out of the
// middle still says what its numbers are.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <vector>

#include "phial/documents/charset.h"
#include "phial/documents/readers/readers.h"
#include "phial/documents/sniff.h"

namespace phial::documents {
namespace {

using Record = std::vector<std::string>;

constexpr size_t kMostFields = 2'000;
constexpr size_t kLongestField = size_t{1} << 20;
constexpr size_t kSampleRecords = 50;

// Reads records one after the other. Quoted fields may hold delimiters, line breaks and doubled quotes.
class Records {
 public:
  Records(std::string_view text, char delimiter) : text_(text), delimiter_(delimiter) {}

  bool next(Record& record) {
    record.clear();
    if (at_ >= text_.size()) return false;
    std::string field;
    while (true) {
      const bool more = take_field(field);
      if (record.size() < kMostFields) {
        record.push_back(field);
      } else {
        dropped_fields_ = true;
      }
      if (!more) return true;
    }
  }

  bool dropped_fields() const { return dropped_fields_; }

 private:
  // True if another field of this record follows.
  bool take_field(std::string& field) {
    field.clear();
    if (at_ < text_.size() && text_[at_] == '"') take_quoted(field);
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == delimiter_) return true;
      if (c == '\n') return false;
      if (c == '\r') {
        if (at_ < text_.size() && text_[at_] == '\n') ++at_;
        return false;
      }
      if (field.size() < kLongestField) field.push_back(c);
    }
    return false;
  }

  void take_quoted(std::string& field) {
    // A quote that is never closed is an ordinary character, or it would swallow the rest of the file.
    for (size_t i = at_ + 1; i < text_.size() && i - at_ < kLongestField; ++i) {
      if (text_[i] != '"') {
        field.push_back(text_[i]);
      } else if (i + 1 < text_.size() && text_[i + 1] == '"') {
        field.push_back('"');
        ++i;
      } else {
        at_ = i + 1;
        return;
      }
    }
    field.clear();
  }

  std::string_view text_;
  char delimiter_;
  size_t at_ = 0;
  bool dropped_fields_ = false;
};

struct Shape {
  char delimiter = ',';
  size_t fields = 1;  // of most of the first rows
};

// The delimiter that cuts the most of the first rows into the same number of fields.
Shape find_shape(std::string_view text, std::string_view extension) {
  Shape best;
  size_t best_score = 0;
  for (const char delimiter : {',', ';', '\t', '|'}) {
    if ((extension == "tsv" || extension == "tab") && delimiter != '\t') continue;
    Records records(text, delimiter);
    Record record;
    std::map<size_t, size_t> counts;
    for (size_t i = 0; i < kSampleRecords && records.next(record); ++i) ++counts[record.size()];
    for (const auto& [fields, rows] : counts) {
      const size_t score = fields > 1 ? rows * 100 + std::min<size_t>(fields, 99) : 0;
      if (score <= best_score) continue;
      best_score = score;
      best = {delimiter, fields};
    }
  }
  return best;
}

std::string field_text(std::string_view field) {
  std::string clean = clean_text(field, WhiteSpace::kCollapse);
  std::replace(clean.begin(), clean.end(), '\n', ' ');
  return clean;
}

bool is_number(std::string_view field) {
  return field.find_first_of("0123456789") != std::string_view::npos &&
         field.find_first_not_of("0123456789.,+-%/: ") == std::string_view::npos;
}

// Names: all there, all different, none a number or long. Above an empty corner, names may be numbers, as years are.
bool is_header(const Record& record) {
  constexpr size_t kLongestName = 80;
  const bool has_corner = record.size() > 2 && field_text(record[0]).empty();
  std::set<std::string> names;
  for (size_t i = has_corner ? 1 : 0; i < record.size(); ++i) {
    const std::string name = field_text(record[i]);
    if (name.empty() || name.size() > kLongestName || (is_number(name) && !has_corner)) return false;
    if (!names.insert(name).second) return false;
  }
  return true;
}

std::string row_text(const Record& header, const Record& record) {
  std::string text;
  for (size_t i = 0; i < record.size(); ++i) {
    const std::string value = field_text(record[i]);
    if (value.empty()) continue;
    if (!text.empty()) text += "; ";
    if (i < header.size() && !header[i].empty()) text.append(header[i]).append(": ");
    text += value;
  }
  return text;
}

}  // namespace

Status read_csv(ReaderJob& job) {
  PHIAL_TRY(const DecodedText decoded, to_utf8(job.source.bytes));
  std::string_view text = decoded.text;
  // A line for spreadsheet programs that names the delimiter.
  if (text.starts_with("sep=")) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  const Shape shape = find_shape(text, lower_extension(job.source.name));
  Records records(text, shape.delimiter);
  Record record;
  bool more = records.next(record);
  // What stands above the table: its title, and lines left empty.
  for (; more && record.size() == 1 && shape.fields > 1; more = records.next(record)) {
    job.builder.add({}, row_text({}, record));
  }
  Record header;
  if (more && is_header(record)) {
    for (const std::string& field : record) header.push_back(field_text(field));
    more = records.next(record);
    if (!more) job.builder.add({}, row_text({}, header));
  }
  for (; more && !job.builder.full(); more = records.next(record)) job.builder.add({}, row_text(header, record));
  if (records.dropped_fields()) {
    job.builder.warn("columns after the first " + std::to_string(kMostFields) + " were left out");
  }
  return ok();
}

}  // namespace phial::documents

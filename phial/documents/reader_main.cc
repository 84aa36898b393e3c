// phial-reader PATH: one foreign document in, one JSON object (or a figure's pixels) out. docs/formats.md,
// "phial-reader", is its protocol.
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/documents/read_document.h"
#include "phial/documents/supervisor.h"
#include "phial/documents/wire.h"

namespace {

using phial::Code;
using phial::Error;
using phial::Result;

constexpr const char* kHelp =
    R"(usage: phial-reader [options] [--] PATH

Reads one document and prints its text with headings, pages and word boxes as one JSON object.
Failing, it prints {"error": {"code": ..., "message": ..., "remedy": ...}} and exits with 1.
The file is parsed by a child process without network, files or programs, under the limits below.

  --format F       read it as F instead of what it looks like: %s
  --max-pages N    stop after N pages of a PDF
  --memory-mb M    memory the document may take (1024)
  --seconds S      CPU seconds it may take (60)
  --max-file-mb M  refuse larger files (200)
  --max-text-mb M  stop after that much text (64)
  --ocr auto|off   recognise text in pages and pictures that have none, where Tesseract is installed (auto)
  --languages L    Tesseract's names of languages, joined by '+' (eng)
  --figure F       print one figure's pixels instead, as a PPM file: F is page,left,top,right,bottom

example: phial-reader --seconds 20 -- notes.pdf
)";

struct Arguments {
  std::string path;
  phial::documents::SuperviseOptions options;
  std::optional<phial::formats::Figure> figure;
  bool help = false;
};

std::optional<uint64_t> number(std::string_view text, uint64_t most) {
  uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

Error bad(std::string_view flag, std::string_view value) {
  return {Code::kInvalid, std::string(flag) + " cannot be '" + std::string(value) + "'", "see phial-reader --help"};
}

phial::Status take(std::string_view flag, std::string_view value, phial::documents::SuperviseOptions& options) {
  const auto positive = number(value, 1 << 20);
  if (flag == "--format") {
    options.format = value;
  } else if (flag == "--languages") {
    options.languages = value;
  } else if (flag == "--ocr") {
    if (value != "auto" && value != "off") return bad(flag, value);
    options.ocr = value == "auto";
  } else if (!positive || *positive == 0) {
    return bad(flag, value);
  } else if (flag == "--max-pages") {
    options.max_pages = static_cast<int>(*positive);
  } else if (flag == "--memory-mb") {
    options.memory_mb = *positive;
  } else if (flag == "--seconds") {
    options.seconds = static_cast<int>(*positive);
  } else if (flag == "--max-file-mb") {
    options.max_file_mb = *positive;
  } else if (flag == "--max-text-mb") {
    options.max_text_mb = *positive;
  } else {
    return Error{Code::kInvalid, "there is no option " + std::string(flag), "see phial-reader --help"};
  }
  return phial::ok();
}

// page,left,top,right,bottom
Result<phial::formats::Figure> figure_of(std::string_view text) {
  std::array<float, 5> numbers{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) {
      if (at == end || *at != ',') return bad("--figure", text);
      ++at;
    }
    const auto parsed = std::from_chars(at, end, numbers[i]);
    constexpr float kMost = 1e6F;
    if (parsed.ec != std::errc() || !(numbers[i] >= 0 && numbers[i] <= kMost)) return bad("--figure", text);
    at = parsed.ptr;
  }
  const auto [page, left, top, right, bottom] = numbers;
  if (at != end || page != std::floor(page) || left >= right || top >= bottom) return bad("--figure", text);
  return phial::formats::Figure{
      .page = static_cast<int>(page), .left = left, .top = top, .right = right, .bottom = bottom};
}

Result<Arguments> parse(const std::vector<std::string_view>& words) {
  Arguments arguments;
  bool only_paths = false;
  for (size_t i = 0; i < words.size(); ++i) {
    if (!only_paths && words[i] == "--") {
      only_paths = true;
    } else if (!only_paths && (words[i] == "--help" || words[i] == "-h")) {
      arguments.help = true;
      return arguments;
    } else if (!only_paths && words[i].starts_with("-")) {
      if (i + 1 == words.size()) return bad(words[i], "");
      if (words[i] == "--figure") {
        PHIAL_TRY(arguments.figure, figure_of(words[i + 1]));
      } else {
        PHIAL_CHECKED(take(words[i], words[i + 1], arguments.options));
      }
      ++i;
    } else if (arguments.path.empty()) {
      arguments.path = words[i];
    } else {
      return Error{Code::kInvalid, "one file at a time: '" + std::string(words[i]) + "' is too many", ""};
    }
  }
  if (arguments.path.empty()) return Error{Code::kInvalid, "no file is named", "see phial-reader --help"};
  return arguments;
}

int fail(const Error& error, int status) {
  std::printf("%s\n", phial::dump_json(phial::documents::error_to_json(error)).c_str());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(std::vector<std::string_view>(argv + 1, argv + argc));
  if (!arguments) return fail(arguments.error(), 2);
  if (arguments->help) {
    std::printf(kHelp, phial::documents::format_names().c_str());
    return 0;
  }
  const auto written = arguments->figure
                           ? phial::documents::draw_in_cage(arguments->path, *arguments->figure, arguments->options)
                           : phial::documents::read_in_cage(arguments->path, arguments->options);
  if (!written) return fail(written.error(), 1);
  std::fwrite(written->data(), 1, written->size(), stdout);
  if (!arguments->figure) std::fputc('\n', stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

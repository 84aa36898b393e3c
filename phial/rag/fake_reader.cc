// Stands in for phial-reader in tests: plain text, a blank line between paragraphs, "# " before headings. The first
// line of a file can ask for trouble. "PICTURE abcdef" is a picture, of two pixels abc and def; "PICTURE none" one that
// cannot be drawn, "PICTURE thin" one of 6000 x 1, "PICTURE slow" one that takes a minute to draw. "SCANNED abcdef" is
// a picture whose words are recognised, unless OCR is off. "PAGES" has pages, with form feeds between them. "PARTIAL"
// is read up to its first blank line, on a machine without a cage, unless languages other than English are recognised.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/extracted_document.h"

namespace {

using phial::formats::BlockKind;
using phial::formats::ExtractedDocument;

ExtractedDocument parse(const std::string& text) {
  ExtractedDocument document;
  document.format = "text";
  document.text = text;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find("\n\n", at);
    if (end == std::string::npos) end = text.size();
    size_t last = end;
    while (last > at && text[last - 1] == '\n') --last;
    const bool is_heading = text.compare(at, 2, "# ") == 0;
    if (last > at) {
      document.blocks.push_back(
          {is_heading ? BlockKind::kHeading : BlockKind::kParagraph, is_heading ? 1 : 0, 0, at, last});
    }
    at = end;
    while (at < text.size() && text[at] == '\n') ++at;
  }
  return document;
}

// "PAGES": form feeds part pages, each of words in a row.
void set_pages(ExtractedDocument& document) {
  int page = 1;
  for (size_t at = 0; at < document.text.size(); ++at) {
    if (document.text[at] == '\f') ++page, document.text[at] = ' ';
    const size_t end = std::min(document.text.find_first_of(" \n\f", at), document.text.size());
    if (end > at) document.words.push_back({at, end, page, static_cast<float>(at), 1, static_cast<float>(end), 2});
    if (end > at) at = end - 1;
  }
  for (auto& block : document.blocks) {
    const auto word = std::ranges::find_if(document.words, [&](const auto& one) { return one.start >= block.start; });
    if (word != document.words.end()) block.page = word->page;
  }
}

int fail(const std::string& message) {
  std::puts(phial::dump_json({{"error", {{"message", message}, {"remedy", "save it as text"}}}}).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = argv[argc - 1];
  const auto text = phial::read_text_file(path);
  if (!text) return fail(text.error().message);
  const bool draws =
      std::any_of(argv, argv + argc, [](const char* word) { return std::string_view(word) == "--figure"; });
  const std::string pixels = text->substr(0, 14).substr(std::min<size_t>(text->size(), 8));
  if (draws && pixels.starts_with("none")) return fail("it cannot be drawn");
  if (draws && pixels.starts_with("slow")) std::this_thread::sleep_for(std::chrono::minutes(1));
  if (draws && pixels.starts_with("thin"))
    return std::puts(("P6\n6000 1\n255\n" + std::string(17999, 'x')).c_str()) < 0;
  if (draws) return std::fputs(("P6\n2 1\n255\n" + pixels).c_str(), stdout) < 0;
  const auto asks = [&](std::string_view word) { return text->starts_with(word); };
  if (asks("CRASH")) std::raise(SIGSEGV);
  if (asks("HANG")) std::this_thread::sleep_for(std::chrono::seconds(600));
  if (asks("BABBLE")) return std::puts("{\"text\": ") < 0;
  if (asks("LIE"))
    return std::puts(
               R"({"title":"","format":"x","text":"abc","blocks":[{"kind":"paragraph","level":0,"page":0,"start":0,"end":900}],"words":[],"figures":[],"warnings":[]})") <
           0;
  if (asks("FLOOD")) {
    for (;;) {
      if (std::fputs("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", stdout) < 0) return 1;
    }
  }
  if (asks("VANISH")) {
    std::remove(path.c_str());
    return fail(path + " cannot be opened");
  }
  if (asks("REFUSE")) return fail(path + " is of a kind that is not read");
  const bool is_scan = asks("SCANNED");
  const bool recognises =
      is_scan && std::none_of(argv, argv + argc, [](const char* word) { return std::string_view(word) == "off"; });
  ExtractedDocument document = parse(is_scan && !recognises ? text->substr(0, text->find("\n\n")) : *text);
  if (recognises) document.words = {{0, 7, 1, 0, 0, 2, 1}};
  if (asks("PAGES")) set_pages(document);
  if (asks("PICTURE") || is_scan) document.figures = {{.end = document.text.size(), .right = 2, .bottom = 1}};
  if (asks("PARTIAL")) {
    if (std::any_of(argv, argv + argc, [](const char* word) { return std::string_view(word) == "deu"; })) {
      document.words = {{0, 7, 1, 0, 0, 2, 1}};
    } else {
      document = parse(text->substr(0, text->find("\n\n")));
      document.warnings = {"no text on pages 3 to 9", "page 12 is damaged"};
      document.machine_warning = "this kernel has no cage";
    }
  }
  std::puts(phial::dump_json(phial::formats::to_json(document)).c_str());
  return 0;
}

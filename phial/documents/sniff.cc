#include "phial/documents/sniff.h"

#include <algorithm>
#include <array>
#include <span>

#include "phial/base/utf8.h"

namespace phial::documents {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view bytes;
  std::string_view name;
  std::string_view remedy;
};

// What people have lying in their folders and no reader takes.
constexpr std::array kRefused = {
    Signature{"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"sv, "an old or password-protected Office file",
              "save it as .docx or .pdf without a password"},
    Signature{"{\\rtf"sv, "a Rich Text file", "save it as .docx or .pdf"},
    Signature{"%!PS"sv, "a PostScript file", "convert it to PDF (ps2pdf)"},
    Signature{"\x1F\x8B"sv, "a gzip archive", "unpack it and add what is inside"},
    Signature{"BZh"sv, "a bzip2 archive", "unpack it and add what is inside"},
    Signature{"\xFD"
              "7zXZ"sv,
              "an xz archive", "unpack it and add what is inside"},
    Signature{"7z\xBC\xAF\x27\x1C"sv, "a 7-Zip archive", "unpack it and add what is inside"},
    Signature{"Rar!"sv, "a RAR archive", "unpack it and add what is inside"},
    Signature{"\x28\xB5\x2F\xFD"sv, "a Zstandard archive", "unpack it and add what is inside"},
    Signature{"\x7F"
              "ELF"sv,
              "a program", "only documents are read"},
    Signature{"MZ\x90"sv, "a program", "only documents are read"},
    Signature{"SQLite format 3\0"sv, "an SQLite database", "export the tables as CSV"},
    Signature{"ID3"sv, "a sound file", "only documents are read"},
    Signature{"OggS"sv, "a sound file", "only documents are read"},
    Signature{"fLaC"sv, "a sound file", "only documents are read"},
    Signature{"GGUF"sv, "a model file", "add it with 'phial models add'"},
};

constexpr std::array kImages = {"\x89PNG\r\n\x1A\n"sv, "\xFF\xD8\xFF"sv, "II*\0"sv, "MM\0*"sv, "GIF8"sv};

constexpr std::array kMarkdownExtensions = {"md"sv, "markdown"sv, "mkd"sv, "mdown"sv, "mdx"sv, "rmd"sv, "qmd"sv};
constexpr std::array kHtmlExtensions = {"html"sv, "htm"sv, "xhtml"sv, "shtml"sv};
constexpr std::array kTableExtensions = {"csv"sv, "tsv"sv, "tab"sv};
constexpr std::array kTextExtensions = {"txt"sv,  "text"sv, "log"sv, "rst"sv, "org"sv,
                                        "adoc"sv, "tex"sv,  "srt"sv, "vtt"sv};
constexpr std::array kCodeExtensions = {
    "c"sv,      "h"sv,    "cc"sv,   "cpp"sv,   "cxx"sv,     "hh"sv,    "hpp"sv,    "hxx"sv,  "ipp"sv,  "m"sv,
    "mm"sv,     "cs"sv,   "java"sv, "kt"sv,    "kts"sv,     "scala"sv, "groovy"sv, "py"sv,   "pyi"sv,  "rb"sv,
    "pl"sv,     "pm"sv,   "php"sv,  "js"sv,    "jsx"sv,     "mjs"sv,   "cjs"sv,    "ts"sv,   "tsx"sv,  "vue"sv,
    "svelte"sv, "go"sv,   "rs"sv,   "swift"sv, "zig"sv,     "nim"sv,   "d"sv,      "dart"sv, "lua"sv,  "r"sv,
    "jl"sv,     "hs"sv,   "ml"sv,   "mli"sv,   "fs"sv,      "ex"sv,    "exs"sv,    "erl"sv,  "clj"sv,  "lisp"sv,
    "el"sv,     "scm"sv,  "sql"sv,  "sh"sv,    "bash"sv,    "zsh"sv,   "fish"sv,   "ps1"sv,  "bat"sv,  "cmake"sv,
    "mk"sv,     "css"sv,  "scss"sv, "less"sv,  "json"sv,    "jsonl"sv, "yaml"sv,   "yml"sv,  "toml"sv, "ini"sv,
    "cfg"sv,    "conf"sv, "xml"sv,  "proto"sv, "graphql"sv, "cu"sv,    "wgsl"sv,   "glsl"sv, "asm"sv,  "s"sv,
    "v"sv,      "vhd"sv,  "f"sv,    "f90"sv,   "pas"sv,     "tcl"sv,   "awk"sv,    "nix"sv,  "tf"sv,   "gradle"sv,
    "diff"sv,   "patch"sv};
constexpr std::array kCodeNames = {"makefile"sv, "dockerfile"sv, "cmakelists.txt"sv, "jenkinsfile"sv, "rakefile"sv};

bool among(std::string_view what, std::span<const std::string_view> these) {
  return std::find(these.begin(), these.end(), what) != these.end();
}

bool is_image(std::string_view bytes) {
  constexpr size_t kHeader = 14;
  if (bytes.starts_with("BM") && bytes.size() > kHeader && bytes.substr(6, 4) == "\0\0\0\0"sv) return true;
  if (bytes.starts_with("RIFF") && bytes.substr(8).starts_with("WEBP")) return true;
  return std::any_of(kImages.begin(), kImages.end(),
                     [&](std::string_view signature) { return bytes.starts_with(signature); });
}

std::string base_name(std::string_view name) {
  const size_t slash = name.rfind('/');
  return ascii_lower(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

// A zip archive's members are named in its local headers, which come first, and in its directory, which comes last.
Result<std::string> sniff_zip(std::string_view bytes) {
  const auto holds = [&](std::string_view name) { return bytes.find(name) != std::string_view::npos; };
  const auto refuse = [](std::string_view what) {
    return Error{Code::kUnsupported, "this is " + std::string(what) + ", which is not read",
                 "save it as .docx or .pdf"};
  };
  if (bytes.substr(0, 256).find("application/epub+zip") != std::string_view::npos) return std::string("epub");
  if (bytes.substr(0, 256).find("vnd.oasis.opendocument") != std::string_view::npos)
    return refuse("an OpenDocument file");
  if (holds("word/document") || holds("word/_rels/document")) return std::string("docx");
  if (holds("ppt/presentation.xml")) return refuse("a PowerPoint file");
  if (holds("xl/workbook.")) return refuse("an Excel file");
  if (holds("META-INF/container.xml")) return std::string("epub");
  return Error{Code::kUnsupported, "this is a zip archive", "unpack it and add what is inside"};
}

bool looks_like_html(std::string_view bytes) {
  std::string head = ascii_lower(bytes.substr(0, 1024));
  const size_t first = head.find_first_not_of("\xEF\xBB\xBF \t\r\n");
  if (first == std::string::npos) return false;
  head.erase(0, first);
  if (head.starts_with("<?xml") || head.starts_with("<!--")) return head.find("<html") != std::string::npos;
  return head.starts_with("<!doctype html") || head.starts_with("<html");
}

}  // namespace

std::string lower_extension(std::string_view name) {
  const std::string base = base_name(name);
  const size_t dot = base.rfind('.');
  return dot == std::string::npos ? std::string() : base.substr(dot + 1);
}

Result<std::string> sniff_format(std::string_view bytes, std::string_view name) {
  constexpr size_t kPdfHeaderWithin = 1024;  // as Acrobat does, junk before the header is forgiven
  if (bytes.substr(0, kPdfHeaderWithin).find("%PDF-") != std::string_view::npos) return std::string("pdf");
  if (bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06")) return sniff_zip(bytes);
  if (is_image(bytes)) return std::string("image");
  for (const Signature& refused : kRefused) {
    if (!bytes.starts_with(refused.bytes)) continue;
    return Error{Code::kUnsupported, "this is " + std::string(refused.name) + ", which is not read",
                 std::string(refused.remedy)};
  }
  const std::string extension = lower_extension(name);
  if (among(extension, kMarkdownExtensions)) return std::string("markdown");
  if (among(extension, kTableExtensions)) return std::string("csv");
  if (among(base_name(name), kCodeNames)) return std::string("code");
  if (among(extension, kTextExtensions)) return std::string("text");
  if (among(extension, kHtmlExtensions) || looks_like_html(bytes)) return std::string("html");
  if (among(extension, kCodeExtensions) || bytes.starts_with("#!")) return std::string("code");
  return std::string("text");
}

}  // namespace phial::documents

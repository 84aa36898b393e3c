// Tokenizer behind a pipe, for tools/check_tokenizers.py and bench/tokenizing.py.
//
//   phial_tokenizer_probe MODEL            each line of standard input: JSON {"text": ..., "special": bool, "bos":
//   bool}
//                                          -> JSON {"ids": [...], "text": what decode() makes of them}
//   phial_tokenizer_probe MODEL --time F N B  encodes file F N times in documents of at most B bytes (0: as one),
//   prints
//                                          {"seconds": [...], "tokens": ...}; seconds of processor time
//
// MODEL: what load.h opens, a GGUF file, or a GGUF's metadata as a JSON object.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "phial/base/mapped_file.h"
#include "phial/base/utf8.h"
#include "phial/tokenizer/load.h"

namespace phial::tokenizer {
namespace {

Result<std::unique_ptr<Tokenizer>> open(const std::string& path) {
  if (std::filesystem::is_directory(path)) return from_folder(path);
  PHIAL_TRY(const std::string bytes, read_text_file(path));
  if (path.ends_with(".tiktoken")) return from_tiktoken(bytes, phi3_small_pattern(), phi3_small_specials());
  if (path.ends_with(".model")) return from_sentencepiece(bytes);
  PHIAL_TRY(const Json json, parse_json(bytes));
  return find_member(json, "tokenizer.ggml.model") != nullptr ? from_gguf(json) : from_tokenizer_json(bytes);
}

// Cut behind line ends, as bench/tokenizing.py cuts for the reference.
std::vector<std::string_view> documents_of(std::string_view text, size_t most_bytes) {
  std::vector<std::string_view> documents;
  while (!text.empty()) {
    size_t end = text.size();
    if (most_bytes > 0 && end > most_bytes) {
      end = text.rfind('\n', most_bytes - 1);
      end = end == std::string_view::npos ? utf8_floor(text, most_bytes) : end + 1;
    }
    documents.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return documents;
}

int time(const Tokenizer& tokenizer, const std::string& text, int times, size_t most_bytes) {
  const std::vector<std::string_view> documents = documents_of(text, most_bytes);
  Json seconds = Json::array();
  size_t n_tokens = 0;
  for (int i = 0; i < times; ++i) {
    n_tokens = 0;
    const std::clock_t start = std::clock();
    for (const std::string_view document : documents) n_tokens += tokenizer.encode(document).size();
    seconds.push_back(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  std::puts(dump_json({{"seconds", seconds}, {"tokens", n_tokens}, {"bytes", text.size()}}).c_str());
  return 0;
}

int answer_lines(const Tokenizer& tokenizer) {
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = parse_json(line);
    const std::string* text = request ? find_string(*request, "text") : nullptr;
    if (text == nullptr) return 2;
    const auto ids = tokenizer.encode(*text, {.parse_special = find_bool(*request, "special").value_or(false),
                                              .add_bos = find_bool(*request, "bos").value_or(false)});
    std::puts(dump_json({{"ids", ids}, {"text", tokenizer.decode(ids, true)}}).c_str());
  }
  return 0;
}

int run(int argc, char** argv) {
  if (argc < 2) return 2;
  const auto tokenizer = open(argv[1]);
  if (!tokenizer) {
    std::fprintf(stderr, "%s\n", tokenizer.error().text().c_str());
    return 1;
  }
  if (argc == 6 && std::strcmp(argv[2], "--time") == 0) {
    const auto text = read_text_file(argv[3]);
    if (!text) return 1;
    return time(**tokenizer, *text, std::atoi(argv[4]), std::strtoul(argv[5], nullptr, 10));
  }
  return answer_lines(**tokenizer);
}

}  // namespace
}  // namespace phial::tokenizer

int main(int argc, char** argv) { return phial::tokenizer::run(argc, argv); }

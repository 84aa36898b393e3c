#include <algorithm>
#include <array>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "phial/base/json_file.h"
#include "phial/base/mapped_file.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/vocabulary.h"
#include "phial/tokenizer/wordpiece.h"

namespace phial::tokenizer {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace

fs::path ranks_file(const fs::path& folder) {
  fs::path found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".tiktoken") continue;
    if (found.empty() || it->path() < found) found = it->path();
  }
  return found;
}

Result<SideFiles> read_side_files(const fs::path& folder) {
  SideFiles side;
  PHIAL_TRY(side.tokenizer_config, read_json_if_there(folder / "tokenizer_config.json"));
  PHIAL_TRY(side.special_tokens, read_json_if_there(folder / "special_tokens_map.json"));
  PHIAL_TRY(side.added_tokens, read_json_if_there(folder / "added_tokens.json"));
  PHIAL_TRY(side.generation_config, read_json_if_there(folder / "generation_config.json"));
  return side;
}

namespace {

Result<std::unique_ptr<Tokenizer>> in_file(Result<std::unique_ptr<Tokenizer>> tokenizer, const fs::path& path) {
  if (!tokenizer) return std::move(tokenizer).error().in(path.string());
  return tokenizer;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> from_folder(const fs::path& folder) {
  PHIAL_TRY(const SideFiles side, read_side_files(folder));
  if (const fs::path path = folder / "tokenizer.json"; is_file(path)) {
    PHIAL_TRY(const std::string text, read_text_file(path));
    return in_file(from_tokenizer_json(text, side), path);
  }
  if (const fs::path path = folder / "tokenizer.model"; is_file(path)) {
    PHIAL_TRY(const std::string bytes, read_text_file(path));
    return in_file(from_sentencepiece(bytes, side), path);
  }
  if (const fs::path path = ranks_file(folder); !path.empty()) {
    PHIAL_TRY(const std::string bytes, read_text_file(path));
    return in_file(from_tiktoken(bytes, phi3_small_pattern(), phi3_small_specials()), path);
  }
  if (const fs::path path = folder / "vocab.txt"; is_file(path)) {
    PHIAL_TRY(const std::string text, read_text_file(path));
    return in_file(from_vocab_txt(text, find_bool(side.tokenizer_config, "do_lower_case").value_or(true)), path);
  }
  return Error{Code::kNotFound,
               folder.string() + " has no tokenizer: none of tokenizer.json, tokenizer.model, *.tiktoken and vocab.txt",
               "get the model again with its tokenizer"};
}

Result<std::unique_ptr<Tokenizer>> from_vocab_txt(std::string_view text, bool lower_case) {
  WordPiece parts;
  Vocabulary& vocabulary = parts.vocabulary;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    vocabulary.pieces.emplace_back(line);
  }
  vocabulary.kinds.assign(vocabulary.pieces.size(), TokenKind::kNormal);
  for (const std::string_view special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    const auto id = vocabulary.find(special);
    if (!id) continue;
    vocabulary.kinds[static_cast<size_t>(*id)] = TokenKind::kControl;
    AddedToken added;
    added.token = {std::string(special), *id};
    vocabulary.added.push_back(std::move(added));
    if (special == "[UNK]") vocabulary.unknown = id;
    if (special == "[CLS]") vocabulary.bos = id;
    if (special == "[SEP]") vocabulary.end_of_text = {*id};
  }
  vocabulary.adds_bos = vocabulary.bos.has_value();
  parts.lower_case = parts.strip_accents = lower_case;
  return make_wordpiece(std::move(parts));
}

}  // namespace phial::tokenizer

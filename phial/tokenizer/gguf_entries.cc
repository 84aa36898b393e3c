#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "phial/base/mapped_file.h"
#include "phial/tokenizer/byte_bpe.h"
#include "phial/tokenizer/convert.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/pre_tokenizers.h"
#include "phial/tokenizer/sentencepiece.h"
#include "phial/tokenizer/sentencepiece_file.h"

namespace phial::tokenizer {
namespace {

namespace fs = std::filesystem;

constexpr float kPaddingScore = -1000;

Error no_gguf_for(const std::string& what) {
  return Error{Code::kUnsupported, what + " cannot be written into a GGUF file", "use the folder as it is"};
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// What both kinds have: tokens by id.
struct Tokens {
  std::vector<std::string> texts;
  std::vector<TokenKind> kinds;
  std::vector<float> scores;  // SentencePiece only

  void put(size_t id, std::string text, TokenKind kind) {
    if (id >= texts.size()) {
      texts.resize(id + 1);
      kinds.resize(id + 1, TokenKind::kUnused);
    }
    texts[id] = std::move(text);
    kinds[id] = kind;
  }
};

// Marked pieces merged by rank -> scores that merge in the same order.
std::vector<float> scores_of(const Json& merges, const Tokens& tokens) {
  std::map<std::string, size_t> rank_of;
  for (const Json& merge : merges) {
    std::string joined =
        merge.is_array() ? merge[0].get<std::string>() + merge[1].get<std::string>() : merge.get<std::string>();
    if (!merge.is_array()) joined.erase(joined.find(' '), 1);
    rank_of.emplace(std::move(joined), rank_of.size());
  }
  std::vector<float> scores;
  for (const std::string& text : tokens.texts) {
    const auto rank = rank_of.find(text);
    scores.push_back(-static_cast<float>(rank != rank_of.end() ? rank->second : rank_of.size()));
  }
  return scores;
}

Result<std::string> pre_tokenizer_of(const Json& file) {
  const Json* stated = find_member(file, "pre_tokenizer");
  Json steps = Json::array();
  if (stated != nullptr && stated->is_object()) {
    const Json* list = find_member(*stated, "pretokenizers");
    steps = list != nullptr && list->is_array() ? *list : Json::array({*stated});
  }
  const Json* model = find_member(file, "model");
  const bool ignore_merges = model != nullptr && find_bool(*model, "ignore_merges") == true;
  const std::string_view name = name_of({steps, ignore_merges});
  if (!name.empty()) return std::string(name);
  return no_gguf_for("the pre-tokenizer " + dump_json(steps).substr(0, 200) +
                     (ignore_merges ? " with ignore_merges" : ""));
}

// What SentencePiece does to a text, as tokenizer.json spells it; GGUF's "llama" does this and nothing else.
const Json& mark_spaces() {
  static const Json kSteps = {{"type", "Sequence"},
                              {"normalizers",
                               {{{"type", "Prepend"}, {"prepend", kSpaceMark}},
                                {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}}}}};
  return kSteps;
}

// A vocabulary of SentencePiece in tokenizer.json.
Result<Json> marked_entries(const Json& file, Tokens& tokens) {
  const Json *normalizer = find_member(file, "normalizer"), *splitter = find_member(file, "pre_tokenizer");
  if (normalizer == nullptr || *normalizer != mark_spaces() || (splitter != nullptr && !splitter->is_null())) {
    return no_gguf_for("the normalizer " + (normalizer != nullptr ? dump_json(*normalizer).substr(0, 200) : "null"));
  }
  const Json& model = *find_member(file, "model");
  tokens.scores = scores_of(*find_member(model, "merges"), tokens);
  if (const std::string* unknown = find_string(model, "unk_token")) {
    const auto at = std::find(tokens.texts.begin(), tokens.texts.end(), *unknown);
    if (at != tokens.texts.end()) tokens.kinds[static_cast<size_t>(at - tokens.texts.begin())] = TokenKind::kUnknown;
  }
  return Json{{"tokenizer.ggml.model", "llama"}, {"tokenizer.ggml.pre", "default"}};
}

// tokenizer.json of type BPE, read without error before.
Result<Json> from_json(const Json& file, Tokens& tokens) {
  const Json& model = *find_member(file, "model");
  const Json* vocabulary = find_member(model, "vocab");
  const Json* merges = find_member(model, "merges");
  if (vocabulary == nullptr || !vocabulary->is_object() || merges == nullptr || !merges->is_array()) {
    return no_gguf_for("a tokenizer.json that is not BPE");
  }
  const bool has_marks = find_bool(model, "byte_fallback").value_or(false);
  for (const auto& [text, id] : vocabulary->items()) {
    const bool is_byte = has_marks && text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
    tokens.put(id.get<size_t>(), text, is_byte ? TokenKind::kByte : TokenKind::kNormal);
  }
  if (const Json* added = find_member(file, "added_tokens"); added != nullptr && added->is_array()) {
    for (const Json& one : *added) {
      const bool is_special = find_bool(one, "special").value_or(false);
      tokens.put(one["id"].get<size_t>(), one["content"].get<std::string>(),
                 is_special ? TokenKind::kControl : TokenKind::kUserDefined);
    }
  }
  if (has_marks) return marked_entries(file, tokens);
  const Json* normalizer = find_member(file, "normalizer");
  const bool is_plain = normalizer == nullptr || normalizer->is_null();
  // What is in Unicode's normal form C already, as nearly all text is, stays as it is.
  const std::string* type = is_plain ? nullptr : find_string(*normalizer, "type");
  if (!is_plain && (type == nullptr || *type != "NFC")) {
    return no_gguf_for("the normalizer " + dump_json(*normalizer).substr(0, 200));
  }
  PHIAL_TRY(const std::string pre, pre_tokenizer_of(file));
  Json list = Json::array();
  for (const Json& merge : *merges) {
    list.push_back(merge.is_array() ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                                    : merge.get<std::string>());
  }
  return Json{{"tokenizer.ggml.model", "gpt2"}, {"tokenizer.ggml.pre", pre}, {"tokenizer.ggml.merges", list}};
}

Result<Json> read_kind(const fs::path& folder, const SideFiles& side, const Tokenizer& tokenizer, Tokens& tokens) {
  if (is_there(folder / "tokenizer.model")) {
    PHIAL_TRY(const std::string bytes, read_text_file(folder / "tokenizer.model"));
    PHIAL_TRY(SentencePieceFile file, read_sentencepiece_file(bytes, side));
    if (file.type != SentencePieceFile::kBpe) return no_gguf_for("a unigram vocabulary");
    if (!file.charsmap.empty() || file.remove_extra) {
      return no_gguf_for("a SentencePiece vocabulary that normalises its text");
    }
    tokens.texts = std::move(file.vocabulary.pieces);
    tokens.kinds = std::move(file.vocabulary.kinds);
    tokens.scores = std::move(file.scores);
    if (file.vocabulary.unknown) tokens.kinds[static_cast<size_t>(*file.vocabulary.unknown)] = TokenKind::kUnknown;
    return Json{{"tokenizer.ggml.model", "llama"},
                {"tokenizer.ggml.pre", "default"},
                {"tokenizer.ggml.add_space_prefix", file.add_prefix}};
  }
  if (!is_there(folder / "tokenizer.json") && !ranks_file(folder).empty()) {
    for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
      tokens.put(static_cast<size_t>(id), spelling_of_bytes(tokenizer.bytes_of(id)), TokenKind::kNormal);
    }
    return Json{{"tokenizer.ggml.model", "gpt2"}, {"tokenizer.ggml.pre", kPhi3SmallPre}};
  }
  if (!is_there(folder / "tokenizer.json")) return no_gguf_for("a tokenizer without tokenizer.json");
  PHIAL_TRY(const std::string text, read_text_file(folder / "tokenizer.json"));
  PHIAL_TRY(const Json file, parse_json(text));
  return from_json(file, tokens);
}

Result<std::string> chat_template_of(const fs::path& folder, const SideFiles& side) {
  if (is_there(folder / "chat_template.jinja")) return read_text_file(folder / "chat_template.jinja");
  const std::string* text = find_string(side.tokenizer_config, "chat_template");
  return text != nullptr ? *text : std::string();
}

}  // namespace

Result<Json> gguf_entries(const fs::path& folder, size_t n_rows) {
  const auto tokenizer = from_folder(folder);
  if (!tokenizer && tokenizer.error().code == Code::kNotFound) return Json{{"tokenizer.ggml.model", "no_vocab"}};
  if (!tokenizer) return tokenizer.error();
  PHIAL_TRY(const SideFiles side, read_side_files(folder));
  Tokens tokens;
  PHIAL_TRY(Json entries, read_kind(folder, side, **tokenizer, tokens));
  for (const SpecialToken& special : (*tokenizer)->special_tokens()) {
    const auto id = static_cast<size_t>(special.id);
    const bool is_unknown = id < tokens.kinds.size() && tokens.kinds[id] == TokenKind::kUnknown;
    if (is_unknown) continue;
    tokens.put(id, special.text, special.is_control ? TokenKind::kControl : TokenKind::kUserDefined);
  }
  if (tokens.texts.size() > n_rows) {
    return Error{Code::kCorrupt,
                 folder.string() + ": the tokenizer has " + std::to_string(tokens.texts.size()) +
                     " tokens, the model " + std::to_string(n_rows),
                 "the tokenizer belongs to another model; get the folder again"};
  }
  for (size_t id = 0; id < n_rows; ++id) {
    if (id < tokens.texts.size() && !tokens.texts[id].empty()) continue;
    tokens.put(id, "[PAD" + std::to_string(id) + "]", TokenKind::kUnused);
  }
  entries["tokenizer.ggml.tokens"] = tokens.texts;
  entries["tokenizer.ggml.token_type"] = Json::array();
  for (const TokenKind kind : tokens.kinds) entries["tokenizer.ggml.token_type"].push_back(static_cast<int>(kind));
  if (!tokens.scores.empty()) {
    tokens.scores.resize(n_rows, kPaddingScore);
    entries["tokenizer.ggml.scores"] = tokens.scores;
  }
  const auto ends = (*tokenizer)->end_of_text();
  if (const auto bos = (*tokenizer)->bos()) entries["tokenizer.ggml.bos_token_id"] = *bos;
  if (!ends.empty()) entries["tokenizer.ggml.eos_token_id"] = ends[0];
  if (ends.size() > 1) entries["tokenizer.ggml.eot_token_id"] = ends[1];
  const auto unknown = std::find(tokens.kinds.begin(), tokens.kinds.end(), TokenKind::kUnknown);
  if (unknown != tokens.kinds.end()) entries["tokenizer.ggml.unknown_token_id"] = unknown - tokens.kinds.begin();
  entries["tokenizer.ggml.add_bos_token"] = (*tokenizer)->adds_bos();
  PHIAL_TRY(const std::string chat_template, chat_template_of(folder, side));
  if (!chat_template.empty()) entries["tokenizer.chat_template"] = chat_template;
  return entries;
}

}  // namespace phial::tokenizer

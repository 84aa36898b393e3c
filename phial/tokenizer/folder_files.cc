#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/tokenizer/byte_bpe.h"
#include "phial/tokenizer/charsmap.h"
#include "phial/tokenizer/convert.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/pre_tokenizers.h"
#include "phial/tokenizer/sentencepiece_file.h"
#include "phial/tokenizer/tokenizer_json.h"

namespace phial::tokenizer {
namespace {

constexpr int kNormal = static_cast<int>(TokenKind::kNormal), kByte = static_cast<int>(TokenKind::kByte);

Error no_files_for(const std::string& what) {
  return Error{Code::kUnsupported, what + " cannot be written as files of a Hugging Face folder",
               "use the model's own Hugging Face folder"};
}

// The metadata of a tokenizer that has been read without error: lists are of one length, ids are tokens.
class Source {
 public:
  explicit Source(const Json& metadata, const Tokenizer& tokenizer)
      : metadata_(metadata), tokenizer_(tokenizer), tokens_(*find_member(metadata, "tokenizer.ggml.tokens")) {}

  size_t size() const { return tokens_.size(); }
  const std::string& token(size_t id) const { return tokens_[id].get_ref<const std::string&>(); }
  int kind(size_t id) const {
    const Json* kinds = find_member(metadata_, "tokenizer.ggml.token_type");
    return kinds == nullptr || (*kinds)[id] == 0 ? kNormal : (*kinds)[id].get<int>();
  }
  float score(size_t id) const { return (*find_member(metadata_, "tokenizer.ggml.scores"))[id].get<float>(); }
  std::optional<size_t> id(const char* role) const {
    const auto id = find_int(metadata_, std::string("tokenizer.ggml.") + role + "_token_id");
    return id && *id >= 0 && static_cast<size_t>(*id) < size() ? std::optional<size_t>(*id) : std::nullopt;
  }

  // Behind this id come added tokens and padding only.
  size_t end_of_own() const {
    size_t end = size();
    while (end > 0 && kind(end - 1) != kNormal && kind(end - 1) != kByte) --end;
    return end;
  }

  // Special tokens, and plain text that has an id of its own, as tokenizer.json lists them.
  Json added() const {
    Json list = Json::array();
    std::vector<bool> is_special(size());
    for (const SpecialToken& special : tokenizer_.special_tokens()) {
      is_special[static_cast<size_t>(special.id)] = true;
      list.push_back(added_token_json(special));
    }
    for (size_t id = 0; id < size(); ++id) {
      if (kind(id) != static_cast<int>(TokenKind::kUserDefined) || is_special[id] || token(id).empty()) continue;
      list.push_back(added_token_json({token(id), static_cast<TokenId>(id), false, false, false}));
    }
    std::sort(list.begin(), list.end(), [](const Json& a, const Json& b) { return a["id"] < b["id"]; });
    return list;
  }

  // tokenizer_config.json.
  Json config(const char* tokenizer_class) const {
    Json decoder = Json::object();
    for (Json& one : added()) {
      const std::string id = std::to_string(one["id"].get<int64_t>());
      one.erase("id");
      decoder[id] = std::move(one);
    }
    Json out = {{"tokenizer_class", tokenizer_class},
                {"add_bos_token", tokenizer_.adds_bos()},
                {"add_eos_token", false},
                {"clean_up_tokenization_spaces", false},
                {"added_tokens_decoder", std::move(decoder)}};
    const std::pair<const char*, const char*> roles[] = {
        {"bos", "bos_token"}, {"eos", "eos_token"}, {"unknown", "unk_token"}, {"padding", "pad_token"}};
    for (const auto& [role, key] : roles) {
      if (const auto at = id(role)) out[key] = token(*at);
    }
    if (const std::string* text = find_string(metadata_, "tokenizer.chat_template")) out["chat_template"] = *text;
    return out;
  }

  // generation_config.json: every token that ends a text.
  Json generation() const {
    Json out = {{"eos_token_id", tokenizer_.end_of_text()}};
    if (const auto at = id("bos")) out["bos_token_id"] = *at;
    if (const auto at = id("padding")) out["pad_token_id"] = *at;
    return out;
  }

  const Json& metadata() const { return metadata_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  const Json& metadata_;
  const Tokenizer& tokenizer_;
  const Json& tokens_;
};

std::string text_of(const Json& json) { return dump_json(json) + "\n"; }

std::vector<FolderFile> sentencepiece_files(const Source& source) {
  SentencePieceFile file;
  for (size_t id = 0; id < source.end_of_own(); ++id) {
    const std::string& piece = source.token(id);
    const auto kind = piece == "</s>" ? TokenKind::kControl : static_cast<TokenKind>(source.kind(id));
    file.vocabulary.pieces.push_back(piece);
    file.vocabulary.kinds.push_back(kind);
    file.scores.push_back(source.score(id));
    if (kind == TokenKind::kUnknown && !file.vocabulary.unknown) file.vocabulary.unknown = static_cast<TokenId>(id);
  }
  const auto role = [&](const char* name) {
    const auto id = source.id(name);
    return id && *id < file.scores.size() ? static_cast<int64_t>(*id) : -1;
  };
  file.bos = role("bos");
  file.eos = role("eos");
  file.add_prefix = find_bool(source.metadata(), "tokenizer.ggml.add_space_prefix").value_or(true);
  file.remove_extra = false;
  Json config = source.config("LlamaTokenizer");
  config["legacy"] = true;  // every segment behind a special token gets its own space mark, as GGUF's does
  return {{"tokenizer.model", write_sentencepiece_file(file)},
          {"tokenizer_config.json", text_of(config)},
          {"generation_config.json", text_of(source.generation())}};
}

// What puts bos before a text, where the model wants it; else a step that changes no ids.
Json post_processor(const Source& source) {
  const auto bos = source.id("bos");
  if (!bos || !source.tokenizer().adds_bos()) {
    return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  }
  const std::string& text = source.token(*bos);
  const Json start = {{"SpecialToken", {{"id", text}, {"type_id", 0}}}};
  const auto sequence = [](const char* id, int type) { return Json{{"Sequence", {{"id", id}, {"type_id", type}}}}; };
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({start, sequence("A", 0)})},
          {"pair", Json::array({start, sequence("A", 0), start, sequence("B", 1)})},
          {"special_tokens", {{text, {{"id", text}, {"ids", {*bos}}, {"tokens", {text}}}}}}};
}

// Ranks are ids; what is no rank is Phi-3-small's own and known.
std::vector<FolderFile> phi3_small_files(const Source& source) {
  std::string ranks;
  for (size_t id = 0; id < source.size(); ++id) {
    if (source.kind(id) != kNormal) continue;
    ranks += encode_base64(bytes_of_spelling(source.token(id))) + " " + std::to_string(id) + "\n";
  }
  return {{"cl100k_base.tiktoken", std::move(ranks)},
          {"tokenizer_config.json", text_of(source.config("Phi3SmallTokenizer"))},
          {"generation_config.json", text_of(source.generation())}};
}

Result<std::vector<FolderFile>> byte_bpe_files(const Source& source) {
  const std::string* pre = find_string(source.metadata(), "tokenizer.ggml.pre");
  const std::string name = pre != nullptr ? *pre : "default";
  if (name == kPhi3SmallPre) return phi3_small_files(source);
  const auto found = spelling_of(name);
  if (!found) return no_files_for("the pre-tokenizer '" + name + "'");
  if (find_bool(source.metadata(), "tokenizer.ggml.add_space_prefix") == true) {
    return no_files_for("a byte-level vocabulary with add_space_prefix");
  }
  Json added = source.added();
  std::vector<bool> is_added(source.size());
  for (const Json& one : added) is_added[one["id"].get<size_t>()] = true;
  Json vocabulary = Json::object();
  for (size_t id = 0; id < source.end_of_own(); ++id) {
    if (!is_added[id]) vocabulary[source.token(id)] = id;
  }
  const Json steps =
      found->steps.size() == 1 ? found->steps[0] : Json{{"type", "Sequence"}, {"pretokenizers", found->steps}};
  const Json decoder = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  const Json file = tokenizer_json({.added_tokens = std::move(added),
                                    .pre_tokenizer = steps,
                                    .decoder = decoder,
                                    .post_processor = post_processor(source),
                                    .ignore_merges = found->ignore_merges,
                                    .vocabulary = std::move(vocabulary),
                                    .merges = *find_member(source.metadata(), "tokenizer.ggml.merges")});
  return std::vector<FolderFile>{{"tokenizer.json", text_of(file)},
                                 {"tokenizer_config.json", text_of(source.config("PreTrainedTokenizerFast"))},
                                 {"generation_config.json", text_of(source.generation())}};
}

}  // namespace

Result<std::vector<FolderFile>> folder_files(const Json& metadata) {
  const std::string* model = find_string(metadata, "tokenizer.ggml.model");
  if (model == nullptr || *model == "no_vocab") return std::vector<FolderFile>();
  PHIAL_TRY(const auto tokenizer, from_gguf(metadata));
  if (*model != "llama" && *model != "gpt2") return no_files_for("the tokenizer model '" + *model + "'");
  const Source source(metadata, *tokenizer);
  for (size_t id = 0; id < source.size(); ++id) {
    if (!is_valid_utf8(source.token(id))) return no_files_for("token " + std::to_string(id) + ", which is not UTF-8");
  }
  if (*model == "llama") return sentencepiece_files(source);
  return byte_bpe_files(source);
}

}  // namespace phial::tokenizer

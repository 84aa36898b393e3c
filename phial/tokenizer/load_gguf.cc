// GGUF metadata -> tokenizer. The keys are those of the GGUF specification, "Tokenizer".
#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "phial/tokenizer/byte_bpe.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/pre_tokenizers.h"
#include "phial/tokenizer/sentencepiece.h"
#include "phial/tokenizer/side_files.h"
#include "phial/tokenizer/unigram.h"
#include "phial/tokenizer/wordpiece.h"

namespace phial::tokenizer {
namespace {

std::string quoted(std::string_view text) { return std::string("'").append(text.substr(0, 80)).append("'"); }

Error missing(std::string_view key, std::string_view what) {
  return Error{Code::kCorrupt, "the GGUF file has no " + std::string(what) + " " + quoted(key),
               "get or convert the model again"};
}

Result<const Json*> need_array(const Json& metadata, std::string_view key) {
  const Json* array = find_member(metadata, key);
  if (array == nullptr || !array->is_array()) return missing(key, "array");
  return array;
}

Result<std::vector<std::string>> need_texts(const Json& metadata, std::string_view key) {
  PHIAL_TRY(const Json* array, need_array(metadata, key));
  std::vector<std::string> texts;
  texts.reserve(array->size());
  for (const Json& item : *array) {
    const auto* text = item.get_ptr<const std::string*>();
    if (text == nullptr) {
      return Error{Code::kCorrupt, quoted(key) + " item " + std::to_string(texts.size()) + " is not a text",
                   "get or convert the model again"};
    }
    texts.push_back(*text);
  }
  return texts;
}

Result<std::optional<TokenId>> token_id(const Json& metadata, std::string_view key, size_t n_tokens) {
  const Json* member = find_member(metadata, key);
  if (member == nullptr) return std::optional<TokenId>();
  const std::optional<int64_t> id = find_int(metadata, key);
  if (id == -1 || id == int64_t{UINT32_MAX}) return std::optional<TokenId>();  // how converters write "none"
  if (!id || *id < 0 || static_cast<uint64_t>(*id) >= n_tokens) {
    return Error{Code::kCorrupt,
                 quoted(key) + " is " + dump_json(*member).substr(0, 40) + ", wanted a token id below " +
                     std::to_string(n_tokens),
                 "get or convert the model again"};
  }
  return std::optional<TokenId>(static_cast<TokenId>(*id));
}

Result<Vocabulary> read_vocabulary(const Json& metadata) {
  Vocabulary vocabulary;
  PHIAL_TRY(vocabulary.pieces, need_texts(metadata, "tokenizer.ggml.tokens"));
  const size_t n = vocabulary.pieces.size();
  vocabulary.kinds.assign(n, TokenKind::kNormal);
  if (find_member(metadata, "tokenizer.ggml.token_type") != nullptr) {
    PHIAL_TRY(const Json* types, need_array(metadata, "tokenizer.ggml.token_type"));
    if (types->size() != n) {
      return Error{Code::kCorrupt, std::to_string(types->size()) + " token types for " + std::to_string(n) + " tokens",
                   "get or convert the model again"};
    }
    for (size_t i = 0; i < n; ++i) {
      const Json& type = (*types)[i];
      const int64_t value = type.is_number_integer() ? type.get<int64_t>() : -1;
      if (value < 0 || value > 6) {
        return Error{
            Code::kCorrupt,
            "token " + std::to_string(i) + " is of type " + dump_json(type).substr(0, 40) + ", known are 1 to 6",
            "get or convert the model again"};
      }
      vocabulary.kinds[i] = value == 0 ? TokenKind::kNormal : static_cast<TokenKind>(value);
    }
  }
  PHIAL_TRY(vocabulary.bos, token_id(metadata, "tokenizer.ggml.bos_token_id", n));
  PHIAL_TRY(vocabulary.unknown, token_id(metadata, "tokenizer.ggml.unknown_token_id", n));
  for (const std::string_view key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    PHIAL_TRY(const auto id, token_id(metadata, key, n));
    auto& ends = vocabulary.end_of_text;
    if (id && std::find(ends.begin(), ends.end(), *id) == ends.end()) ends.push_back(*id);
  }
  for (size_t i = 0; i < n; ++i) {
    const TokenKind kind = vocabulary.kinds[i];
    const auto id = static_cast<TokenId>(i);
    if (kind != TokenKind::kControl && kind != TokenKind::kUserDefined && id != vocabulary.unknown) continue;
    if (vocabulary.pieces[i].empty()) continue;
    AddedToken added;
    added.token = {vocabulary.pieces[i], id, false, false, kind != TokenKind::kUserDefined};
    if (std::find(vocabulary.end_of_text.begin(), vocabulary.end_of_text.end(), id) != vocabulary.end_of_text.end()) {
      added.token.is_control = true;
    }
    if (added.token.text == "</s>") added.token.is_control = true;  // Phi-3's files call it user-defined
    added.is_plain = kind == TokenKind::kUserDefined && !added.token.is_control && is_plain_text(added.token.text);
    vocabulary.added.push_back(std::move(added));
  }
  return vocabulary;
}

Result<std::vector<float>> read_scores(const Json& metadata) {
  std::vector<float> scores;
  PHIAL_TRY(const Json* array, need_array(metadata, "tokenizer.ggml.scores"));
  scores.reserve(array->size());
  for (const Json& score : *array) {
    if (!score.is_number()) {
      return Error{Code::kCorrupt, "the score of token " + std::to_string(scores.size()) + " is not a number",
                   "get or convert the model again"};
    }
    scores.push_back(score.get<float>());
  }
  return scores;
}

Result<std::unique_ptr<Tokenizer>> unigram_of(const Json& metadata, Vocabulary vocabulary) {
  PHIAL_TRY(const std::vector<float> scores, read_scores(metadata));
  vocabulary.adds_bos = find_bool(metadata, "tokenizer.ggml.add_bos_token").value_or(false) && vocabulary.bos;
  Unigram parts;
  std::string charsmap;
  if (find_member(metadata, "tokenizer.ggml.precompiled_charsmap") != nullptr) {
    PHIAL_TRY(const Json* bytes, need_array(metadata, "tokenizer.ggml.precompiled_charsmap"));
    for (const Json& byte : *bytes) {
      if (!byte.is_number_integer()) {
        return Error{Code::kCorrupt, "the character map holds " + dump_json(byte).substr(0, 40) + ", wanted bytes",
                     "get or convert the model again"};
      }
      charsmap.push_back(static_cast<char>(byte.get<int64_t>()));
    }
  }
  PHIAL_TRY(Charsmap map, Charsmap::make(charsmap));
  if (!map.empty()) parts.normalizer.add(make_charsmap_step(std::move(map)));
  const bool prefix = find_bool(metadata, "tokenizer.ggml.add_space_prefix").value_or(true);
  parts.prefix = prefix ? SpacePrefix::kEverySegment : SpacePrefix::kNone;
  parts.prefix_unless_present = false;
  parts.remove_extra_whitespaces = find_bool(metadata, "tokenizer.ggml.remove_extra_whitespaces").value_or(true);
  parts.every_space_starts_word = marks_only_begin_pieces(vocabulary);
  parts.vocabulary = std::move(vocabulary);
  return make_unigram(std::move(parts), std::vector<double>(scores.begin(), scores.end()));
}

Result<std::unique_ptr<Tokenizer>> sentencepiece_of(const Json& metadata, Vocabulary vocabulary) {
  PHIAL_TRY(const std::vector<float> scores, read_scores(metadata));
  vocabulary.adds_bos = find_bool(metadata, "tokenizer.ggml.add_bos_token").value_or(true) && vocabulary.bos;
  apply_phi3_attributes(vocabulary.added);
  SentencePieceBpe parts;
  parts.vocabulary = std::move(vocabulary);
  const bool prefix = find_bool(metadata, "tokenizer.ggml.add_space_prefix").value_or(true);
  parts.prefix = prefix ? SpacePrefix::kEverySegment : SpacePrefix::kNone;
  return make_sentencepiece(std::move(parts), scores);
}

// Pieces are bytes already.
Result<std::unique_ptr<Tokenizer>> phi3_small_of(Vocabulary vocabulary) {
  ByteBpe parts;
  std::vector<uint32_t> ranks(vocabulary.pieces.size(), MergeTable::kNever);
  for (size_t id = 0; id < ranks.size(); ++id) {
    if (vocabulary.kinds[id] == TokenKind::kNormal) ranks[id] = static_cast<uint32_t>(id);
  }
  parts.merges = merges_of_ranks(vocabulary.pieces, ranks);
  PHIAL_TRY(parts.splitter, make_regex_splitter(phi3_small_pattern(), SplitBehaviour::kIsolated));
  parts.whole_words_first = true;
  parts.spells_bytes = false;
  parts.vocabulary = std::move(vocabulary);
  return make_byte_bpe(std::move(parts));
}

Result<std::unique_ptr<Tokenizer>> byte_bpe_of(const Json& metadata, Vocabulary vocabulary) {
  std::vector<bool> is_added(vocabulary.pieces.size());
  for (const AddedToken& a : vocabulary.added) is_added[static_cast<size_t>(a.token.id)] = true;
  for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    if (!is_added[id]) vocabulary.pieces[id] = bytes_of_spelling(vocabulary.pieces[id]);
  }
  vocabulary.adds_bos = find_bool(metadata, "tokenizer.ggml.add_bos_token").value_or(false) && vocabulary.bos;
  ByteBpe parts;
  const std::string* pre = find_string(metadata, "tokenizer.ggml.pre");
  if (pre != nullptr && *pre == kPhi3SmallPre) return phi3_small_of(std::move(vocabulary));
  PHIAL_TRY(const auto merges, need_texts(metadata, "tokenizer.ggml.merges"));
  MergeListBuilder builder(vocabulary, merges.size());
  for (const std::string& merge : merges) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos) {
      return Error{Code::kCorrupt, "the merge '" + merge.substr(0, 80) + "' does not name two tokens",
                   "get or convert the model again"};
    }
    PHIAL_CHECKED(builder.add(bytes_of_spelling(std::string_view(merge).substr(0, space)),
                              bytes_of_spelling(std::string_view(merge).substr(space + 1))));
  }
  parts.merges = builder.take();
  PHIAL_TRY(PreTokenizer named, pre_tokenizer_named(pre == nullptr ? "" : std::string_view(*pre)));
  parts.splitter = std::move(named.splitter);
  parts.whole_words_first = named.whole_words_first;
  parts.add_prefix_space = find_bool(metadata, "tokenizer.ggml.add_space_prefix").value_or(false);
  parts.vocabulary = std::move(vocabulary);
  return make_byte_bpe(std::move(parts));
}

// GGUF files spell "the" as U+2581 "the" and "##ing" as "ing"; back to BERT's own spelling.
void respell_wordpieces(Vocabulary& vocabulary) {
  const auto is_inside = [](const std::string& piece) { return piece.starts_with("##"); };
  if (std::any_of(vocabulary.pieces.begin(), vocabulary.pieces.end(), is_inside)) return;
  for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    std::string& piece = vocabulary.pieces[id];
    if (vocabulary.kinds[id] != TokenKind::kNormal) continue;
    if (piece.starts_with(kSpaceMark)) {
      piece.erase(0, kSpaceMark.size());
    } else if (!(piece.starts_with('[') && piece.ends_with(']'))) {
      piece = std::string("##").append(piece);
    }
  }
}

Result<std::unique_ptr<Tokenizer>> wordpiece_of(const Json& metadata, Vocabulary vocabulary) {
  const size_t n = vocabulary.pieces.size();
  respell_wordpieces(vocabulary);
  PHIAL_TRY(const auto cls, token_id(metadata, "tokenizer.ggml.cls_token_id", n));
  PHIAL_TRY(auto sep, token_id(metadata, "tokenizer.ggml.seperator_token_id", n));  // the specification's spelling
  if (!sep) {
    PHIAL_TRY(sep, token_id(metadata, "tokenizer.ggml.separator_token_id", n));
  }
  vocabulary.bos = cls ? cls : vocabulary.bos ? vocabulary.bos : vocabulary.find("[CLS]");
  if (!sep && vocabulary.end_of_text.empty()) sep = vocabulary.find("[SEP]");
  if (sep) vocabulary.end_of_text = {*sep};
  if (!vocabulary.unknown) vocabulary.unknown = vocabulary.find("[UNK]");
  vocabulary.adds_bos = find_bool(metadata, "tokenizer.ggml.add_bos_token").value_or(true) && vocabulary.bos;
  WordPiece parts;
  // The file does not say whether the model is cased; a vocabulary with capital letters is.
  for (size_t id = 0; id < n; ++id) {
    const std::string& piece = vocabulary.pieces[id];
    const bool bracketed = piece.starts_with('[') && piece.ends_with(']');
    if (vocabulary.kinds[id] != TokenKind::kNormal || bracketed) continue;
    if (std::any_of(piece.begin(), piece.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
      parts.lower_case = parts.strip_accents = false;
    }
  }
  parts.vocabulary = std::move(vocabulary);
  return make_wordpiece(std::move(parts));
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> from_gguf(const Json& metadata) {
  const std::string* model = find_string(metadata, "tokenizer.ggml.model");
  const bool has_tokens = find_member(metadata, "tokenizer.ggml.tokens") != nullptr;
  if (model == nullptr && has_tokens) return missing("tokenizer.ggml.model", "text");
  if (model == nullptr || *model == "none" || *model == "no_vocab") {  // as the converter says it, newly and of old
    return Error{Code::kNotFound, "the GGUF file has no tokenizer", "get the model again with its tokenizer"};
  }
  if (*model != "llama" && *model != "gpt2" && *model != "bert" && *model != "t5") {
    return Error{Code::kUnsupported,
                 "the tokenizer model '" + model->substr(0, 40) + "' is not known; known are llama, gpt2, bert and t5",
                 "use the model's Hugging Face folder"};
  }
  PHIAL_TRY(Vocabulary vocabulary, read_vocabulary(metadata));
  PHIAL_CHECKED(vocabulary.check());
  if (*model == "llama") return sentencepiece_of(metadata, std::move(vocabulary));
  if (*model == "gpt2") return byte_bpe_of(metadata, std::move(vocabulary));
  if (*model == "t5") return unigram_of(metadata, std::move(vocabulary));
  return wordpiece_of(metadata, std::move(vocabulary));
}

}  // namespace phial::tokenizer

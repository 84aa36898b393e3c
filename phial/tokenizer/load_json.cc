// tokenizer.json (the format of Hugging Face's `tokenizers`) -> tokenizer. The file describes a pipeline; what of it
// changes ids is read, and a step that is not known is refused by name rather than skipped.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "phial/tokenizer/byte_bpe.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/normalizer.h"
#include "phial/tokenizer/sentencepiece.h"
#include "phial/tokenizer/side_files.h"
#include "phial/tokenizer/unigram.h"
#include "phial/tokenizer/wordpiece.h"

namespace phial::tokenizer {
namespace {

using Steps = std::vector<const Json*>;
using Merges = std::vector<std::pair<std::string_view, std::string_view>>;

constexpr std::string_view kAgain = "get the tokenizer again";

Error corrupt(std::string message) { return Error{Code::kCorrupt, std::move(message), std::string(kAgain)}; }

Error not_known(std::string_view what, std::string_view name) {
  return Error{Code::kUnsupported, std::string(what).append(" '").append(name.substr(0, 40)).append("' is not known"),
               ""};
}

std::string_view type_of(const Json& step) {
  const std::string* type = find_string(step, "type");
  return type == nullptr ? std::string_view() : std::string_view(*type);
}

bool has_type(const Steps& steps, std::string_view type) {
  return std::any_of(steps.begin(), steps.end(), [&](const Json* step) { return type_of(*step) == type; });
}

struct Pipeline {
  const Json* model = nullptr;
  Steps normalizers, pre_tokenizers, post_processors, decoders;
  Vocabulary vocabulary;  // spelled as in the file
};

// {"piece": id, ...} -> pieces by id. Ids that no piece has stay empty.
Status read_vocabulary(const Json& model, Vocabulary& vocabulary) {
  const Json* vocab = find_member(model, "vocab");
  if (vocab == nullptr || !vocab->is_object() || vocab->empty()) return corrupt("tokenizer.json has no model.vocab");
  uint64_t largest = 0;
  for (const auto& [piece, id] : vocab->items()) {
    const int64_t value = id.is_number_integer() ? id.get<int64_t>() : -1;
    if (value < 0 || static_cast<uint64_t>(value) >= vocab->size() + 65'536) {
      return corrupt("the token '" + piece.substr(0, 80) + "' has the id " + dump_json(id).substr(0, 40) + " among " +
                     std::to_string(vocab->size()) + " tokens");
    }
    largest = std::max(largest, static_cast<uint64_t>(value));
  }
  vocabulary.pieces.resize(largest + 1);
  vocabulary.kinds.assign(largest + 1, TokenKind::kUnused);
  for (const auto& [piece, id] : vocab->items()) {
    const auto at = id.get<size_t>();
    vocabulary.pieces[at] = piece;
    vocabulary.kinds[at] = TokenKind::kNormal;
  }
  return ok();
}

// The special tokens that the post-processor puts around a single text.
void read_template(const Steps& post_processors, Vocabulary& vocabulary) {
  for (const Json* step : post_processors) {
    const auto id_of = [&](const Json& pair) -> std::optional<TokenId> {  // ["[CLS]", 101]
      if (!pair.is_array() || pair.size() != 2 || !pair[1].is_number_integer()) return std::nullopt;
      const auto id = pair[1].get<int64_t>();
      return vocabulary.has(id) ? std::optional(static_cast<TokenId>(id)) : std::nullopt;
    };
    if (type_of(*step) == "BertProcessing" || type_of(*step) == "RobertaProcessing") {
      const Json* cls = find_member(*step, "cls");
      const Json* sep = find_member(*step, "sep");
      if (cls != nullptr) vocabulary.bos = id_of(*cls);
      if (sep != nullptr && id_of(*sep)) vocabulary.end_of_text = {*id_of(*sep)};
      vocabulary.adds_bos = vocabulary.bos.has_value();
    }
    const Json* single = find_member(*step, "single");
    if (type_of(*step) != "TemplateProcessing" || single == nullptr || !single->is_array()) continue;
    bool before_text = true;
    for (const Json& part : *single) {
      before_text = before_text && find_member(part, "Sequence") == nullptr;
      const Json* special = find_member(part, "SpecialToken");
      const std::string* text = special == nullptr ? nullptr : find_string(*special, "id");
      const auto id = text == nullptr ? std::nullopt : vocabulary.find(*text);
      if (!id) continue;
      if (before_text && !vocabulary.adds_bos) {
        vocabulary.bos = id;
        vocabulary.adds_bos = true;
      } else if (!before_text) {
        vocabulary.end_of_text = {*id};
      }
    }
  }
}

Result<Pipeline> read_pipeline(const Json& file) {
  Pipeline pipeline;
  pipeline.model = find_member(file, "model");
  if (pipeline.model == nullptr) return corrupt("tokenizer.json has no model");
  PHIAL_TRY(pipeline.normalizers, steps_of(find_member(file, "normalizer"), "normalizers"));
  PHIAL_TRY(pipeline.pre_tokenizers, steps_of(find_member(file, "pre_tokenizer"), "pretokenizers"));
  PHIAL_TRY(pipeline.post_processors, steps_of(find_member(file, "post_processor"), "processors"));
  PHIAL_TRY(pipeline.decoders, steps_of(find_member(file, "decoder"), "decoders"));
  if (find_member(*pipeline.model, "vocab") != nullptr && find_member(*pipeline.model, "vocab")->is_object()) {
    PHIAL_CHECKED(read_vocabulary(*pipeline.model, pipeline.vocabulary));
  }
  return pipeline;
}

Status add_specials(const Json& file, const SideFiles& side, Pipeline& pipeline) {
  if (const Json* added = find_member(file, "added_tokens"); added != nullptr && added->is_array()) {
    std::vector<AddedToken> tokens;
    for (const Json& entry : *added) {
      PHIAL_TRY(AddedToken token, read_added_token(entry, std::nullopt));
      tokens.push_back(std::move(token));
    }
    std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.token.id < b.token.id; });
    for (AddedToken& token : tokens) PHIAL_CHECKED(add_token(pipeline.vocabulary, std::move(token)));
  }
  SideFiles without_added_json = side;  // tokenizer.json has those itself
  without_added_json.added_tokens = Json::object();
  bool with_attributes = false;
  PHIAL_CHECKED(add_side_tokens(pipeline.vocabulary, without_added_json, &with_attributes));
  read_template(pipeline.post_processors, pipeline.vocabulary);
  return ok();
}

Result<std::optional<TokenId>> unknown_of(const Json& model, const Vocabulary& vocabulary) {
  const std::string* text = find_string(model, "unk_token");
  if (text == nullptr) return std::optional<TokenId>();
  const auto id = vocabulary.find(*text);
  if (!id) return corrupt("the unknown token '" + text->substr(0, 80) + "' is not in the vocabulary");
  return id;
}

Result<Merges> read_merges(const Json& model) {
  Merges merges;
  const Json* list = find_member(model, "merges");
  if (list == nullptr || !list->is_array()) return corrupt("tokenizer.json has no model.merges");
  merges.reserve(list->size());
  for (const Json& item : *list) {
    if (const auto* text = item.get_ptr<const std::string*>()) {
      const size_t space = text->find(' ');
      if (space != std::string::npos && text->find(' ', space + 1) == std::string::npos) {
        merges.emplace_back(std::string_view(*text).substr(0, space), std::string_view(*text).substr(space + 1));
        continue;
      }
    } else if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string()) {
      merges.emplace_back(*item[0].get_ptr<const std::string*>(), *item[1].get_ptr<const std::string*>());
      continue;
    }
    return corrupt("merge " + std::to_string(merges.size()) + " is " + dump_json(item).substr(0, 80) +
                   ", wanted two tokens");
  }
  return merges;
}

Result<SplitBehaviour> behaviour_of(const Json& step) {
  const std::string* name = find_string(step, "behavior");
  const bool inverted = find_bool(step, "invert").value_or(false);
  if (name != nullptr && *name == "Isolated") return SplitBehaviour::kIsolated;
  // "Remove what does not match" is how patterns that match everything are written.
  if (name != nullptr && *name == "Removed" && inverted) return SplitBehaviour::kIsolated;
  if (name != nullptr && *name == "MergedWithPrevious" && !inverted) return SplitBehaviour::kMergedWithPrevious;
  if (name != nullptr && *name == "MergedWithNext" && !inverted) return SplitBehaviour::kMergedWithNext;
  return not_known(inverted ? "the inverted split behaviour" : "the split behaviour",
                   name == nullptr ? std::string_view("none") : std::string_view(*name));
}

Result<std::unique_ptr<Splitter>> splitter_of(const Json& step) {
  const std::string_view type = type_of(step);
  if (type == "Split") {
    const Json* pattern = find_member(step, "pattern");
    if (pattern == nullptr) return corrupt("a Split step has no pattern");
    PHIAL_TRY(const SplitBehaviour behaviour, behaviour_of(step));
    if (const std::string* regex = find_string(*pattern, "Regex")) return make_regex_splitter(*regex, behaviour);
    PHIAL_TRY(auto finder, make_finder(*pattern));
    return make_finder_splitter(std::move(finder), behaviour);
  }
  if (type == "Digits") return make_digit_splitter(find_bool(step, "individual_digits").value_or(false));
  if (type == "Punctuation") {
    PHIAL_TRY(const SplitBehaviour behaviour, behaviour_of(step));
    return make_regex_splitter(R"([!-/:-@\[-`{-~\p{P}])", behaviour);
  }
  if (type == "ByteLevel") return make_word_splitter(kGpt2Words);
  return not_known("the pre-tokenizer", type);
}

Result<std::unique_ptr<Tokenizer>> byte_bpe_of(Pipeline pipeline) {
  ByteBpe parts;
  std::vector<std::unique_ptr<Splitter>> splitters;
  for (const Json* step : pipeline.pre_tokenizers) {
    if (type_of(*step) == "ByteLevel") {
      parts.add_prefix_space = find_bool(*step, "add_prefix_space").value_or(true);
      if (parts.add_prefix_space && !splitters.empty()) {
        return not_known("the pre-tokenizer", "ByteLevel with add_prefix_space behind other steps");
      }
      if (!find_bool(*step, "use_regex").value_or(true)) continue;
    }
    PHIAL_TRY(auto splitter, splitter_of(*step));
    splitters.push_back(std::move(splitter));
  }
  if (!splitters.empty()) parts.splitter = make_sequence(std::move(splitters));
  for (const Json* step : pipeline.normalizers) {
    PHIAL_TRY(auto normalizer, make_normalizer_step(*step));
    parts.normalizer.add(std::move(normalizer));
  }
  Vocabulary& vocabulary = pipeline.vocabulary;
  std::vector<bool> is_added(vocabulary.pieces.size());
  for (const AddedToken& a : vocabulary.added) is_added[static_cast<size_t>(a.token.id)] = true;
  PHIAL_TRY(vocabulary.unknown, unknown_of(*pipeline.model, vocabulary));
  for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    if (!is_added[id]) vocabulary.pieces[id] = bytes_of_spelling(vocabulary.pieces[id]);
  }
  PHIAL_TRY(const Merges merges, read_merges(*pipeline.model));
  MergeListBuilder builder(vocabulary, merges.size());
  for (const auto& [left, right] : merges) {
    PHIAL_CHECKED(builder.add(bytes_of_spelling(left), bytes_of_spelling(right)));
  }
  parts.merges = builder.take();
  parts.has_unknown = vocabulary.unknown.has_value();
  parts.whole_words_first = find_bool(*pipeline.model, "ignore_merges").value_or(false);
  parts.vocabulary = std::move(vocabulary);
  return make_byte_bpe(std::move(parts));
}

// Metaspace: where the mark goes, and whether words are cut apart at marks.
struct Metaspace {
  SpacePrefix prefix = SpacePrefix::kNone;
  bool split = true;
};

Result<Metaspace> metaspace_of(const Json& step) {
  Metaspace metaspace;
  const std::string* mark = find_string(step, "replacement");
  if (mark != nullptr && *mark != kSpaceMark) return not_known("the space mark", *mark);
  const std::string* scheme = find_string(step, "prepend_scheme");
  const bool by_flag = find_bool(step, "add_prefix_space").value_or(true);
  const std::string_view name = scheme != nullptr ? std::string_view(*scheme) : by_flag ? "always" : "never";
  if (name == "always") {
    metaspace.prefix = SpacePrefix::kEverySegment;
  } else if (name == "first") {
    metaspace.prefix = SpacePrefix::kFirstSegment;
  } else if (name != "never") {
    return not_known("the prepend_scheme", name);
  }
  metaspace.split = find_bool(step, "split").value_or(true);
  return metaspace;
}

void mark_byte_tokens(Vocabulary& vocabulary) {
  for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    if (vocabulary.kinds[id] == TokenKind::kNormal && byte_of_spelling(vocabulary.pieces[id])) {
      vocabulary.kinds[id] = TokenKind::kByte;
    }
  }
}

bool replaces_spaces_by_marks(const Json& step) {
  const Json* pattern = find_member(step, "pattern");
  const std::string* from = pattern == nullptr ? nullptr : find_string(*pattern, "String");
  const std::string* to = find_string(step, "content");
  return type_of(step) == "Replace" && from != nullptr && *from == " " && to != nullptr && *to == kSpaceMark;
}

Result<std::unique_ptr<Tokenizer>> marked_bpe_of(Pipeline pipeline) {
  SentencePieceBpe parts;
  parts.prefix = SpacePrefix::kNone;
  bool marks_spaces = false;
  for (const Json* step : pipeline.normalizers) {
    const std::string* prepend = find_string(*step, "prepend");
    if (type_of(*step) == "Prepend" && prepend != nullptr && *prepend == kSpaceMark) {
      parts.prefix = SpacePrefix::kEverySegment;
    } else if (replaces_spaces_by_marks(*step)) {
      marks_spaces = true;
    } else {
      PHIAL_TRY(auto normalizer, make_normalizer_step(*step));
      parts.normalizer.add(std::move(normalizer));
    }
  }
  for (const Json* step : pipeline.pre_tokenizers) {
    const Json* pattern = find_member(*step, "pattern");
    const std::string* literal = pattern == nullptr ? nullptr : find_string(*pattern, "String");
    if (type_of(*step) == "Metaspace") {
      PHIAL_TRY(const Metaspace metaspace, metaspace_of(*step));
      parts.prefix = metaspace.prefix;
      parts.prefix_unless_present = true;
      parts.every_space_starts_word = metaspace.split;
      marks_spaces = true;
    } else if (!(type_of(*step) == "Split" && marks_spaces && literal != nullptr && *literal == " ")) {
      return not_known("the pre-tokenizer", type_of(*step));  // a Split at spaces finds none any more
    }
  }
  if (!marks_spaces) return not_known("the model", "BPE over characters without space marks");
  Vocabulary& vocabulary = pipeline.vocabulary;
  PHIAL_TRY(vocabulary.unknown, unknown_of(*pipeline.model, vocabulary));
  if (find_bool(*pipeline.model, "byte_fallback").value_or(false)) mark_byte_tokens(vocabulary);
  parts.fuse_unknown = find_bool(*pipeline.model, "fuse_unk").value_or(false);
  PHIAL_TRY(const Merges merges, read_merges(*pipeline.model));
  parts.vocabulary = std::move(vocabulary);
  return make_sentencepiece(std::move(parts), merges);
}

Result<std::unique_ptr<Tokenizer>> wordpiece_of(Pipeline pipeline) {
  WordPiece parts;
  parts.clean_text = parts.split_ideographs = parts.strip_accents = parts.lower_case = false;
  for (const Json* step : pipeline.normalizers) {
    if (type_of(*step) != "BertNormalizer") return not_known("the normalizer step", type_of(*step));
    parts.clean_text = find_bool(*step, "clean_text").value_or(true);
    parts.split_ideographs = find_bool(*step, "handle_chinese_chars").value_or(true);
    parts.lower_case = find_bool(*step, "lowercase").value_or(true);
    parts.strip_accents = find_bool(*step, "strip_accents").value_or(parts.lower_case);
  }
  for (const Json* step : pipeline.pre_tokenizers) {
    if (type_of(*step) != "BertPreTokenizer") return not_known("the pre-tokenizer", type_of(*step));
  }
  for (const Json* step : pipeline.decoders) {
    if (type_of(*step) == "WordPiece") parts.tidy_punctuation = find_bool(*step, "cleanup").value_or(true);
  }
  if (const std::string* prefix = find_string(*pipeline.model, "continuing_subword_prefix")) {
    if (prefix->empty()) return corrupt("the WordPiece model has an empty continuing_subword_prefix");
    parts.continuation = *prefix;
  }
  parts.longest_word = static_cast<int>(
      std::clamp<int64_t>(find_int(*pipeline.model, "max_input_chars_per_word").value_or(100), 0, 10'000));
  PHIAL_TRY(pipeline.vocabulary.unknown, unknown_of(*pipeline.model, pipeline.vocabulary));
  parts.vocabulary = std::move(pipeline.vocabulary);
  return make_wordpiece(std::move(parts));
}

Result<std::unique_ptr<Tokenizer>> unigram_of(Pipeline pipeline, const std::vector<double>& scores) {
  Unigram parts;
  parts.prefix = SpacePrefix::kNone;
  parts.every_space_starts_word = false;
  for (const Json* step : pipeline.normalizers) {
    PHIAL_TRY(auto normalizer, make_normalizer_step(*step));
    parts.normalizer.add(std::move(normalizer));
  }
  for (const Json* step : pipeline.pre_tokenizers) {
    if (type_of(*step) == "WhitespaceSplit") {
      parts.split_white_space = true;
    } else if (type_of(*step) == "Metaspace") {
      PHIAL_TRY(const Metaspace metaspace, metaspace_of(*step));
      parts.prefix = metaspace.prefix;
      parts.every_space_starts_word = metaspace.split;
    } else {
      return not_known("the pre-tokenizer", type_of(*step));
    }
  }
  if (find_bool(*pipeline.model, "byte_fallback").value_or(false)) mark_byte_tokens(pipeline.vocabulary);
  parts.vocabulary = std::move(pipeline.vocabulary);
  std::vector<double> padded = scores;
  padded.resize(parts.vocabulary.pieces.size(), 0);  // added tokens behind the model's own
  return make_unigram(std::move(parts), padded);
}

// [["piece", score], ...]
Result<std::vector<double>> read_unigram_vocabulary(const Json& model, Vocabulary& vocabulary) {
  std::vector<double> scores;
  const Json* vocab = find_member(model, "vocab");
  if (vocab == nullptr || !vocab->is_array()) return corrupt("tokenizer.json has no model.vocab");
  for (const Json& entry : *vocab) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      return corrupt("token " + std::to_string(scores.size()) + " is " + dump_json(entry).substr(0, 80) +
                     ", wanted a piece and its score");
    }
    vocabulary.pieces.push_back(*entry[0].get_ptr<const std::string*>());
    scores.push_back(entry[1].get<double>());
  }
  vocabulary.kinds.assign(scores.size(), TokenKind::kNormal);
  const auto unknown = find_int(model, "unk_id");
  if (!unknown || !vocabulary.has(*unknown)) return corrupt("the unigram model has no unk_id inside its vocabulary");
  vocabulary.unknown = static_cast<TokenId>(*unknown);
  return scores;
}

std::string_view model_type(const Json& model) {
  const std::string_view type = type_of(model);
  if (!type.empty()) return type;  // files of before 2020 leave it out
  return find_member(model, "merges") != nullptr ? "BPE" : "WordPiece";
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> from_tokenizer_json(std::string_view text, const SideFiles& side) {
  PHIAL_TRY(const Json file, parse_json(text));
  PHIAL_TRY(Pipeline pipeline, read_pipeline(file));
  const std::string_view type = model_type(*pipeline.model);
  std::vector<double> scores;
  if (type == "Unigram") {
    PHIAL_TRY(scores, read_unigram_vocabulary(*pipeline.model, pipeline.vocabulary));
  } else if (type != "BPE" && type != "WordPiece") {
    return not_known("the model", type);
  }
  if (pipeline.vocabulary.pieces.empty()) return corrupt("tokenizer.json has no model.vocab");
  PHIAL_CHECKED(add_specials(file, side, pipeline));
  const bool is_encoder = type == "WordPiece";
  apply_roles(pipeline.vocabulary, side, is_encoder ? "cls_token" : "bos_token",
              is_encoder ? "sep_token" : "eos_token");
  PHIAL_CHECKED(pipeline.vocabulary.check());
  if (type == "Unigram") return unigram_of(std::move(pipeline), scores);
  if (type == "WordPiece") return wordpiece_of(std::move(pipeline));
  for (const std::string_view affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string* given = find_string(*pipeline.model, affix);
    if (given != nullptr && !given->empty()) return not_known("a BPE model with", affix);
  }
  const bool byte_level = has_type(pipeline.pre_tokenizers, "ByteLevel") || has_type(pipeline.decoders, "ByteLevel");
  return byte_level ? byte_bpe_of(std::move(pipeline)) : marked_bpe_of(std::move(pipeline));
}

}  // namespace phial::tokenizer

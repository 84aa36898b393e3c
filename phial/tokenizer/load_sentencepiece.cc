// tokenizer.model: the protocol buffer that SentencePiece writes, read by a parser of the few messages in it.
//
// ModelProto: 1 pieces (1 text, 2 score, 3 type), 2 trainer_spec (3 model_type, 24 treat_whitespace_as_suffix, 40
// unk_id, 41 bos_id, 42 eos_id), 3 normalizer_spec (2 precompiled_charsmap, 3 add_dummy_prefix, 4
// remove_extra_whitespaces, 5 escape_whitespaces). Source: sentencepiece_model.proto.
#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/bytes.h"
#include "phial/base/utf8.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/normalizer.h"
#include "phial/tokenizer/sentencepiece.h"
#include "phial/tokenizer/sentencepiece_file.h"
#include "phial/tokenizer/side_files.h"
#include "phial/tokenizer/unigram.h"

namespace phial::tokenizer {
namespace {

struct Field {
  uint32_t number = 0;
  uint64_t value = 0;      // of a varint or a fixed-width number
  std::string_view bytes;  // of a length-delimited field
};

Result<uint64_t> read_varint(Reader& in) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    PHIAL_TRY(const uint8_t byte, in.u8());
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return Error{Code::kCorrupt, "at byte " + std::to_string(in.position()) + " a number does not end",
               "get the tokenizer again"};
}

Result<Field> read_field(Reader& in) {
  Field field;
  PHIAL_TRY(const uint64_t tag, read_varint(in));
  field.number = static_cast<uint32_t>(tag >> 3);
  switch (tag & 7) {
    case 0: {
      PHIAL_TRY(field.value, read_varint(in));
      return field;
    }
    case 1: {
      PHIAL_TRY(field.value, in.u64());
      return field;
    }
    case 2: {
      PHIAL_TRY(const uint64_t length, read_varint(in));
      PHIAL_TRY(field.bytes, in.text(length));
      return field;
    }
    case 5: {
      PHIAL_TRY(field.value, in.u32());
      return field;
    }
    default:
      return Error{Code::kCorrupt,
                   "at byte " + std::to_string(in.position()) + " a field of kind " + std::to_string(tag & 7) +
                       ", known are 0, 1, 2 and 5",
                   "get the tokenizer again"};
  }
}

// handle(field) for each field of a message.
template <class Handle>
Status for_each_field(std::string_view message, const Handle& handle) {
  Reader in(std::as_bytes(std::span(message)));
  while (in.left() > 0) {
    PHIAL_TRY(const Field field, read_field(in));
    PHIAL_CHECKED(handle(field));
  }
  return ok();
}

Status read_piece(std::string_view message, SentencePieceFile& model) {
  std::string_view text;
  float score = 0;
  uint64_t type = 1;
  PHIAL_CHECKED(for_each_field(message, [&](const Field& field) {
    if (field.number == 1) text = field.bytes;
    if (field.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3) type = field.value;
    return ok();
  }));
  if (type < 1 || type > 6 || !is_valid_utf8(text)) {
    return Error{Code::kCorrupt,
                 "piece " + std::to_string(model.scores.size()) + " is of type " + std::to_string(type) +
                     (is_valid_utf8(text) ? "" : " and not UTF-8") + ", known are 1 to 6",
                 "get the tokenizer again"};
  }
  if (model.scores.size() >= kMostTokens) {
    return Error{Code::kCorrupt, "more than " + std::to_string(kMostTokens) + " pieces", "get the tokenizer again"};
  }
  model.vocabulary.pieces.emplace_back(text);
  model.vocabulary.kinds.push_back(static_cast<TokenKind>(type));
  model.scores.push_back(score);
  return ok();
}

Status read_trainer(std::string_view message, SentencePieceFile& model) {
  return for_each_field(message, [&](const Field& field) {
    if (field.number == 3) model.type = field.value;
    if (field.number == 24) model.suffix_marks = field.value != 0;
    if (field.number == 41) model.bos = static_cast<int32_t>(field.value);
    if (field.number == 42) model.eos = static_cast<int32_t>(field.value);
    return ok();
  });
}

Status read_normalizer(std::string_view message, SentencePieceFile& model) {
  return for_each_field(message, [&](const Field& field) {
    if (field.number == 2) model.charsmap = field.bytes;
    if (field.number == 3) model.add_prefix = field.value != 0;
    if (field.number == 4) model.remove_extra = field.value != 0;
    if (field.number == 5) model.escape = field.value != 0;
    return ok();
  });
}

Result<SentencePieceFile> read_model(std::string_view bytes) {
  SentencePieceFile model;
  PHIAL_CHECKED(for_each_field(bytes, [&](const Field& field) -> Status {
    if (field.number == 1) return read_piece(field.bytes, model);
    if (field.number == 2) return read_trainer(field.bytes, model);
    if (field.number == 3) return read_normalizer(field.bytes, model);
    return ok();
  }));
  const auto refuse = [](std::string what) {
    return Error{Code::kUnsupported, "a SentencePiece model with " + std::move(what) + " is not known",
                 "use the model's tokenizer.json"};
  };
  if (model.type != SentencePieceFile::kBpe && model.type != SentencePieceFile::kUnigram) {
    return refuse("model_type " + std::to_string(model.type) + " (word or char)");
  }
  if (model.suffix_marks) return refuse("treat_whitespace_as_suffix");
  if (!model.escape) return refuse("escape_whitespaces off");
  return model;
}

Status add_declared_tokens(SentencePieceFile& model, const SideFiles& side) {
  Vocabulary& vocabulary = model.vocabulary;
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    const TokenKind kind = vocabulary.kinds[i];
    const auto id = static_cast<TokenId>(i);
    if (kind == TokenKind::kUnknown && !vocabulary.unknown) vocabulary.unknown = id;
    const bool special = kind == TokenKind::kControl || kind == TokenKind::kUserDefined || id == vocabulary.unknown;
    if (!special || vocabulary.pieces[i].empty()) continue;
    AddedToken added;
    added.token = {vocabulary.pieces[i], id, false, false, kind != TokenKind::kUserDefined};
    added.is_plain = kind == TokenKind::kUserDefined && is_plain_text(vocabulary.pieces[i]);
    vocabulary.added.push_back(std::move(added));
  }
  bool with_attributes = false;
  PHIAL_CHECKED(add_side_tokens(vocabulary, side, &with_attributes));
  model.scores.resize(vocabulary.pieces.size(), 0);
  if (!with_attributes) apply_phi3_attributes(vocabulary.added);
  if (vocabulary.has(model.bos) && vocabulary.kinds[static_cast<size_t>(model.bos)] != TokenKind::kNormal) {
    vocabulary.bos = static_cast<TokenId>(model.bos);
    vocabulary.adds_bos = true;  // LlamaTokenizer's default
  }
  if (vocabulary.has(model.eos)) vocabulary.end_of_text = {static_cast<TokenId>(model.eos)};
  apply_roles(vocabulary, side, "bos_token", "eos_token");
  return ok();
}

}  // namespace

Result<SentencePieceFile> read_sentencepiece_file(std::string_view bytes, const SideFiles& side) {
  PHIAL_TRY(SentencePieceFile model, read_model(bytes));
  PHIAL_CHECKED(model.vocabulary.check());
  PHIAL_CHECKED(add_declared_tokens(model, side));
  return model;
}

Result<std::unique_ptr<Tokenizer>> from_sentencepiece(std::string_view bytes, const SideFiles& side) {
  PHIAL_TRY(SentencePieceFile model, read_sentencepiece_file(bytes, side));
  PHIAL_TRY(Charsmap charsmap, Charsmap::make(model.charsmap));
  Normalizer normalizer;
  if (!charsmap.empty()) normalizer.add(make_charsmap_step(std::move(charsmap)));
  const SpacePrefix prefix = model.add_prefix ? SpacePrefix::kEverySegment : SpacePrefix::kNone;
  if (model.type == SentencePieceFile::kBpe) {
    SentencePieceBpe parts;
    parts.vocabulary = std::move(model.vocabulary);
    parts.normalizer = std::move(normalizer);
    parts.prefix = prefix;
    parts.remove_extra_whitespaces = model.remove_extra;
    return make_sentencepiece(std::move(parts), model.scores);
  }
  Unigram parts;
  parts.every_space_starts_word = marks_only_begin_pieces(model.vocabulary);
  parts.vocabulary = std::move(model.vocabulary);
  parts.normalizer = std::move(normalizer);
  parts.prefix = prefix;
  parts.prefix_unless_present = false;
  parts.remove_extra_whitespaces = model.remove_extra;
  return make_unigram(std::move(parts), std::vector<double>(model.scores.begin(), model.scores.end()));
}

}  // namespace phial::tokenizer

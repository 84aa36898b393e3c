// tokenizer.model as SentencePiece writes it: the fields that load_sentencepiece.cc reads, and byte_fallback, without
// which other readers would not use the byte pieces.
#include <bit>
#include <string>

#include "phial/tokenizer/sentencepiece_file.h"

namespace phial::tokenizer {
namespace {

class Message {
 public:
  void number(uint32_t field, uint64_t value) {
    varint(uint64_t{field} << 3);
    varint(value);
  }
  void real(uint32_t field, float value) {
    varint((uint64_t{field} << 3) | 5);
    const auto bits = std::bit_cast<uint32_t>(value);
    bytes_.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  }
  void text(uint32_t field, std::string_view value) {
    varint((uint64_t{field} << 3) | 2);
    varint(value.size());
    bytes_.append(value);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(0x80 | (value & 0x7F)));
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

}  // namespace

std::string write_sentencepiece_file(const SentencePieceFile& file) {
  Message model;
  for (size_t i = 0; i < file.scores.size(); ++i) {
    Message piece;
    piece.text(1, file.vocabulary.pieces[i]);
    piece.real(2, file.scores[i]);
    piece.number(3, static_cast<uint64_t>(file.vocabulary.kinds[i]));
    model.text(1, piece.bytes());
  }
  Message trainer;
  trainer.number(3, SentencePieceFile::kBpe);
  trainer.number(4, file.scores.size());
  trainer.number(35, 1);  // byte_fallback
  trainer.number(40, static_cast<uint64_t>(file.vocabulary.unknown.value_or(0)));
  trainer.number(41, static_cast<uint64_t>(file.bos));  // -1: none
  trainer.number(42, static_cast<uint64_t>(file.eos));
  trainer.number(43, static_cast<uint64_t>(int64_t{-1}));  // pad_id
  model.text(2, trainer.bytes());
  Message normalizer;
  normalizer.text(1, "identity");
  normalizer.number(3, file.add_prefix ? 1 : 0);
  normalizer.number(4, file.remove_extra ? 1 : 0);
  normalizer.number(5, 1);
  model.text(3, normalizer.bytes());
  return model.bytes();
}

}  // namespace phial::tokenizer

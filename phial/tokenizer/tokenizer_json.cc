#include "phial/tokenizer/tokenizer_json.h"

#include <utility>

namespace phial::tokenizer {

Json tokenizer_json(ByteBpeFile file) {
  const Json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"ignore_merges", file.ignore_merges},
                      {"vocab", std::move(file.vocabulary)},
                      {"merges", std::move(file.merges)}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(file.added_tokens)},
          {"normalizer", nullptr},
          {"pre_tokenizer", std::move(file.pre_tokenizer)},
          {"decoder", std::move(file.decoder)},
          {"post_processor", std::move(file.post_processor)},
          {"model", model}};
}

Json added_token_json(const SpecialToken& token) {
  return {{"id", token.id},         {"content", token.text}, {"single_word", false},       {"lstrip", token.lstrip},
          {"rstrip", token.rstrip}, {"normalized", false},   {"special", token.is_control}};
}

}  // namespace phial::tokenizer

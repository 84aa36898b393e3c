#include "phial/tokenizer/pre_tokenizers.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace phial::tokenizer {
namespace {

constexpr std::string_view kDefaultNumbersAndMarks = R"([\p{P}\$\+<=>\^~\|]+)";
constexpr std::string_view kDefaultWords = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
constexpr std::string_view kGpt4oWords =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekkenWords =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct NamedPattern {
  std::string_view name;
  WordPattern pattern;
  bool whole_words_first = false;
};

// Of the names that mean the same, the first is the one that conversion writes.
constexpr NamedPattern kNamedPatterns[] = {
    {"gpt-2", kGpt2Words},
    {"phi-2", kGpt2Words},
    {"mpt", kGpt2Words},
    {"olmo", kGpt2Words},
    {"jais", kGpt2Words},
    {"roberta-bpe", kGpt2Words},
    {"jina-v2-en", kGpt2Words},
    {"jina-v2-code", kGpt2Words},
    {"jina-es", kGpt2Words},
    {"jina-de", kGpt2Words},
    {"smollm", kSmolLmWords},
    {"starcoder", kSmolLmWords},
    {"refact", kSmolLmWords},
    {"command-r", kSmolLmWords},
    {"codeshell", kSmolLmWords},
    {"llama-bpe", kLlama3Words, true},
    {"llama3", kLlama3Words, true},
    {"llama-v3", kLlama3Words, true},
    {"smaug-bpe", kLlama3Words},
    {"dbrx", kLlama3Words},
    {"chatglm-bpe", kLlama3Words},
    {"glm4", kLlama3Words},
    {"qwen2", kQwen2Words},
    {"stablelm2", kQwen2Words},
    {"deepseek-r1-qwen", kQwen2Words},
    {"megrez", kQwen2Words},
};

Json make_byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json make_split(std::string_view regex) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json steps_of(const WordPattern& pattern) {
  if (pattern == kGpt2Words) return Json::array({make_byte_level(true)});
  if (pattern == kSmolLmWords) {
    return Json::array({{{"type", "Digits"}, {"individual_digits", true}}, make_byte_level(true)});
  }
  const std::string_view regex = pattern == kLlama3Words ? kLlama3Regex : kQwen2Regex;
  return Json::array({make_split(regex), make_byte_level(false)});
}

bool has_same_fields(const Json& wanted, const Json& found) {
  return std::all_of(wanted.items().begin(), wanted.items().end(), [&](const auto& item) {
    if (item.key() == "trim_offsets") return true;
    const Json* own = find_member(found, item.key());
    return own != nullptr && *own == item.value();
  });
}

}  // namespace

Result<PreTokenizer> pre_tokenizer_named(std::string_view name) {
  for (const NamedPattern& named : kNamedPatterns) {
    if (named.name == name) return PreTokenizer{make_word_splitter(named.pattern), named.whole_words_first};
  }
  if (name == "gpt-4o" || name == "tekken") {
    PHIAL_TRY(auto splitter,
              make_regex_splitter(name == "gpt-4o" ? kGpt4oWords : kTekkenWords, SplitBehaviour::kIsolated));
    return PreTokenizer{std::move(splitter), name == "tekken"};
  }
  if (name == "default" || name.empty()) {
    std::vector<std::unique_ptr<Splitter>> parts;
    for (const std::string_view regex :
         {kDefaultNumbersAndMarks, kDefaultWords, std::string_view(R"(\p{N}+)"), std::string_view("[0-9][0-9][0-9]")}) {
      PHIAL_TRY(auto part, make_regex_splitter(regex, SplitBehaviour::kIsolated));
      parts.push_back(std::move(part));
    }
    return PreTokenizer{make_sequence(std::move(parts))};
  }
  std::string names;
  for (const NamedPattern& named : kNamedPatterns) names.append(named.name).append(", ");
  return Error{Code::kUnsupported,
               "the pre-tokenizer '" + std::string(name) + "' (tokenizer.ggml.pre) is not known; known are " + names +
                   "gpt-4o, tekken and default",
               "use the model's Hugging Face folder, whose tokenizer.json spells its pre-tokenizer out"};
}

std::optional<PreTokenizerSpelling> spelling_of(std::string_view name) {
  for (const NamedPattern& named : kNamedPatterns) {
    if (named.name == name) return PreTokenizerSpelling{steps_of(named.pattern), named.whole_words_first};
  }
  return std::nullopt;
}

std::string_view name_of(const PreTokenizerSpelling& spelling) {
  for (const NamedPattern& named : kNamedPatterns) {
    if (named.whole_words_first != spelling.ignore_merges) continue;
    const Json steps = steps_of(named.pattern);
    if (std::equal(steps.begin(), steps.end(), spelling.steps.begin(), spelling.steps.end(), has_same_fields)) {
      return named.name;
    }
  }
  return {};
}

}  // namespace phial::tokenizer

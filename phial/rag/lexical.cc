#include "phial/rag/lexical.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#include "phial/base/utf8.h"

namespace phial::rag {
namespace {

constexpr size_t kMaxQueryTerms = 64;

bool is_unspaced(char32_t c) {
  if (c < 0x0E00) return false;
  if (!u_isalnum(static_cast<UChar32>(c)) && u_charType(static_cast<UChar32>(c)) != U_NON_SPACING_MARK) return false;
  UErrorCode status = U_ZERO_ERROR;
  switch (uscript_getScript(static_cast<UChar32>(c), &status)) {
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_HANGUL:
    case USCRIPT_THAI:
    case USCRIPT_LAO:
    case USCRIPT_KHMER:
    case USCRIPT_MYANMAR:
      return true;
    default:
      return c == 0x30FC;  // the long vowel mark of Katakana is script "common"
  }
}

bool is_word_char(char32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return u_isalnum(static_cast<UChar32>(c)) || (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_M_MASK) != 0;
}

bool is_digit(char32_t c) { return c < 0x80 ? (c >= '0' && c <= '9') : u_isdigit(static_cast<UChar32>(c)) != 0; }

char32_t fold(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  return static_cast<char32_t>(u_foldCase(static_cast<UChar32>(c), U_FOLD_CASE_DEFAULT));
}

struct Char {
  char32_t code = 0;
  Span span;
};

// The characters of a run of one kind that starts at `at`.
template <class Is>
std::vector<Char> run_of(std::string_view text, size_t at, Is is) {
  std::vector<Char> run;
  while (at < text.size()) {
    const DecodedChar decoded = decode_utf8(text, at);
    const Span span{at, at + static_cast<size_t>(decoded.length)};
    if (!is(decoded.code_point)) break;
    run.push_back({decoded.code_point, span});
    at = span.end;
  }
  return run;
}

std::string_view bytes(std::string_view text, const Char& first, const Char& last) {
  return text.substr(first.span.start, last.span.end - first.span.start);
}

void append_pairs(std::string_view text, const std::vector<Char>& run, std::vector<Word>& words) {
  if (run.size() == 1) words.push_back({std::string(bytes(text, run[0], run[0])), run[0].span, false});
  for (size_t i = 0; i + 1 < run.size(); ++i) {
    words.push_back({std::string(bytes(text, run[i], run[i + 1])), {run[i].span.start, run[i + 1].span.end}, false});
  }
}

constexpr auto kStopWords = std::to_array<std::string_view>(
    {"a",       "long",    "many",    "much",    "often",  "about",  "after",  "all",     "also",   "am",
     "an",      "and",     "any",     "are",     "as",     "at",     "be",     "been",    "before", "being",
     "between", "both",    "but",     "by",      "can",    "could",  "did",    "do",      "does",   "doing",
     "each",    "for",     "from",    "had",     "has",    "have",   "having", "he",      "her",    "here",
     "him",     "his",     "how",     "i",       "if",     "in",     "into",   "is",      "it",     "its",
     "just",    "me",      "my",      "no",      "nor",    "not",    "of",     "on",      "or",     "other",
     "our",     "out",     "over",    "own",     "please", "same",   "she",    "should",  "so",     "some",
     "such",    "tell",    "than",    "that",    "the",    "their",  "them",   "then",    "there",  "these",
     "they",    "this",    "those",   "through", "to",     "too",    "under",  "until",   "up",     "very",
     "was",     "we",      "were",    "what",    "when",   "where",  "which",  "while",   "who",    "whom",
     "why",     "will",    "with",    "would",   "you",    "your",   "don't",  "doesn't", "isn't",  "can't",
     "der",     "die",     "das",     "den",     "dem",    "des",    "ein",    "eine",    "einen",  "einem",
     "einer",   "und",     "oder",    "ist",     "sind",   "wie",    "wer",    "wo",      "wann",   "warum",
     "welche",  "welcher", "welches", "mit",     "von",    "zu",     "zum",    "zur",     "im",     "auf",
     "für",     "auch",    "nicht",   "es",      "le",     "la",     "les",    "un",      "une",    "et",
     "est",     "du",      "que",     "qui",     "dans",   "el",     "los",    "las",     "de",     "en",
     "y",       "por",     "para",    "ich",     "wir",    "ihr",    "sie",    "sich",    "dass",   "haben",
     "hatte",   "wird",    "werden",  "wurde",   "kann",   "können", "muss",   "müssen",  "soll",   "darf",
     "viel",    "viele",   "lange",   "aus",     "bei",    "nach",   "vor",    "über",    "mein",   "meine",
     "gibt",    "welchen", "welchem", "wieviel", "quel",   "quelle", "quand",  "combien", "où",     "cuál",
     "cuándo",  "dónde",   "cuánto",  "cómo"});

}  // namespace

std::string index_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const DecodedChar decoded = decode_utf8(text, at);
    if (!is_unspaced(decoded.code_point)) {
      out.append(text.substr(at, static_cast<size_t>(decoded.length)));
      at += static_cast<size_t>(decoded.length);
      continue;
    }
    const std::vector<Char> run = run_of(text, at, is_unspaced);
    out += ' ';
    for (size_t i = 0; i < run.size(); ++i) {
      out.append(bytes(text, run[i], run[i])).append(" ");
      if (i + 1 < run.size()) out.append(bytes(text, run[i], run[i + 1])).append(" ");
    }
    at = run.back().span.end;
  }
  return out;
}

std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> words;
  for (size_t at = 0; at < text.size();) {
    const DecodedChar decoded = decode_utf8(text, at);
    if (is_unspaced(decoded.code_point)) {
      const std::vector<Char> run = run_of(text, at, is_unspaced);
      append_pairs(text, run, words);
      at = run.back().span.end;
      continue;
    }
    if (!is_word_char(decoded.code_point)) {
      at += static_cast<size_t>(decoded.length);
      continue;
    }
    Word word{{}, {at, at}, is_digit(decoded.code_point)};
    while (at < text.size()) {
      const DecodedChar next = decode_utf8(text, at);
      if (!is_word_char(next.code_point) || is_unspaced(next.code_point)) {
        // A point, comma or apostrophe between two word characters belongs to the word; commas only in numbers.
        const bool is_apostrophe = next.code_point == '\'' || next.code_point == 0x2019;
        const bool joins = is_apostrophe || ((next.code_point == '.' || next.code_point == ',') && word.is_number);
        const size_t after = at + static_cast<size_t>(next.length);
        if (!joins || after >= text.size()) break;
        const char32_t following = decode_utf8(text, after).code_point;
        if (word.is_number ? !is_digit(following) : !is_word_char(following)) break;
        if (next.code_point != ',') word.text += is_apostrophe ? '\'' : '.';
        at = after;
        continue;
      }
      append_utf8(word.text, fold(next.code_point));
      at += static_cast<size_t>(next.length);
    }
    word.span.end = at;
    // "Elena's" is found where Elena is.
    if (word.text.ends_with("'s")) word.text.resize(word.text.size() - 2);
    words.push_back(std::move(word));
  }
  return words;
}

std::vector<std::string_view> parts_at_spaces(std::string_view list) {
  std::vector<std::string_view> parts;
  while (!list.empty()) {
    const size_t end = std::min(list.find(' '), list.size());
    if (end > 0) parts.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return parts;
}

bool is_stop_word(std::string_view folded) {
  static const std::unordered_set<std::string_view> kSet(kStopWords.begin(), kStopWords.end());
  return kSet.contains(folded);
}

std::string rough_stem(std::string_view folded) {
  std::string stem(folded);
  const auto drop = [&stem](std::string_view ending, std::string_view put = "") {
    if (stem.size() < ending.size() + 3 || !stem.ends_with(ending)) return false;
    stem.resize(stem.size() - ending.size());
    stem += put;
    return true;
  };
  if (drop("ies", "y") || drop("ied", "y")) return stem;
  if (drop("sses", "ss")) return stem;
  if (!stem.ends_with("ss") && !stem.ends_with("us") && !stem.ends_with("is")) drop("s");
  const bool cut = drop("ing") || drop("ed") || drop("ly");
  // "stopped" is "stop", not "stopp".
  if (cut && stem.size() > 3 && stem[stem.size() - 1] == stem[stem.size() - 2] && stem.back() != 'l' &&
      stem.back() != 's') {
    stem.pop_back();
  }
  drop("e");
  return stem;
}

std::string without_accents(std::string_view folded) {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* normalizer = unorm2_getNFDInstance(&status);
  std::string plain;
  for (size_t at = 0; at < folded.size();) {
    const DecodedChar decoded = decode_utf8(folded, at);
    at += static_cast<size_t>(decoded.length);
    UChar parts[8];
    UErrorCode failure = U_ZERO_ERROR;
    const int32_t length =
        U_FAILURE(status)
            ? -1
            : unorm2_getRawDecomposition(normalizer, static_cast<UChar32>(decoded.code_point), parts, 8, &failure);
    // The base letter comes first; marks follow.
    append_utf8(plain, length > 1 && U_SUCCESS(failure) && parts[0] < 0xD800 ? parts[0] : decoded.code_point);
  }
  return plain;
}

std::vector<std::string> content_words(std::string_view text) {
  std::vector<std::string> found;
  std::unordered_set<std::string> seen;
  for (const Word& word : words_of(text)) {
    if (is_stop_word(word.text)) continue;
    std::string stem = word.is_number ? word.text : rough_stem(word.text);
    if (seen.insert(stem).second) found.push_back(std::move(stem));
  }
  return found;
}

std::vector<QueryTerm> query_terms(std::string_view question) {
  const std::vector<Word> words = words_of(question);
  std::vector<QueryTerm> terms;
  std::unordered_set<std::string> seen;
  const auto add = [&](std::string term, double share = 1) {
    if (terms.size() < kMaxQueryTerms && seen.insert(term).second) terms.push_back({std::move(term), share});
  };
  const bool only_stop_words =
      std::all_of(words.begin(), words.end(), [](const Word& word) { return is_stop_word(word.text); });
  for (size_t i = 0; i < words.size(); ++i) {
    if (only_stop_words || !is_stop_word(words[i].text)) add(words[i].text);
    // Words joined by one character of '_', '-', '.', '/' or ':' also count as one phrase.
    size_t last = i;
    const auto is_joint = [&](size_t at) {
      return std::string_view("_-./:").find(question[at]) != std::string_view::npos;
    };
    while (last + 1 < words.size() && words[last + 1].span.start == words[last].span.end + 1 &&
           is_joint(words[last].span.end)) {
      ++last;
    }
    if (last > i && (i == 0 || words[i - 1].span.end + 1 != words[i].span.start || !is_joint(words[i - 1].span.end))) {
      std::string phrase;
      bool is_plain = true;  // "high-fat", "and/or"; a code is what its author looks for to the letter
      for (size_t w = i; w <= last; ++w) {
        phrase += (w == i ? "" : " ") + words[w].text;
        is_plain = is_plain && !words[w].is_number &&
                   (w == last || std::string_view("-/").find(question[words[w].span.end]) != std::string_view::npos);
      }
      add(std::move(phrase), is_plain ? kStandInShare : 1);
    }
  }
  return terms;
}

std::string any_of(const std::vector<std::string>& terms) {
  std::string query;
  for (const std::string& term : terms) {
    if (!query.empty()) query += " OR ";
    query += '"';
    for (const char c : term) {
      if (c == '\0') continue;
      query += c;
      if (c == '"') query += '"';
    }
    query += '"';
  }
  return query;
}

}  // namespace phial::rag

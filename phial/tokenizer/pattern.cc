#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>
#include <utility>

#include "phial/tokenizer/splitter.h"

namespace phial::tokenizer {
namespace {

// \s and \S as Unicode's White_Space, as the engines that models were trained with have it; PCRE2's own \s also takes
// U+180E.
std::string with_white_space_property(std::string_view regex) {
  std::string rewritten;
  for (size_t i = 0; i < regex.size(); ++i) {
    if (regex[i] != '\\' || i + 1 == regex.size()) {
      rewritten.push_back(regex[i]);
      continue;
    }
    ++i;
    if (regex[i] == 's') {
      rewritten.append("\\p{White_Space}");
    } else if (regex[i] == 'S') {
      rewritten.append("\\P{White_Space}");
    } else {
      rewritten.append({'\\', regex[i]});
    }
  }
  return rewritten;
}

struct Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

class RegexFinder final : public Finder {
 public:
  explicit RegexFinder(pcre2_code* code) : code_(code), context_(pcre2_match_context_create(nullptr)) {
    // A pattern and a text that together backtrack without end are given up instead.
    pcre2_set_match_limit(context_.get(), 1'000'000);
    pcre2_set_heap_limit(context_.get(), 65'536);  // KiB
  }

  bool find(std::string_view text, size_t from, size_t* begin, size_t* end) const override {
    const std::unique_ptr<pcre2_match_data, Free> data(pcre2_match_data_create(1, nullptr));
    const auto match = [&](uint32_t options) {
      return pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                         PCRE2_NOTEMPTY | options, data.get(), context_.get());
    };
    int found = match(0);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(PCRE2_NO_JIT);
    if (found < 0) return false;
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data.get());
    if (bounds[0] < from || bounds[1] <= bounds[0]) return false;  // \K can turn bounds around
    *begin = bounds[0];
    *end = bounds[1];
    return true;
  }

 private:
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_context, Free> context_;
};

class LiteralFinder final : public Finder {
 public:
  explicit LiteralFinder(std::string literal) : literal_(std::move(literal)) {}

  bool find(std::string_view text, size_t from, size_t* begin, size_t* end) const override {
    const size_t at = literal_.empty() ? std::string_view::npos : text.find(literal_, from);
    if (at == std::string_view::npos) return false;
    *begin = at;
    *end = at + literal_.size();
    return true;
  }

 private:
  std::string literal_;
};

class FinderSplitter final : public Splitter {
 public:
  FinderSplitter(std::unique_ptr<Finder> finder, SplitBehaviour behaviour)
      : finder_(std::move(finder)), behaviour_(behaviour) {}

  void split(std::string_view text, std::vector<std::string_view>& words) const override {
    size_t start = 0;
    const auto cut = [&](size_t at) {
      if (at > start) words.push_back(text.substr(start, at - start));
      start = at;
    };
    size_t begin = 0;
    size_t end = 0;
    for (size_t from = 0; from < text.size() && finder_->find(text, from, &begin, &end); from = end) {
      if (behaviour_ != SplitBehaviour::kMergedWithPrevious) cut(begin);
      if (behaviour_ != SplitBehaviour::kMergedWithNext) cut(end);
    }
    cut(text.size());
  }

 private:
  std::unique_ptr<Finder> finder_;
  SplitBehaviour behaviour_;
};

Result<std::unique_ptr<Finder>> make_regex_finder(std::string_view regex) {
  constexpr size_t kLongestPattern = 8192;
  if (regex.size() > kLongestPattern) {
    return Error{Code::kUnsupported,
                 "a pre-tokenizer pattern of " + std::to_string(regex.size()) + " bytes, at most " +
                     std::to_string(kLongestPattern) + " are read",
                 ""};
  }
  const std::string pattern = with_white_space_property(regex);
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr);
  if (code == nullptr) {
    PCRE2_UCHAR why[160];
    pcre2_get_error_message(error, why, sizeof why);
    return Error{Code::kUnsupported,
                 "the pre-tokenizer pattern '" + std::string(regex.substr(0, 200)) +
                     "' is not understood: " + reinterpret_cast<const char*>(why),
                 ""};
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without it matching is slower, not different
  return std::unique_ptr<Finder>(std::make_unique<RegexFinder>(code));
}

}  // namespace

Result<std::unique_ptr<Finder>> make_finder(const Json& pattern) {
  if (const std::string* literal = find_string(pattern, "String")) {
    return std::unique_ptr<Finder>(std::make_unique<LiteralFinder>(*literal));
  }
  if (const std::string* regex = find_string(pattern, "Regex")) return make_regex_finder(*regex);
  return Error{Code::kCorrupt, "a pattern of the tokenizer is neither a String nor a Regex", "get the tokenizer again"};
}

std::unique_ptr<Splitter> make_finder_splitter(std::unique_ptr<Finder> finder, SplitBehaviour behaviour) {
  return std::make_unique<FinderSplitter>(std::move(finder), behaviour);
}

Result<std::unique_ptr<Splitter>> make_pcre_splitter(std::string_view regex, SplitBehaviour behaviour) {
  PHIAL_TRY(auto finder, make_regex_finder(regex));
  return make_finder_splitter(std::move(finder), behaviour);
}

}  // namespace phial::tokenizer

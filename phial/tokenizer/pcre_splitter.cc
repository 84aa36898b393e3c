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

class PcreSplitter final : public Splitter {
 public:
  PcreSplitter(pcre2_code* code, SplitBehaviour behaviour)
      : code_(code), context_(pcre2_match_context_create(nullptr)), behaviour_(behaviour) {
    // A pattern and a text that together backtrack without end are given up instead.
    pcre2_set_match_limit(context_.get(), 1'000'000);
    pcre2_set_heap_limit(context_.get(), 65'536);  // KiB
  }

  void split(std::string_view text, std::vector<std::string_view>& words) const override {
    const std::unique_ptr<pcre2_match_data, Free> data(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    size_t start = 0;  // of the word being collected
    size_t from = 0;   // behind the last match
    while (from < text.size()) {
      int found = pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NOTEMPTY, data.get(), context_.get());
      if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
        found = pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NOTEMPTY | PCRE2_NO_JIT, data.get(),
                            context_.get());
      }
      if (found < 1) break;
      const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data.get());
      const size_t begin = bounds[0];
      const size_t end = bounds[1];
      if (end <= from || begin < from) break;  // a \K or look-behind that goes backwards
      const auto cut = [&](size_t at) {
        if (at > start) words.push_back(text.substr(start, at - start));
        start = at;
      };
      if (behaviour_ != SplitBehaviour::kMergedWithPrevious) cut(begin);
      if (behaviour_ != SplitBehaviour::kMergedWithNext) cut(end);
      from = end;
    }
    if (start < text.size()) words.push_back(text.substr(start));
  }

 private:
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_context, Free> context_;
  SplitBehaviour behaviour_;
};

}  // namespace

Result<std::unique_ptr<Splitter>> make_pcre_splitter(std::string_view regex, SplitBehaviour behaviour) {
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
  return std::unique_ptr<Splitter>(std::make_unique<PcreSplitter>(code, behaviour));
}

}  // namespace phial::tokenizer

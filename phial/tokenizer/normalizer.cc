#include "phial/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/tokenizer/splitter.h"
#include "phial/tokenizer/unicode.h"

namespace phial::tokenizer {
namespace {

// body(code point) for each character, malformed bytes copied as they are.
template <class Body>
std::string map_characters(std::string_view text, const Body& body) {
  std::string mapped;
  mapped.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const DecodedChar c = decode_utf8(text, at);
    if (c.valid) {
      body(c.code_point, mapped);
    } else {
      mapped.append(text.substr(at, static_cast<size_t>(c.length)));
    }
    at += static_cast<size_t>(c.length);
  }
  return mapped;
}

class UnicodeForm final : public NormalizerStep {
 public:
  UnicodeForm(int options, char32_t unchanged_below) : options_(options), unchanged_below_(unchanged_below) {}

  void apply(std::string& text) const override {
    std::string normal;
    size_t run = 0;  // of valid characters, some of which may change
    bool may_change = false;
    for (size_t at = 0; at < text.size();) {
      const DecodedChar c = decode_utf8(text, at);
      if (!c.valid) {
        append_form(std::string_view(text).substr(run, at - run), normal);
        normal.append(text, at, static_cast<size_t>(c.length));
        run = at + static_cast<size_t>(c.length);
        may_change = true;
      }
      may_change = may_change || c.code_point >= unchanged_below_;
      at += static_cast<size_t>(c.length);
    }
    if (!may_change) return;
    append_form(std::string_view(text).substr(run), normal);
    text = std::move(normal);
  }

 private:
  void append_form(std::string_view text, std::string& to) const {
    if (text.empty()) return;
    utf8proc_uint8_t* formed = nullptr;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
    const auto size = static_cast<utf8proc_ssize_t>(text.size());
    const auto n = utf8proc_map(bytes, size, &formed, static_cast<utf8proc_option_t>(options_));
    if (n >= 0) {
      to.append(reinterpret_cast<const char*>(formed), static_cast<size_t>(n));
    } else {
      to.append(text);
    }
    std::free(formed);
  }

  int options_;
  char32_t unchanged_below_;
};

class Lowercase final : public NormalizerStep {
  void apply(std::string& text) const override {
    text = map_characters(text, [](char32_t c, std::string& to) {
      append_utf8(to, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
      if (c == 0x130) append_utf8(to, 0x307);  // the one character whose lower case is two
    });
  }
};

class StripAccents final : public NormalizerStep {
  void apply(std::string& text) const override {
    text = map_characters(text, [](char32_t c, std::string& to) {
      const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
      const bool mark = category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
      if (!mark) append_utf8(to, c);
    });
  }
};

class Strip final : public NormalizerStep {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  void apply(std::string& text) const override {
    size_t first = text.size();
    size_t last = 0;
    for (size_t at = 0; at < text.size();) {
      const Char c = classify(text, at);
      if (!is_space(c.kind)) {
        first = std::min(first, at);
        last = at + c.length;
      }
      at += c.length;
    }
    const size_t from = left_ ? first : 0;
    const size_t to = right_ ? std::max(last, from) : text.size();
    text = text.substr(from, to - from);
  }

 private:
  bool left_, right_;
};

class Prepend final : public NormalizerStep {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  void apply(std::string& text) const override {
    if (!text.empty()) text = prefix_ + text;
  }

 private:
  std::string prefix_;
};

class Replace final : public NormalizerStep {
 public:
  Replace(std::unique_ptr<Finder> finder, std::string content)
      : finder_(std::move(finder)), content_(std::move(content)) {}

  void apply(std::string& text) const override {
    std::string replaced;
    size_t from = 0;
    size_t end = 0;
    for (size_t begin = 0; finder_->find(text, from, &begin, &end); from = end) {
      replaced.append(text, from, begin - from).append(content_);
    }
    if (from > 0) text = replaced.append(text, from);
  }

 private:
  std::unique_ptr<Finder> finder_;
  std::string content_;
};

class Precompiled final : public NormalizerStep {
 public:
  explicit Precompiled(Charsmap map) : map_(std::move(map)) {}
  void apply(std::string& text) const override { text = map_.apply_by_grapheme(text); }

 private:
  Charsmap map_;
};

class LongestCharsmap final : public NormalizerStep {
 public:
  explicit LongestCharsmap(Charsmap map) : map_(std::move(map)) {}
  void apply(std::string& text) const override { text = map_.apply_longest(text); }

 private:
  Charsmap map_;
};

Error malformed(std::string_view type) {
  return Error{Code::kCorrupt, "the normalizer step " + std::string(type) + " lacks what it needs",
               "get the tokenizer again"};
}

Result<std::unique_ptr<NormalizerStep>> make_replace(const Json& spec) {
  const Json* pattern = find_member(spec, "pattern");
  const std::string* content = find_string(spec, "content");
  if (pattern == nullptr || content == nullptr) return malformed("Replace");
  PHIAL_TRY(auto finder, make_finder(*pattern));
  return std::unique_ptr<NormalizerStep>(std::make_unique<Replace>(std::move(finder), *content));
}

Result<std::unique_ptr<NormalizerStep>> make_precompiled(const Json& spec) {
  const std::string* encoded = find_string(spec, "precompiled_charsmap");
  if (encoded == nullptr) return malformed("Precompiled");
  PHIAL_TRY(const std::string bytes, decode_base64(*encoded));
  PHIAL_TRY(Charsmap map, Charsmap::make(bytes));
  return std::unique_ptr<NormalizerStep>(std::make_unique<Precompiled>(std::move(map)));
}

}  // namespace

Result<std::unique_ptr<NormalizerStep>> make_normalizer_step(const Json& spec) {
  const std::string* type = find_string(spec, "type");
  if (type == nullptr) return malformed("without type");
  std::unique_ptr<NormalizerStep> step;
  // Below U+0300 nothing composes; only ASCII neither decomposes nor has a compatibility form.
  if (*type == "NFC") step = std::make_unique<UnicodeForm>(UTF8PROC_STABLE | UTF8PROC_COMPOSE, 0x300);
  if (*type == "NFD") step = std::make_unique<UnicodeForm>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, 0x80);
  if (*type == "NFKC") {
    step = std::make_unique<UnicodeForm>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT, 0x80);
  }
  if (*type == "NFKD") {
    step = std::make_unique<UnicodeForm>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, 0x80);
  }
  if (*type == "Lowercase") step = std::make_unique<Lowercase>();
  if (*type == "StripAccents") step = std::make_unique<StripAccents>();
  if (*type == "Strip") {
    step = std::make_unique<Strip>(find_bool(spec, "strip_left").value_or(true),
                                   find_bool(spec, "strip_right").value_or(true));
  }
  if (*type == "Prepend") {
    const std::string* prefix = find_string(spec, "prepend");
    if (prefix == nullptr) return malformed(*type);
    step = std::make_unique<Prepend>(*prefix);
  }
  if (step) return step;
  if (*type == "Replace") return make_replace(spec);
  if (*type == "Precompiled") return make_precompiled(spec);
  return Error{Code::kUnsupported, "the normalizer step '" + type->substr(0, 40) + "' is not known", ""};
}

std::unique_ptr<NormalizerStep> make_charsmap_step(Charsmap map) {
  return std::make_unique<LongestCharsmap>(std::move(map));
}

Result<std::vector<const Json*>> steps_of(const Json* spec, std::string_view members) {
  std::vector<const Json*> steps;
  if (spec == nullptr || spec->is_null()) return steps;
  const std::string* type = find_string(*spec, "type");
  if (type == nullptr) return Error{Code::kCorrupt, "a step of the tokenizer has no type", "get the tokenizer again"};
  if (*type != "Sequence") {
    steps.push_back(spec);
    return steps;
  }
  const Json* list = find_member(*spec, members);
  if (list == nullptr || !list->is_array()) {
    return Error{Code::kCorrupt, "a sequence of the tokenizer has no list '" + std::string(members) + "'",
                 "get the tokenizer again"};
  }
  for (const Json& member : *list) {
    PHIAL_TRY(const auto inner, steps_of(&member, members));
    steps.insert(steps.end(), inner.begin(), inner.end());
  }
  return steps;
}

}  // namespace phial::tokenizer

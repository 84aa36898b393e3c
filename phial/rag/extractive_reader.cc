#include "phial/rag/extractive_reader.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace phial::rag {
namespace {

using tokenizer::TokenId;

constexpr size_t kWindow = 384;      // ids of question and passage, as readers are trained (BERT section A.3)
constexpr size_t kLongestSpan = 30;  // ids of an answer, likewise
constexpr size_t kQuestionPart = 4;  // a question takes at most so small a part of a window

// Sentences [first, last) of a passage, and where each begins among the window's ids.
struct Window {
  size_t passage = 0, first = 0;
  std::vector<size_t> begins;  // one beyond the last
};

// The best span that begins in [begin, end) and ends there too; lowest() if there is none.
float best_span(std::span<const model::SpanLogits> logits, size_t begin, size_t end) {
  float best = std::numeric_limits<float>::lowest();
  for (size_t s = begin; s < end; ++s) {
    for (size_t e = s; e < std::min(end, s + kLongestSpan); ++e) {
      best = std::max(best, logits[s].start + logits[e].end);
    }
  }
  return best;
}

class WindowCutter {
 public:
  WindowCutter(const tokenizer::Tokenizer& tokenizer, std::string_view question, size_t longest, TokenId begin,
               TokenId end)
      : tokenizer_(tokenizer), longest_(longest), end_(end), head_(tokenizer.encode(question)) {
    head_.resize(std::min(head_.size(), longest / kQuestionPart));
    head_.insert(head_.begin(), begin);
    head_.push_back(end);
  }

  // Adds the passage's windows, and what is read of each.
  void cut(size_t passage, const PassageSentences& sentences, std::vector<Window>& windows,
           std::vector<model::QuestionAndPassage>& inputs) const {
    for (size_t i = 0; i < sentences.size(); ++i) {
      const std::vector<TokenId> ids = tokenizer_.encode(sentences[i]);
      const bool is_new = i == 0 || inputs.back().ids.size() + ids.size() + 1 > longest_;
      if (is_new) {
        if (i > 0) inputs.back().ids.push_back(end_);
        windows.push_back({passage, i, {head_.size()}});
        inputs.push_back({head_, head_.size()});
      }
      std::vector<TokenId>& all = inputs.back().ids;
      all.insert(all.end(), ids.begin(),
                 ids.begin() + static_cast<ptrdiff_t>(std::min(ids.size(), longest_ - 1 - all.size())));
      windows.back().begins.push_back(all.size());
    }
    if (!sentences.empty()) inputs.back().ids.push_back(end_);
  }

 private:
  const tokenizer::Tokenizer& tokenizer_;
  size_t longest_;
  TokenId end_;
  std::vector<TokenId> head_;
};

}  // namespace

Result<std::vector<std::vector<float>>> ExtractiveReader::read(std::string_view question,
                                                               std::span<const PassageSentences> passages) {
  const size_t longest = std::min(kWindow, static_cast<size_t>(reader_->spec().max_tokens));
  const WindowCutter cutter(*tokenizer_, question, longest, begin_, end_);
  std::vector<Window> windows;
  std::vector<model::QuestionAndPassage> inputs;
  std::vector<std::vector<float>> scores;
  for (size_t p = 0; p < passages.size(); ++p) {
    cutter.cut(p, passages[p], windows, inputs);
    scores.emplace_back(passages[p].size(), kLeastReading);
  }
  PHIAL_TRY(const auto read, reader_->read(inputs));
  for (size_t w = 0; w < windows.size(); ++w) {
    const Window& window = windows[w];
    const float none = read[w].front().start + read[w].front().end;
    for (size_t i = 0; i + 1 < window.begins.size(); ++i) {
      const float best = best_span(read[w], window.begins[i], window.begins[i + 1]);
      scores[window.passage][window.first + i] = std::max(kLeastReading, best - none);
    }
  }
  return scores;
}

}  // namespace phial::rag

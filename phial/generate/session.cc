#include "phial/generate/session.h"

#include <algorithm>
#include <utility>

namespace phial::generate {

Session::Session(Task task, PictureRows pictures, CachedSequence cached)
    : task_(std::move(task)),
      pictures_(std::move(pictures)),
      sequence_(std::move(task_.prompt)),
      cached_(std::move(cached)),
      speculation_(task_.pen.drafter != nullptr ? *task_.pen.drafter : lookup_, *task_.pen.draft_length,
                   task_.pen.draft_tokens),
      sampler_(task_.request.sampling),
      stream_(task_.request.stop),
      drop_space_(!task_.request.messages.empty()) {
  result_.prompt_tokens = static_cast<int>(sequence_.size());
  result_.reused_tokens = static_cast<int>(cached_.ids.size());
}

void Session::use_table(spec::RopeTable table) {
  if (table == cached_.table) return;
  cached_.truncate(0);
  cached_.table = table;
}

Result<std::vector<int32_t>> Session::draft(int room) {
  has_guessed_ = true;
  return speculation_.draft(sequence_, room, task_.request.cancel);
}

model::Segment Session::next(size_t most, std::span<const int32_t> draft) {
  const auto from = sequence_.begin() + static_cast<std::ptrdiff_t>(cached_.ids.size());
  const size_t count = std::min(most, missing());
  const bool is_all = count == missing();
  fed_.assign(from, from + static_cast<std::ptrdiff_t>(count));
  if (is_all) fed_.insert(fed_.end(), draft.begin(), draft.end());
  const auto logits_of = !is_all         ? model::LogitsOf::kNone
                         : draft.empty() ? model::LogitsOf::kLast
                                         : model::LogitsOf::kAll;
  rows_ = rows_at(fed_, pictures_);
  return {.ids = fed_, .rows = rows_, .table = cached_.table, .logits_of = logits_of, .cache = &cached_.cache};
}

void Session::took(std::span<const float> rows, double pass_ms) {
  cached_.ids.insert(cached_.ids.end(), fed_.begin(), fed_.end());
  if (rows.empty()) return;
  const bool is_first = !has_begun();
  if (is_first) result_.prefill_ms = result_.first_token_ms = ms();
  // Row by row as without a draft, until what is written is not what was drafted.
  const size_t n_rows = cached_.ids.size() - sequence_.size() + 1, width = rows.size() / n_rows;
  const size_t known = sequence_.size();
  if (task_.most_tokens == 0) ended_ = StopReason::kMaxTokens;
  for (size_t row = 0; !ended_ && row < n_rows; ++row) {
    if (row > 0 && sequence_.back() != cached_.ids[known + row - 1]) break;
    if (row > 0 && task_.request.cancel.stop_requested()) {
      ended_ = StopReason::kCancelled;
      break;
    }
    ended_ = write(rows.subspan(row * width, width));
  }
  if (has_guessed_) speculation_.learn(sequence_, pass_ms);
  has_guessed_ = false;
  cached_.truncate(common_tokens(cached_.ids, sequence_));
}

std::optional<StopReason> Session::write(std::span<const float> row) {
  const int32_t id = sampler_.sample(row, sequence_);
  if (task_.request.top_logprobs >= 0) result_.logprobs.push_back(logprobs_of(row, id, task_.request.top_logprobs));
  result_.ids.push_back(id);
  sequence_.push_back(id);
  if (!task_.request.ignore_end && std::ranges::find(task_.pen.end_ids, id) != task_.pen.end_ids.end())
    return StopReason::kEnd;
  if (task_.pen.tokenizer != nullptr) show(task_.pen.tokenizer->bytes_of(id));
  if (stream_.stopped()) return StopReason::kStopText;
  if (static_cast<int>(result_.ids.size()) == task_.most_tokens) return StopReason::kMaxTokens;
  return std::nullopt;
}

void Session::show(std::string_view bytes) {
  if (drop_space_ && !bytes.empty()) {
    if (bytes.front() == ' ') bytes.remove_prefix(1);
    drop_space_ = false;
  }
  const std::string piece = stream_.push(bytes);
  if (task_.on_text && !piece.empty()) task_.on_text(piece);
}

void Session::cancel_if_asked() {
  if (!ended_ && task_.request.cancel.stop_requested()) ended_ = StopReason::kCancelled;
}

Generation Session::finish() {
  const std::string rest = stream_.finish();
  if (task_.on_text && !rest.empty()) task_.on_text(rest);
  result_.text = stream_.text();
  result_.stop = *ended_;
  result_.drafted_tokens = speculation_.drafted();
  result_.accepted_tokens = speculation_.accepted();
  result_.decode_ms = ms() - result_.prefill_ms;
  return std::move(result_);
}

}  // namespace phial::generate

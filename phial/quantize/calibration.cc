#include "phial/quantize/calibration.h"

#include <algorithm>
#include <utility>

#include "phial/base/check.h"
#include "phial/spec/rope.h"

namespace phial::quantize {
namespace {

constexpr size_t kPieceTokens = 128;

// Keeps the inputs that are wanted of one piece of text; they are multiplied out when the network has run.
class Keeper final : public model::InputObserver {
 public:
  explicit Keeper(std::map<Inputs, Panels>& hessians) {
    for (auto& [inputs, hessian] : hessians) kept_[inputs].hessian = &hessian;
  }

  void see(int layer, model::InputsOf which, const float* rows, size_t stride, size_t tokens, size_t columns) override {
    const auto found = kept_.find({layer, which});
    if (found == kept_.end()) return;
    for (size_t t = 0; t < tokens; ++t) {
      found->second.rows.insert(found->second.rows.end(), rows + t * stride, rows + t * stride + columns);
    }
  }

  void multiply_out(ThreadPool& pool) {
    for (auto& [inputs, kept] : kept_) {
      const size_t columns = kept.hessian->columns();
      add_outer_products(kept.rows.data(), columns, kept.rows.size() / columns, pool, *kept.hessian);
      kept.rows.clear();
    }
  }

 private:
  struct Kept {
    Panels* hessian = nullptr;
    std::vector<float> rows;
  };
  std::map<Inputs, Kept> kept_;
};

}  // namespace

std::vector<std::span<const int32_t>> spread_windows(std::span<const int32_t> ids, size_t length, size_t most) {
  if (ids.size() <= length) return {ids};
  const size_t whole = ids.size() / length, count = std::min(whole, most);
  std::vector<std::span<const int32_t>> windows;
  windows.reserve(count);
  for (size_t i = 0; i < count; ++i) windows.push_back(ids.subspan(i * whole / count * length, length));
  return windows;
}

Calibration::Calibration(const model::Decoder& decoder, std::vector<std::span<const int32_t>> windows, ThreadPool& pool,
                         OnWindow on_window, uint64_t hessian_bytes)
    : decoder_(decoder),
      windows_(std::move(windows)),
      pool_(pool),
      on_window_(std::move(on_window)),
      hessian_bytes_(hessian_bytes) {}

void Calibration::expect(std::vector<std::pair<Inputs, size_t>> needed) { needed_ = std::move(needed); }

size_t Calibration::tokens() const {
  size_t sum = 0;
  for (const auto& window : windows_) sum += window.size();
  return sum;
}

Result<const Feedback*> Calibration::feedback(Inputs inputs, const std::stop_token& stop) {
  if (current_inputs_ == inputs) return &*current_;
  current_.reset();
  current_inputs_.reset();
  if (!collected_.contains(inputs)) PHIAL_CHECKED(collect(inputs, stop));
  auto made = Feedback::make(std::move(collected_.at(inputs)), pool_);
  collected_.erase(inputs);
  if (!made) return std::move(made).error();
  current_ = *std::move(made);
  current_inputs_ = inputs;
  return &*current_;
}

// From `first` on, what fits.
Status Calibration::collect(Inputs first, const std::stop_token& stop) {
  collected_.clear();
  auto next = std::ranges::find(needed_, first, &std::pair<Inputs, size_t>::first);
  PHIAL_CHECK(next != needed_.end());
  int n_layers = 0;
  for (uint64_t bytes = 0; next != needed_.end(); ++next) {
    const auto& [inputs, columns] = *next;
    if (collected_.contains(inputs)) continue;
    bytes += Panels::bytes(columns);
    if (!collected_.empty() && bytes > hessian_bytes_) break;
    PHIAL_TRY(Panels hessian, Panels::make(columns));
    collected_.emplace(inputs, std::move(hessian));
    n_layers = std::max(n_layers, std::min(inputs.layer + 1, decoder_.spec().n_layers));
  }
  Keeper keeper(collected_);
  for (size_t i = 0; i < windows_.size(); ++i) {
    const auto length = static_cast<int>(windows_[i].size());
    PHIAL_TRY(model::KvCache cache, decoder_.make_cache(length));
    const auto table = spec::choose_rope_table(decoder_.spec(), spec::RopePolicy::kDynamic, length);
    for (size_t at = 0; at < windows_[i].size(); at += kPieceTokens) {
      if (stop.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
      const auto piece = windows_[i].subspan(at, std::min(kPieceTokens, windows_[i].size() - at));
      PHIAL_CHECKED(decoder_.observe(piece, table, n_layers, cache, keeper));
      keeper.multiply_out(pool_);
    }
    if (on_window_) on_window_(i + 1, windows_.size());
  }
  return ok();
}

}  // namespace phial::quantize

#include "phial/train/logit_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "phial/kernels/kernels.h"
#include "phial/train/device.h"
#include "phial/train/narrow.h"
#include "phial/train/row_loops.h"

namespace phial::train {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr int64_t kColumns = 4096;  // of a row whose exponentials are added up in f32; their sums are in double

// A row of logits, and what its exponentials are taken of.
struct LogitRow {
  float largest = 0;
  double sum = 0;  // of exp(logit - largest)
  double log_sum() const { return largest + std::log(sum); }
};

// Logits become their exponentials, less the largest. NaN stays.
LogitRow take_exponentials(float* logits, int64_t n) {
  LogitRow row = {.largest = kNever};
  for (int64_t i = 0; i < n; ++i) row.largest = logits[i] > row.largest ? logits[i] : row.largest;
  for (int64_t first = 0; first < n; first += kColumns) {
    float largest = row.largest, sum = 0;
    const auto columns = static_cast<size_t>(std::min(kColumns, n - first));
    kernels::active().online_softmax({1, columns, 0, logits + first, &largest, &sum, nullptr});
    row.sum += sum;
  }
  return row;
}

// A row of logits as they count, in `space`, or in their own place if they are floats.
template <class T>
float* counting(const LogitRows& rows, T* row, float* space) {
  const int64_t n = rows.logits.size(1);
  float* logits = space;
  if constexpr (std::is_same_v<T, float>) {
    logits = row;
  } else {
    as_floats(row, n, space);
  }
  const auto inverse = static_cast<float>(1 / rows.divisor);
  if (rows.divisor != 1) {
    for (int64_t i = 0; i < n; ++i) logits[i] *= inverse;
  }
  for (const int64_t id : rows.masked) logits[id] = kNever;
  return logits;
}

// body(number of the row, its logits as they count, where they stand) for all rows, several at a time.
template <class Body>
void for_each_row(const LogitRows& rows, const Body& body) {
  const int64_t n = rows.logits.size(1);
  with_type(rows.logits, [&]<class T>(T) {
    T* const first_row = rows.logits.data_ptr<T>();
    for_parts(rows.logits.size(0), [&](int64_t first, int64_t end) {
      std::vector<float> space(std::is_same_v<T, float> ? 0 : static_cast<size_t>(n));
      for (int64_t r = first; r < end; ++r) body(r, counting(rows, first_row + r * n, space.data()), first_row + r * n);
    });
  });
}

void take_gradients_by_loops(const LogitRows& rows, const RowLosses& losses) {
  const int64_t n = rows.logits.size(1);
  const float* const weight_of = losses.weights.defined() ? losses.weights.const_data_ptr<float>() : nullptr;
  const int64_t* const target_of = rows.targets.const_data_ptr<int64_t>();
  double *const nll_of = losses.nll.data_ptr<double>(), *const z_of = losses.z.data_ptr<double>();
  for_each_row(rows, [&](int64_t r, float* row, auto* gradient) {
    const int64_t target = target_of[r];
    const double logit = row[target], weight = weight_of == nullptr ? 1 : weight_of[r];
    const LogitRow found = take_exponentials(row, n);
    const double log_sum = found.log_sum();
    nll_of[r] = weight * (log_sum - logit);
    z_of[r] = weight * losses.z_loss * log_sum * log_sum;
    // d objective / d logits = weight (p (1 + 2 z log_sum) - onehot).
    const double scale = weight / rows.divisor;
    const auto factor = static_cast<float>(scale * (1 + 2 * losses.z_loss * log_sum) / found.sum);
    const float of_target = row[target] * factor - static_cast<float>(scale);
    for (int64_t i = 0; i < n; ++i) narrow(row[i] * factor, gradient[i]);
    narrow(of_target, gradient[target]);
  });
}

// The logits as they count, f32 unless they count as they are.
at::Tensor counting_rows(const LogitRows& rows) {
  at::Tensor logits = rows.logits;
  if (rows.divisor != 1) logits = logits.to(at::kFloat) / rows.divisor;
  if (rows.masked.empty()) return logits;
  const at::Tensor masked = at::tensor(at::ArrayRef<int64_t>(rows.masked.data(), rows.masked.size()), at::kLong);
  return logits.index_fill(1, moved(masked, logits.device()), kNever);
}

at::Tensor at_targets(const at::Tensor& rows, const at::Tensor& targets) {
  return rows.gather(1, targets.unsqueeze(1)).to(at::kFloat);  // [R, 1]
}

}  // namespace

void take_gradients_by_operations(const LogitRows& rows, const RowLosses& losses) {
  const at::Tensor logits = counting_rows(rows), logs = at::log_softmax(logits, 1, at::kFloat);
  const at::Tensor of_target = at_targets(logs, rows.targets);
  at::Tensor weights = losses.weights.defined() ? losses.weights.unsqueeze(1) : at::ones_like(of_target);
  losses.nll.copy_((of_target * weights).neg_().squeeze(1));
  const at::Tensor scale = weights / rows.divisor;
  at::Tensor factor = scale;
  if (losses.z_loss != 0) {
    const at::Tensor log_sums = at_targets(logits, rows.targets) - of_target;
    losses.z.copy_((log_sums.square() * weights * losses.z_loss).squeeze(1));
    factor = scale * (log_sums * (2 * losses.z_loss) + 1);
  }
  at::Tensor out = rows.logits;
  at::mul_out(out, logs.exp_(), factor);
  out.scatter_(1, rows.targets.unsqueeze(1), (of_target.exp() * factor - scale).to(out.scalar_type()));
}

at::Tensor log_probabilities_by_operations(const LogitRows& rows) {
  return at_targets(at::log_softmax(counting_rows(rows), 1, at::kFloat), rows.targets).squeeze(1);
}

void take_gradients(const LogitRows& rows, const RowLosses& losses) {
  rows.logits.is_cpu() ? take_gradients_by_loops(rows, losses) : take_gradients_by_operations(rows, losses);
}

at::Tensor log_probabilities(const LogitRows& rows) {
  if (!rows.logits.is_cpu()) return log_probabilities_by_operations(rows);
  const at::Tensor found = at::empty({rows.logits.size(0)}, at::kFloat);
  const int64_t* const target_of = rows.targets.const_data_ptr<int64_t>();
  float* const found_of = found.data_ptr<float>();
  for_each_row(rows, [&](int64_t r, float* row, auto*) {
    const double logit = row[target_of[r]];
    found_of[r] = static_cast<float>(logit - take_exponentials(row, rows.logits.size(1)).log_sum());
  });
  return found;
}

}  // namespace phial::train

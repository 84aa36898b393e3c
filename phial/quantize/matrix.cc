// With feedback a few rows go together through the columns, block by block: the errors of all blocks before meet the
// factor in one product, those within the block follow weight by weight.
#include "phial/quantize/matrix.h"

#include <algorithm>
#include <cmath>

#include "phial/base/check.h"
#include "phial/kernels/kernels.h"
#include "phial/quantize/block_fit.h"

namespace phial::quantize {
namespace {

constexpr size_t kRowsTogether = 32;

// y[t][0 .. kPanel) of panel p: the first `columns` numbers of each row of x times the factor.
void multiply(const Panels& factor, size_t p, size_t columns, const float* x, size_t rows, float* y, size_t y_stride) {
  kernels::active().gemm_f32(
      factor.panel(p),
      {.D = columns, .n_tokens = rows, .x = x, .x_stride = factor.columns(), .y = y, .y_stride = y_stride});
}

class RowChunk {
 public:
  RowChunk(tensor::DType dtype, size_t columns, const Weighing& weighing)
      : dtype_(dtype),
        columns_(columns),
        block_(tensor::grid_of(dtype)->block),
        group_(tensor::grid_of(dtype)->group),
        feedback_(weighing.feedback),
        cost_(feedback_ != nullptr ? feedback_->cost() : weighing.cost),
        fit_(dtype),
        even_(cost_.empty() ? block_ : 0, 1.0F) {}

  // One deviation a row.
  void run(const float* weights, size_t rows, std::byte* blocks, Deviation* deviations) {
    const size_t block_bytes = tensor::info(dtype_).block_bytes, row_bytes = columns_ / block_ * block_bytes;
    if (feedback_ != nullptr) measure_reference(weights, rows, deviations);
    errors_.resize(rows * columns_);
    asked_.resize(rows * block_);
    for (size_t first = 0; first < columns_; first += block_) {
      if (feedback_ != nullptr) gather(first, rows);
      for (size_t r = 0; r < rows; ++r) {
        encode(weights + r * columns_ + first, first, r, deviations[r]);
        tensor::write_block(dtype_, fit_.numbers(), blocks + r * row_bytes + first / block_ * block_bytes);
      }
    }
  }

 private:
  // What the unquantized rows give: cost[k] * (w_k + sum_{j<k} w_j U_jk)^2.
  void measure_reference(const float* weights, size_t rows, Deviation* deviations) const {
    std::vector<float> sums(rows * kPanel);
    for (size_t p = 0; p < columns_ / kPanel; ++p) {
      // The panel's own rows: its diagonal is 0, and what lies below it is not part of the factor.
      multiply(feedback_->factor(), p, p * kPanel, weights, rows, sums.data(), kPanel);
      for (size_t r = 0; r < rows; ++r) {
        const float* own = weights + r * columns_ + p * kPanel;
        for (size_t c = 0; c < kPanel; ++c) {
          double sum = static_cast<double>(sums[r * kPanel + c]) + own[c];
          for (size_t j = 0; j < c; ++j) sum += own[j] * feedback_->factor().at(p * kPanel + j, p * kPanel + c);
          deviations[r].output_reference += cost_[p * kPanel + c] * sum * sum;
        }
      }
    }
  }

  // What all columns before `first` ask of the block that begins there.
  void gather(size_t first, size_t rows) {
    for (size_t c = 0; c < block_; c += kPanel) {
      multiply(feedback_->factor(), (first + c) / kPanel, first, errors_.data(), rows, asked_.data() + c, block_);
    }
  }

  std::span<const float> cost(size_t first, size_t count) const {
    return cost_.empty() ? std::span<const float>(even_).first(count) : cost_.subspan(first, count);
  }

  void encode(const float* weights, size_t first, size_t r, Deviation& deviation) {
    const std::span<float> wanted(asked_.data() + r * block_, block_);
    for (size_t k = 0; k < block_; ++k) wanted[k] = weights[k] + (feedback_ != nullptr ? wanted[k] : 0.0F);
    fit_.begin(wanted, cost(first, block_));
    for (size_t begin = 0; begin < block_; begin += group_) {
      const Group group = {wanted.subspan(begin, group_), cost(first + begin, group_)};
      fit_.begin_group(begin / group_, group, feedback_ != nullptr && begin > 0);
      for (size_t k = begin; k < begin + group_; ++k) {
        const float found = fit_.put(k, wanted[k]);
        const float error = weights[k] - found;
        deviation.error += static_cast<double>(error) * error;
        deviation.reference += static_cast<double>(weights[k]) * weights[k];
        if (feedback_ == nullptr) continue;
        const double missed = static_cast<double>(wanted[k]) - found;
        deviation.output_error += cost_[first + k] * missed * missed;
        errors_[r * columns_ + first + k] = error;
        pass_on(error, first, k, wanted);
      }
    }
  }

  // To the columns of the same block after k.
  void pass_on(float error, size_t first, size_t k, std::span<float> wanted) const {
    const Panels& factor = feedback_->factor();
    for (size_t j = k + 1; j < block_;) {
      const size_t end = (j / kPanel + 1) * kPanel;
      const float* row = &factor.panel((first + j) / kPanel)[(first + k) * kPanel];
      for (; j < end; ++j) wanted[j] += error * row[j % kPanel];
    }
  }

  tensor::DType dtype_;
  size_t columns_, block_, group_;
  const Feedback* feedback_;
  std::span<const float> cost_;
  BlockFit fit_;
  std::vector<float> even_;
  std::vector<float> errors_;  // [rows, columns]: w - q
  std::vector<float> asked_;   // [rows, block]
};

double root_of_ratio(double error, double reference) { return reference > 0 ? std::sqrt(error / reference) : 0; }

}  // namespace

void Deviation::add(const Deviation& other) {
  error += other.error;
  reference += other.reference;
  output_error += other.output_error;
  output_reference += other.output_reference;
}

double Deviation::relative() const { return root_of_ratio(error, reference); }
double Deviation::relative_output() const { return root_of_ratio(output_error, output_reference); }

Deviation quantize_rows(std::span<const float> weights, size_t columns, tensor::DType dtype, const Weighing& weighing,
                        ThreadPool& pool, const std::stop_token& stop, std::byte* blocks) {
  const tensor::BlockGrid* grid = tensor::grid_of(dtype);
  PHIAL_CHECK(grid != nullptr && columns > 0 && columns % grid->block == 0 && weights.size() % columns == 0);
  PHIAL_CHECK(weighing.feedback == nullptr || weighing.feedback->columns() == columns);
  PHIAL_CHECK(weighing.cost.empty() || weighing.cost.size() == columns);
  const size_t rows = weights.size() / columns;
  const size_t row_bytes = columns / grid->block * tensor::info(dtype).block_bytes;
  std::vector<Deviation> deviations(rows);
  pool.parallel_for(rows, kRowsTogether, [&](size_t begin, size_t end) {
    if (stop.stop_requested()) return;
    RowChunk(dtype, columns, weighing)
        .run(weights.data() + begin * columns, end - begin, blocks + begin * row_bytes, deviations.data() + begin);
  });
  Deviation sum;
  for (const Deviation& row : deviations) sum.add(row);
  return sum;
}

}  // namespace phial::quantize

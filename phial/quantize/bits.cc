#include "phial/quantize/bits.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include "phial/quantize/budget.h"
#include "phial/quantize/matrix.h"
#include "phial/quantize/tensor_weights.h"

namespace phial::quantize {
namespace {

using formats::NewTensor;
using tensor::DType;

// Types that kernels read in no more bytes than they are stored in, smallest first.
constexpr DType kOffered[] = {DType::kPhialQ3, DType::kPhialQ4, DType::kQ8_0};

constexpr uint64_t kRowsMeasured = 1024;

// The mean square of a logit, where no text tells it.
constexpr double kSquareOfLogit = 40;

// About twice the KL divergence, in nats. Of logits that is the square of what one is off; of what a layer adds to the
// stream, its squared error relative to itself comes near it in every matrix.
double loss_of(const Deviation& deviation, bool is_head, double outputs, double logit_divisor) {
  if (outputs > 0 && is_head) return deviation.output_error / outputs / (logit_divisor * logit_divisor);
  const double relative = outputs > 0 ? deviation.relative_output() : deviation.relative();
  return relative * relative * (is_head ? kSquareOfLogit : 1);
}

class Measurement {
 public:
  Measurement(float logit_divisor, Calibration* calibration, ThreadPool& pool, const std::stop_token& stop)
      : logit_divisor_(logit_divisor), calibration_(calibration), pool_(pool), stop_(stop) {}

  // One offer a type of kOffered.
  Result<std::vector<Offer>> offers(const NewTensor& tensor, const Choice& choice) const {
    Weighing weighing;
    if (calibration_ != nullptr && choice.inputs) {
      PHIAL_TRY(weighing.feedback, calibration_->feedback(*choice.inputs, stop_));
    }
    const auto columns = static_cast<size_t>(tensor.shape.back());
    const uint64_t rows = count_weights(tensor) / columns;
    const uint64_t one_of = std::max<uint64_t>(1, rows / kRowsMeasured);
    std::vector<Deviation> deviations(std::size(kOffered));
    uint64_t rows_measured = 0;
    std::vector<std::byte> blocks;
    PHIAL_CHECKED(for_each_rows(tensor, stop_, [&](uint64_t first, std::span<float> weights) {
      // Rows of every part of the matrix: heads lie one after the other in it.
      size_t kept = 0;
      for (size_t row = 0; row < weights.size() / columns; ++row) {
        if ((first + row) % one_of != 0) continue;
        std::copy_n(weights.data() + row * columns, columns, weights.data() + kept++ * columns);
      }
      const std::span<const float> measured = weights.first(kept * columns);
      rows_measured += kept;
      for (size_t i = 0; i < std::size(kOffered) && kept > 0; ++i) {
        blocks.resize(*tensor::bytes_of(kOffered[i], measured.size()));
        deviations[i].add(quantize_rows(measured, columns, kOffered[i], weighing, pool_, stop_, blocks.data()));
      }
      return ok();
    }));
    const bool is_head = choice.inputs && choice.inputs->which == model::InputsOf::kHead;
    const double outputs = weighing.feedback == nullptr
                               ? 0
                               : static_cast<double>(rows_measured) * static_cast<double>(calibration_->tokens());
    std::vector<Offer> out;
    out.reserve(std::size(kOffered));
    for (size_t i = 0; i < std::size(kOffered); ++i) {
      out.push_back({.bytes = *tensor::bytes_of(kOffered[i], rows * columns),
                     .loss = loss_of(deviations[i], is_head, outputs, logit_divisor_)});
    }
    return out;
  }

 private:
  float logit_divisor_;
  Calibration* calibration_;
  ThreadPool& pool_;
  const std::stop_token& stop_;
};

// With three digits, rounded up: what is told can be asked for.
std::string bits_text(uint64_t bytes, uint64_t weights) {
  const uint64_t thousandths = 8000 * bytes / weights + 1;
  std::string digits = std::to_string(thousandths % 1000);
  digits.insert(0, 3 - digits.size(), '0');
  return std::to_string(thousandths / 1000) + "." + digits;
}

}  // namespace

Result<std::vector<Choice>> choose_within(const Source& source, double bits, Calibration* calibration, ThreadPool& pool,
                                          const std::stop_token& stop,
                                          const std::function<void(const Progress&)>& on_progress) {
  std::vector<Choice> choices = choose_smallest(source.tensors, source.n_layers);
  uint64_t weights = 0, least = 0;
  for (size_t i = 0; i < choices.size(); ++i) {
    const uint64_t count = count_weights(source.tensors[i]);
    weights += count;
    least += *tensor::bytes_of(choices[i].type, count);
  }
  const double most = std::floor(bits * static_cast<double>(weights) / 8);
  if (!(static_cast<double>(least) <= most)) {
    return Error{Code::kOutOfRange, "this model cannot be held to so few bits a weight (--bits)",
                 "the least possible is " + bits_text(least, weights)};
  }

  if (calibration != nullptr) calibration->expect(inputs_needed(source.tensors, choices));
  const Measurement measurement(source.logit_divisor, calibration, pool, stop);
  std::vector<std::vector<Offer>> offers;
  uint64_t done = 0;
  for (size_t i = 0; i < choices.size(); ++i) {
    const NewTensor& tensor = source.tensors[i];
    if (on_progress) on_progress({.tensor = tensor.name, .done = done, .total = weights});
    done += count_weights(tensor);
    if (choices[i].is_quantized) {
      PHIAL_TRY(std::vector<Offer> measured, measurement.offers(tensor, choices[i]));
      offers.push_back(std::move(measured));
    } else {
      offers.push_back({{.bytes = *tensor::bytes_of(choices[i].type, count_weights(tensor))}});
    }
  }
  const Spending spending = spend(offers, static_cast<uint64_t>(most));
  for (size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].is_quantized) choices[i].type = kOffered[spending.taken[i]];
  }
  return choices;
}

}  // namespace phial::quantize

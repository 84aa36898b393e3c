#include "phial/model/text_encoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "phial/kernels/kernels.h"
#include "phial/model/encoder_trunk.h"
#include "phial/model/size.h"

namespace phial::model {
namespace {

class PackedEncoder final : public TextEncoder {
 public:
  explicit PackedEncoder(EncoderTrunk trunk) : trunk_(std::move(trunk)) {}

  const spec::EncoderSpec& spec() const override { return trunk_.spec(); }

  Result<std::vector<float>> embed(std::span<const std::vector<int32_t>> sequences) const override {
    std::vector<EncoderInput> inputs(sequences.size());
    std::ranges::transform(sequences, inputs.begin(), [](const auto& ids) { return EncoderInput{.ids = ids}; });
    const size_t hidden = size(spec().hidden_dim);
    std::vector<float> out(sequences.size() * hidden);
    PHIAL_CHECKED(trunk_.run(inputs, [&](size_t s, const EncodedRows& rows) { pool(rows, out.data() + s * hidden); }));
    return out;
  }

 private:
  void pool(const EncodedRows& rows, float* out) const {
    const size_t hidden = size(spec().hidden_dim);
    std::copy(rows.row(0), rows.row(0) + hidden, out);
    if (spec().pooling == spec::EncoderSpec::Pooling::kMean) {
      for (size_t t = 1; t < rows.tokens; ++t) kernels_.add(rows.row(t), out, hidden);
    }
    // The mean's divisor falls out of the normalisation.
    double squares = 0;
    for (size_t d = 0; d < hidden; ++d) squares += static_cast<double>(out[d]) * static_cast<double>(out[d]);
    const auto scale = static_cast<float>(1.0 / std::max(std::sqrt(squares), 1e-12));
    for (size_t d = 0; d < hidden; ++d) out[d] *= scale;
  }

  EncoderTrunk trunk_;
  const kernels::KernelSet& kernels_ = kernels::active();
};

}  // namespace

Result<std::unique_ptr<TextEncoder>> TextEncoder::load(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                                       const spec::EncoderSpec& spec, Precision precision,
                                                       ThreadPool& pool) {
  PHIAL_TRY(EncoderTrunk trunk, EncoderTrunk::make(std::move(checkpoint), nullptr, spec, precision, pool));
  return std::unique_ptr<TextEncoder>(std::make_unique<PackedEncoder>(std::move(trunk)));
}

}  // namespace phial::model

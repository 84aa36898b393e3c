#include "phial/model/span_reader.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "phial/model/encoder_trunk.h"
#include "phial/model/matrix.h"
#include "phial/model/size.h"
#include "phial/tensor/blocks.h"

namespace phial::model {
namespace {

struct Head {
  std::vector<float> weight, bias;  // [2, hidden], [2]
};

Result<std::vector<float>> values_of(const formats::LoraAdapter& adapter, const std::string& name,
                                     const std::vector<uint64_t>& shape) {
  const auto found = adapter.whole.find(name);
  if (found == adapter.whole.end() || found->second.shape != shape) {
    return Error{Code::kInvalid,
                 adapter.file.path().string() + ": there is no '" + name + "' of shape " + formats::shape_text(shape),
                 "name an adapter that was trained to read answers for this encoder"};
  }
  std::vector<float> values(static_cast<size_t>(found->second.elements()));
  tensor::decode_row(found->second.dtype, found->second.bytes.data(), 0, values);
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
    return not_finite("tensor '" + name + "'").in(adapter.file.path().string());
  }
  return values;
}

constexpr const char* kHeadWeight = "qa_outputs.weight";
constexpr const char* kHeadBias = "qa_outputs.bias";

// What stands in place of other tensors of the model would be left out unseen.
Status check_whole(const formats::LoraAdapter& adapter) {
  for (const auto& [name, tensor] : adapter.whole) {
    if (name == kHeadWeight || name == kHeadBias) continue;
    return Error{Code::kUnsupported, adapter.file.path().string() + ": it replaces '" + name + "'",
                 "name an adapter of low ranks and a head alone"};
  }
  return ok();
}

// The model that an adapter was trained on may have its encoder inside it, that of the checkpoint stand alone.
Status name_as_in(const formats::Checkpoint& checkpoint, formats::LoraAdapter& adapter) {
  const std::string root = encoder_root(checkpoint);
  std::map<std::string, formats::LowRank> renamed;
  for (auto& [name, low] : adapter.added) {
    std::string_view rest = name;
    for (const std::string_view one : {"bert.", "roberta."}) {
      if (rest.starts_with(one)) rest.remove_prefix(one.size());
    }
    if (!renamed.emplace(root + std::string(rest), std::move(low)).second) {
      return Error{Code::kInvalid,
                   adapter.file.path().string() + ": two of its matrices are named " + root + std::string(rest),
                   "name an adapter that was trained for this encoder"};
    }
  }
  adapter.added = std::move(renamed);
  return ok();
}

class PackedReader final : public SpanReader {
 public:
  PackedReader(EncoderTrunk trunk, Head head) : trunk_(std::move(trunk)), head_(std::move(head)) {}

  const spec::EncoderSpec& spec() const override { return trunk_.spec(); }

  Result<std::vector<std::vector<SpanLogits>>> read(std::span<const QuestionAndPassage> pairs) const override {
    std::vector<EncoderInput> inputs(pairs.size());
    std::ranges::transform(pairs, inputs.begin(),
                           [](const auto& pair) { return EncoderInput{.ids = pair.ids, .second = pair.passage}; });
    std::vector<std::vector<SpanLogits>> out(pairs.size());
    PHIAL_CHECKED(trunk_.run(inputs, [&](size_t s, const EncodedRows& rows) {
      out[s].reserve(rows.tokens);
      for (size_t t = 0; t < rows.tokens; ++t) out[s].push_back({logit(rows.row(t), 0), logit(rows.row(t), 1)});
    }));
    return out;
  }

 private:
  float logit(const float* row, size_t which) const {
    const size_t hidden = size(spec().hidden_dim);
    float sum = head_.bias[which];
    for (size_t d = 0; d < hidden; ++d) sum += row[d] * head_.weight[which * hidden + d];
    return sum;
  }

  EncoderTrunk trunk_;
  Head head_;
};

}  // namespace

Result<std::unique_ptr<SpanReader>> SpanReader::load(std::shared_ptr<const formats::Checkpoint> checkpoint,
                                                     formats::LoraAdapter adapter, const spec::EncoderSpec& spec,
                                                     Precision precision, ThreadPool& pool) {
  Head head;
  PHIAL_TRY(head.weight, values_of(adapter, kHeadWeight, {2, static_cast<uint64_t>(spec.hidden_dim)}));
  PHIAL_TRY(head.bias, values_of(adapter, kHeadBias, {2}));
  PHIAL_CHECKED(check_whole(adapter));
  PHIAL_CHECKED(name_as_in(*checkpoint, adapter));
  PHIAL_TRY(EncoderTrunk trunk, EncoderTrunk::make(std::move(checkpoint), &adapter, spec, precision, pool));
  return std::unique_ptr<SpanReader>(std::make_unique<PackedReader>(std::move(trunk), std::move(head)));
}

}  // namespace phial::model

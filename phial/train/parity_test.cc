// The trained network and the one that runs are written twice; here they are held to the same logits.
#include <gtest/gtest.h>

#include "phial/spec/rope.h"
#include "phial/train/golden_networks_for_test.h"

namespace phial::train {
namespace {

using model::golden;

// The largest difference as a share of the largest logit.
double relative_difference(const at::Tensor& found, std::span<const float> wanted, const spec::DecoderSpec& spec) {
  const at::Tensor flat = found.detach().contiguous().flatten();
  double scale = 0;
  std::vector<float> a(flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()), b(wanted.begin(), wanted.end());
  for (const int32_t masked : spec.masked_ids) {  // the lowest number in both, and nothing to compare with
    for (size_t i = static_cast<size_t>(masked); i < a.size(); i += static_cast<size_t>(spec.vocab_size)) {
      EXPECT_EQ(a[i], b[i]);
      a[i] = b[i] = 0;
    }
  }
  for (const float value : b) scale = std::max(scale, std::fabs(static_cast<double>(value)));
  return model::largest_difference(a, b) / scale;
}

class Parity : public testing::TestWithParam<const char*> {};

TEST_P(Parity, LogitsAreThoseOfTheRuntimesDecoder) {
  ThreadPool pool(2);
  const auto decoder = model::load_model(golden(GetParam()), model::Precision::kExact, pool);
  ASSERT_NE(decoder, nullptr);
  const Network network = load_network(golden(GetParam()));
  const at::NoGradGuard no_grad;
  for (const size_t length : {1, 5, 23, 40, 90}) {
    if (length > static_cast<size_t>(decoder->spec().context)) continue;
    const auto ids = model::long_text(length, decoder->spec().vocab_size);
    const auto table = choose_rope_table(decoder->spec(), spec::RopePolicy::kDynamic, static_cast<int>(length));
    const auto wanted = model::run_all(*decoder, ids, table);
    EXPECT_LE(relative_difference(network.logits(one_row(ids, table)), wanted, network.spec()), 1e-4) << length;
  }
}

// Documents packed into one row are each what they would be alone.
TEST_P(Parity, PackedDocumentsAreEachWhatTheyWouldBeAlone) {
  const Network network = load_network(golden(GetParam()));
  const at::NoGradGuard no_grad;
  const auto ids = model::long_text(60, network.spec().vocab_size);
  Batch packed = one_row(ids, spec::RopeTable::kShort);
  packed.one_document_a_row = false;
  const int64_t begins[] = {0, 7, 8, 39, 60};
  for (int d = 0; d < 4; ++d) {
    const int64_t length = begins[d + 1] - begins[d];
    packed.positions.slice(1, begins[d], begins[d + 1]).copy_(at::arange(length, at::kLong).unsqueeze(0));
    packed.documents.slice(1, begins[d], begins[d + 1]).fill_(d);
  }
  const at::Tensor all = network.logits(packed);
  for (int d = 0; d < 4; ++d) {
    const std::span<const int32_t> part =
        std::span(ids).subspan(static_cast<size_t>(begins[d]), static_cast<size_t>(begins[d + 1] - begins[d]));
    const at::Tensor alone = network.logits(one_row(part, spec::RopeTable::kShort));
    const at::Tensor here = all.slice(1, begins[d], begins[d + 1]);
    EXPECT_LE((alone - here).abs().max().item<float>(), 2e-4F) << d;
  }
}

std::string fixture_name(const testing::TestParamInfo<const char*>& fixture) {
  std::string name = fixture.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Parity,
                         testing::Values("phi3-mini-like", "phi3-medium-like", "phi3-128k-like", "phi3-small-like",
                                         "llama-like", "llama-biased", "phi3-partial"),
                         fixture_name);

}  // namespace
}  // namespace phial::train

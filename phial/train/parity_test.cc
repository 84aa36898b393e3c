// The trained network and the one that runs are written twice; here they are held to the same logits.
#include <gtest/gtest.h>

#include "phial/formats/image_tiles.h"
#include "phial/model/clip.h"
#include "phial/spec/rope.h"
#include "phial/spec/vision_tensors.h"
#include "phial/train/golden_networks_for_test.h"
#include "phial/train/training_picture.h"

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

// The fixture's pictures at the places that its prompts' ids below 0 name.
class SightParity : public testing::Test {
 protected:
  BatchPicture picture(size_t k) const {
    const auto found = TrainingPicture::open(folder / ("image" + std::to_string(k) + ".png"), network.vision()->spec());
    EXPECT_TRUE(found);
    return {.tile_rows = found->grid().rows, .tile_cols = found->grid().cols, .pixels = *found->cut()};
  }
  static std::vector<int32_t> ids_of(const Json& one) {
    std::vector<int32_t> ids;
    for (const Json& run : one["prompt_ids_rle"]) ids.insert(ids.end(), run[1].get<size_t>(), run[0].get<int32_t>());
    return ids;
  }
  Batch batch_of(std::vector<int32_t> ids) const {
    std::vector<BatchPicture> pictures;
    for (size_t at = 0; at < ids.size(); ++at) {
      if (ids[at] < 0 && (at == 0 || ids[at - 1] != ids[at])) {
        pictures.push_back(picture(static_cast<size_t>(-(ids[at] + 1))));
        pictures.back().position = static_cast<int64_t>(at);
      }
    }
    for (int32_t& id : ids) id = std::max(id, 0);
    Batch batch = one_row(ids);
    batch.pictures = std::move(pictures);
    return batch;
  }
  static double share_of_largest(const at::Tensor& found, std::span<const float> wanted) {
    const at::Tensor flat = found.detach().contiguous().flatten();
    double scale = 0;
    for (const float value : wanted) scale = std::max(scale, std::fabs(static_cast<double>(value)));
    return model::largest_difference({flat.data_ptr<float>(), static_cast<size_t>(flat.numel())}, wanted) / scale;
  }

  const std::filesystem::path folder = golden("phi3-vision-like");
  const model::Expected expected{folder / "expected"};
  const Network network = load_network(folder);
  const at::NoGradGuard no_grad;
};

TEST_F(SightParity, FeaturesRowsAndLogitsAreThoseOfTheReference) {
  const at::Tensor features = network.vision()->features(picture(0).pixels.slice(0, 0, 2));
  EXPECT_LE(share_of_largest(features[0], expected.floats("image0.clip_features_global")), 1e-4);
  EXPECT_LE(share_of_largest(features[1], expected.floats("image0.clip_features_tile1")), 1e-4);
  for (const size_t k : {0, 1}) {
    const auto wanted = expected.floats("image" + std::to_string(k) + ".image_tokens");
    EXPECT_LE(share_of_largest(network.vision()->rows({picture(k)}), wanted), 1e-4) << k;
  }
  for (const Json& one : expected.json()["cases"]) {
    const at::Tensor logits = network.logits(batch_of(ids_of(one)))[0];
    const std::string name = one["name"];
    EXPECT_LE(share_of_largest(logits.slice(0, -8), expected.floats(name + ".logits_text_tail")), 1e-4) << name;
  }
}

TEST_F(SightParity, RowsOfPicturesAreThoseOfTheRuntimesEncoder) {
  ThreadPool pool(2);
  const auto checkpoint = model::open_model(folder);
  const auto spec = model::ImageEncoder::read_spec(*checkpoint, network.spec().hidden_dim);
  const auto encoder = model::ImageEncoder::load(checkpoint, *spec, model::Precision::kExact, pool);
  ASSERT_TRUE(encoder);
  std::vector<float> both;
  for (const char* name : {"image0.png", "image1.png"}) {
    const auto image = formats::read_image(folder / name);
    const auto grid = spec::tile_grid(*spec, image->width, image->height);
    const auto page = formats::make_page(*image, grid->width, grid->height, spec->image_side);
    const auto rows = (*encoder)->encode(*grid, page, {});
    both.insert(both.end(), rows->begin(), rows->end());
  }
  EXPECT_LE(share_of_largest(network.vision()->rows({picture(0), picture(1)}), both), 1e-4);
}

// Differences of the logits are the oracle: all of the eye is moved at once, there and back.
TEST_F(SightParity, GradientsOfTheEyeAreThoseOfDifferences) {
  const Batch batch = batch_of(ids_of(expected.json()["cases"][0]));
  at::manual_seed(1);
  const at::Tensor weights = at::randn({8, network.spec().vocab_size});
  for (const bool recompute : {false, true}) {
    const Network moved = load_network(folder, {.recompute_layers = recompute});
    std::vector<at::Tensor> eye;
    for (const Parameter& parameter : moved.parameters()) {
      if (parameter.name.starts_with(spec::kVisionPrefix)) eye.push_back(parameter.value);
    }
    const auto weighted = [&] { return (moved.logits(batch)[0].slice(0, -8) * weights).sum(at::kDouble); };
    {
      const at::AutoGradMode with_gradients(true);
      weighted().backward();
    }
    for (int round = 0; round < 3; ++round) {
      constexpr double kStep = 1e-3;
      std::vector<at::Tensor> moves;
      double wanted = 0;
      for (const at::Tensor& each : eye) {
        moves.push_back(at::randn_like(each) * each.square().mean().sqrt());
        wanted += (each.grad() * moves.back()).sum(at::kDouble).item<double>();
      }
      const auto move = [&](double by) {
        for (size_t i = 0; i < eye.size(); ++i) eye[i].add_(moves[i], by);
        return weighted().item<double>();
      };
      const double above = move(kStep), below = move(-2 * kStep);
      move(kStep);
      EXPECT_NEAR((above - below) / (2 * kStep), wanted, 2e-3 * std::fabs(wanted)) << recompute << " " << round;
    }
  }
}

std::string fixture_name(const testing::TestParamInfo<const char*>& fixture) {
  std::string name = fixture.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Parity,
                         testing::Values("phi3-mini-like", "phi3-medium-like", "phi3-128k-like", "phi3-small-like",
                                         "llama-like", "llama-biased", "phi3-partial", "phi3-vision-like"),
                         fixture_name);

}  // namespace
}  // namespace phial::train

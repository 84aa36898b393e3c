#include "phial/train/rope_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "phial/base/json_file.h"
#include "phial/base/mapped_file.h"
#include "phial/base/temp_folder_for_test.h"

namespace phial::train {
namespace {

using testing::HasSubstr;

class RopeSearchTest : public testing::Test {
 protected:
  RopeSearchTest() { spec_.rope_dims = 16; }

  RopeSearchOptions options(const std::string& file) const {
    return {.population = 16, .generations = 8, .seed = 3, .most = 10, .file = folder_ / file, .of = {{"model", 1}}};
  }
  std::vector<NamedRopeFactors> known() const { return known_rope_factors(spec_, 128, 1024); }
  Result<RopeSearchResult> search(const RopeSearchOptions& options, const RunHooks& hooks = {}) {
    return search_rope_factors(
        known(), [this](std::span<const float> factors) { return loss_of(factors); }, options, hooks);
  }
  // Lowest at factors that rise evenly from 1 to 4.
  Result<double> loss_of(std::span<const float> factors) {
    ++measured_;
    EXPECT_GE(factors.front(), 1);
    EXPECT_LE(factors.back(), 10);
    EXPECT_TRUE(std::ranges::is_sorted(factors));
    double sum = 0;
    for (size_t i = 0; i < factors.size(); ++i) {
      sum += std::fabs(static_cast<double>(factors[i]) - 1 - 3 * static_cast<double>(i) / 7);
    }
    return sum;
  }
  static double best_known(const RopeSearchResult& result) {
    return std::ranges::min(result.known, {}, &RopeFactors::loss).loss;
  }

  const TempFolder folder_;
  spec::DecoderSpec spec_;
  int measured_ = 0;
};

TEST_F(RopeSearchTest, BeginsWithWhatIsKnownOfTheScale) {
  const auto all = known();
  ASSERT_EQ(all.size(), 3);
  EXPECT_EQ(all[0].values, std::vector<float>(8, 8));
  EXPECT_EQ(all[1].values.front(), 1);
  EXPECT_FLOAT_EQ(all[1].values[1], std::pow(8.0F, 1.0F / 7));
  EXPECT_FLOAT_EQ(all[1].values.back(), 8);
  // YaRN: pair 0 turns 128 / 2 pi = 20.37 times, pair 1 6.44 times, pair 2 2.04 times, those behind it less than once.
  EXPECT_NEAR(all[2].values[0], 1 / (0.62492 + 0.37508 / 8), 1e-3);
  EXPECT_NEAR(all[2].values[1], 1 / (0.17559 + 0.82441 / 8), 1e-3);
  EXPECT_EQ(all[2].values[3], 8);
  for (const auto& each : all) EXPECT_TRUE(std::ranges::is_sorted(each.values)) << each.name;
}

TEST_F(RopeSearchTest, FindsBetterFactorsThanItBeganWithAndTheSameEachTime) {
  const auto first = search(options("a.json")), second = search(options("b.json"));
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_LT(first->best.loss, 0.6 * best_known(*first));
  EXPECT_EQ(first->best.values, second->best.values);
  EXPECT_EQ(*read_text_file(folder_ / "a.json"), *read_text_file(folder_ / "b.json"));
  RopeSearchOptions other = options("c.json");
  other.seed = 4;
  EXPECT_NE(search(other)->best.values, first->best.values);
}

TEST_F(RopeSearchTest, IsNeverWorseThanTheBestThatItBeganWith) {
  double next = 0;  // the first is the best
  const auto result = search_rope_factors(known(), [&](std::span<const float>) -> Result<double> { return next++; },
                                          options("a.json"), {});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->best.values, known()[0].values);
  RopeSearchOptions none = options("b.json");
  none.generations = 0;
  EXPECT_EQ(search(none)->best.loss, best_known(*search(none)));
}

TEST_F(RopeSearchTest, ALossThatIsNotFiniteIsTheWorst) {
  int calls = 0;
  const auto result = search_rope_factors(
      known(), [&](std::span<const float> factors) -> Result<double> { return calls++ == 0 ? NAN : *loss_of(factors); },
      options("a.json"), {});
  ASSERT_TRUE(result);
  EXPECT_TRUE(std::isinf(result->known[0].loss));
  EXPECT_TRUE(std::isfinite(result->best.loss));
  EXPECT_TRUE(search(options("a.json"))) << "what is not finite is null in the file";
}

TEST_F(RopeSearchTest, WithoutAnyFiniteLossThereIsNoWinner) {
  const auto found =
      search_rope_factors(known(), [](std::span<const float>) -> Result<double> { return NAN; }, options("a.json"), {});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kOutOfRange);
  EXPECT_THAT(found.error().message, HasSubstr("none of the 16 lists of rotary factors"));
  EXPECT_TRUE(search(options("a.json"))) << "nothing was kept";
}

TEST_F(RopeSearchTest, OneThatWasStoppedKeepsWhatItFoundAndGoesOnToTheSameEnd) {
  const auto whole = search(options("whole.json"));
  ASSERT_TRUE(whole);
  std::stop_source stop;
  const RunHooks hooks = {.prepares =
                              [&](std::string_view, int64_t done, int64_t of) {
                                EXPECT_EQ(of, 16 + 8 * 8);
                                if (done == 35) stop.request_stop();  // in the third generation
                              },
                          .stop = stop.get_token()};
  const auto stopped = search(options("cut.json"), hooks);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_THAT(stopped.error().message, HasSubstr("after 2 generations"));
  const auto kept = read_json_if_there(folder_ / "cut.json");
  ASSERT_TRUE(kept);
  EXPECT_EQ((*kept)["generation"], 2);
  measured_ = 0;
  const auto rest = search(options("cut.json"));
  ASSERT_TRUE(rest) << rest.error().text();
  EXPECT_EQ(measured_, 6 * 8);
  EXPECT_EQ(rest->best.values, whole->best.values);
  measured_ = 0;
  EXPECT_EQ(search(options("cut.json"))->best.values, whole->best.values);
  EXPECT_EQ(measured_, 0) << "it had ended";
}

TEST_F(RopeSearchTest, AFileOfAnotherSearchOrADamagedOneIsNotTakenUp) {
  ASSERT_TRUE(search(options("a.json")));
  RopeSearchOptions other = options("a.json");
  other.of = {{"model", 2}};
  EXPECT_THAT(search(other).error().message, HasSubstr("another model, data or fields"));
  Json damaged = *read_json_if_there(folder_ / "a.json");
  const auto error_with = [&](auto change) {
    Json json = damaged;
    change(json);
    const std::string text = dump_json(json);
    EXPECT_TRUE(write_file_atomically(folder_ / "a.json", std::as_bytes(std::span(text))));
    const auto found = search(options("a.json"));
    return found ? Code::kNotFound : found.error().code;
  };
  EXPECT_EQ(error_with([](Json& json) { json["population"][0]["factors"][3] = 0.5; }), Code::kCorrupt);
  EXPECT_EQ(error_with([](Json& json) { json["population"][0]["factors"].push_back(9); }), Code::kCorrupt);
  EXPECT_EQ(error_with([](Json& json) { json["population"][0]["factors"][3] = "much"; }), Code::kCorrupt);
  EXPECT_EQ(error_with([](Json& json) { json["population"] = 3; }), Code::kCorrupt);
  EXPECT_EQ(error_with([](Json& json) { json["population"] = Json::array(); }), Code::kCorrupt);
  EXPECT_EQ(error_with([](Json& json) { json["generation"] = 99; }), Code::kCorrupt);
  EXPECT_EQ(error_with([](Json& json) { json.erase("known"); }), Code::kCorrupt);
}

}  // namespace
}  // namespace phial::train

#include "phial/train/extension_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "phial/base/mapped_file.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/train/heat_map.h"

namespace phial::train {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

// No prompt for a pass key has 16 tokens; the model's loss at 64 was not finite before.
Extension an_extension() {
  Extension extension = {.lengths = {16, 64}, .depths = {0, 0.5, 1}};
  extension.factors.best = {{1, 2.5}, 3.25};
  extension.factors.known = {{{{4, 4}, 4.5}, "PI"}};
  extension.measured = {
      {.name = "before", .losses = {2, NAN}, .retrieval = {RetrievalShares{{-1, -1, -1}, {0, 0, 0.5}}, {}}},
      {.name = "after", .losses = {2.01, 1.5}, .retrieval = {RetrievalShares{{-1, -1, -1}, {1, 1, 0.25}}, {}}}};
  return extension;
}

TEST(ExtensionReport, TheTableHasALineALengthAndOnlyWhatWasMeasured) {
  EXPECT_EQ(extension_table(an_extension()),
            "        loss              passkey\n"
            "tokens   before    after   before    after\n"
            "    16   2.0000   2.0100        -        -\n"
            "    64      nan   1.5000     17 %     75 %\n");
}

TEST(ExtensionReport, TheTableHasRoomForLengthsOfManyDigits) {
  Extension extension = an_extension();
  extension.lengths = {16, 1048576};
  EXPECT_THAT(extension_table(extension), testing::StartsWith("         loss"));
  EXPECT_THAT(extension_table(extension), HasSubstr("\n tokens   before"));
  EXPECT_THAT(extension_table(extension), HasSubstr("\n1048576      nan"));
}

TEST(ExtensionReport, MetricsAreOfTheShortestAndTheLongest) {
  const Metrics metrics = extension_metrics(an_extension());
  EXPECT_THAT(metrics, Contains(Pair("loss_16_after", 2.01)));
  EXPECT_THAT(metrics, Contains(Pair("passkey_64_after", 0.75)));
  EXPECT_EQ(metrics.size(), 6) << "what was not asked is not told";
}

TEST(ExtensionReport, WhatWasNotAskedOrIsNotFiniteIsNullInTheFile) {
  const auto written = parse_json(dump_json(extension_json(an_extension())));
  ASSERT_TRUE(written);
  EXPECT_EQ((*written)["measured"]["before"]["losses"][1], nullptr);
  EXPECT_EQ((*written)["measured"]["after"]["passkey"], Json({{nullptr, nullptr, nullptr}, {1.0, 1.0, 0.25}}));
  EXPECT_FALSE((*written)["measured"]["after"].contains("needle"));
  EXPECT_EQ((*written)["known"]["PI"]["loss"], 4.5);
}

TEST(ExtensionReport, ThePageHasACurveOfLossesAndAMapOfEachTask) {
  const TempFolder folder;
  ASSERT_TRUE(write_extension(an_extension(), folder.path(), "a < b"));
  const auto page = read_text_file(folder / "extension.html");
  ASSERT_TRUE(page);
  EXPECT_THAT(*page, HasSubstr("<h1>a &lt; b</h1>"));
  EXPECT_THAT(*page, HasSubstr("<svg class=\"curves\""));
  EXPECT_THAT(*page, HasSubstr("aria-label=\"Pass key found, after\""));
  EXPECT_THAT(*page, Not(HasSubstr("Needle")));
}

TEST(HeatMap, ACellIsAsFullAsItsShareAndEmptyWhereThereIsNone) {
  const std::string svg = heat_map_svg({.label = "map",
                                        .across = "tokens",
                                        .down = "depth",
                                        .columns = {"16", "64"},
                                        .rows = {"0 %"},
                                        .shares = {{-1}, {1}}});
  EXPECT_THAT(svg, HasSubstr("fill-opacity=\"0.000\""));
  EXPECT_THAT(svg, HasSubstr("fill-opacity=\"0.750\""));
  EXPECT_THAT(svg, HasSubstr(">–</text>"));
  EXPECT_THAT(svg, HasSubstr(">100</text>"));
  EXPECT_THAT(svg, HasSubstr("<text class=\"row\" x=\"62.0\" y=\"29.5\">0 %</text>"));
}

}  // namespace
}  // namespace phial::train

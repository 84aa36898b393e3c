#include "phial/train/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phial::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Garden {
  bool fence = false;
  int64_t trees = 3;
  double water = 0.5;
  std::string soil = "loam";
  std::vector<std::string> beds;
  ConfigFields fields;

  Garden() {
    fields.add("plot.fence", &fence, "whether there is one");
    fields.add("plot.trees", &trees, "how many").between(0, 100);
    fields.add("care.water", &water, "litres a day").at_least(0);
    fields.add("care.soil", &soil, "what it is").one_of({"loam", "sand"});
    fields.add("care.beds", &beds, "their names");
  }
};

TEST(Config, ReadsEveryKindOfField) {
  Garden garden;
  ASSERT_TRUE(
      garden.fields.read_toml("[plot]\nfence = true\ntrees = 7\n[care]\nwater = 2\nsoil = \"sand\"\n"
                              "beds = ['a', 'b']\n",
                              "garden.toml"));
  EXPECT_TRUE(garden.fence);
  EXPECT_EQ(garden.trees, 7);
  EXPECT_EQ(garden.water, 2);
  EXPECT_EQ(garden.soil, "sand");
  EXPECT_THAT(garden.beds, ElementsAre("a", "b"));
}

TEST(Config, AnUnknownFieldIsAnErrorThatNamesItsLine) {
  for (const char* text : {"[plot]\ntrees = 1\nhedges = 2\n", "\n\nhedges = 2\n", "\n\n[hedges]\na = 1\n"}) {
    const Status status = Garden().fields.read_toml(text, "garden.toml");
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().text(), HasSubstr("garden.toml, line 3"));
    EXPECT_THAT(status.error().text(), HasSubstr("hedges"));
  }
  EXPECT_THAT(Garden().fields.read_toml("trees = 2\n", "x").error().text(), HasSubstr("did you mean 'plot.trees'"));
  EXPECT_THAT(Garden().fields.read_toml("[plot]\ntrees == 2\n", "x").error().text(), HasSubstr("x, line 2"));
}

TEST(Config, AWrongKindOrLimitIsAnErrorThatSaysWhatIsWanted) {
  const auto error = [](const char* text) { return Garden().fields.read_toml(text, "g").error().text(); };
  EXPECT_THAT(error("plot.trees = 1.5"), HasSubstr("g, line 1: 'plot.trees' is to be a whole number"));
  EXPECT_THAT(error("plot.trees = 101"), HasSubstr("at most 100"));
  EXPECT_THAT(error("plot.fence = 1"), HasSubstr("true or false"));
  EXPECT_THAT(error("care.water = -0.1"), HasSubstr("at least 0"));
  EXPECT_THAT(error("care.water = nan"), HasSubstr("finite"));
  EXPECT_THAT(error("care.soil = 'clay'"), HasSubstr("one of loam, sand"));
  EXPECT_THAT(error("care.beds = ['a', 1]"), HasSubstr("list of texts"));
  EXPECT_THAT(error("plot = 1"), HasSubstr("there is no field 'plot'"));
}

TEST(Config, TheCommandLineOverridesByDottedName) {
  Garden garden;
  EXPECT_TRUE(garden.fields.set("care.water=1e-3"));
  EXPECT_TRUE(garden.fields.set("care.soil=sand"));
  EXPECT_TRUE(garden.fields.set("plot.trees = 9"));
  EXPECT_TRUE(garden.fields.set("care.beds=['x']"));
  EXPECT_EQ(garden.water, 1e-3);
  EXPECT_EQ(garden.soil, "sand");
  EXPECT_EQ(garden.trees, 9);
  EXPECT_THAT(garden.beds, ElementsAre("x"));
  EXPECT_THAT(garden.fields.set("water=1").error().text(), HasSubstr("did you mean 'care.water'"));
  EXPECT_FALSE(garden.fields.set("care.water"));
  EXPECT_FALSE(garden.fields.set("care.water=much"));
  EXPECT_FALSE(garden.fields.set("care.soil=clay"));
}

TEST(Config, WhatItWritesReadsBackTheSame) {
  Garden garden;
  garden.water = 1e-5;
  garden.soil = "sand";
  garden.beds = {"with \"quotes\"", "b"};
  Garden again;
  ASSERT_TRUE(again.fields.read_toml(garden.fields.toml(), "written"));
  EXPECT_EQ(again.fields.values(), garden.fields.values());
  EXPECT_EQ(again.fields.values()["care.water"], 1e-5);
}

}  // namespace
}  // namespace phial::train

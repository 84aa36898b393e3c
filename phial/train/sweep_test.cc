#include "phial/train/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "phial/base/json_file.h"
#include "phial/base/mapped_file.h"
#include "phial/train/run_files_for_test.h"
#include "phial/train/sweep_report.h"

namespace phial::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SweepTest : public RunFiles {
 protected:
  // Two widths, of which 32 is the base's, and two rates: four runs of twelve steps.
  SweepConfig tiny_sweep(const std::string& out) const {
    SweepConfig config;
    static_cast<PretrainConfig&>(config) = tiny_run(out);
    config.widths = {64, 32};
    config.rates = {1e-2, 1e-4};
    config.snapshot_every = 100;
    return config;
  }
  std::filesystem::path run_folder(const std::string& out, const std::string& width, const std::string& rate) const {
    return path(out) / ("width-" + width) / ("lr-" + rate) / "seed-0";
  }
  std::string error_of(const SweepConfig& config) const {
    const auto swept = sweep(config, {});
    return swept ? "no error" : swept.error().text();
  }

  std::set<size_t> made_;  // the numbers of the runs that had a step
  SweepHooks counting() {
    made_.clear();
    return {.report = [this](const SweepRun& run, const StepReport&) { made_.insert(run.number); }};
  }
};

TEST_F(SweepTest, MakesARunOfEachWidthRateAndSeedAndFindsTheBestRate) {
  SweepConfig config = tiny_sweep("a");
  config.seeds = 2;
  const auto swept = sweep(config, counting());
  ASSERT_TRUE(swept) << swept.error().text();
  EXPECT_EQ(made_.size(), 8);
  EXPECT_THAT(swept->rates, ElementsAre(1e-4, 1e-2));
  ASSERT_EQ(swept->widths.size(), 2);
  EXPECT_EQ(swept->widths[0].width, 32);
  EXPECT_EQ(swept->shift, 0.0);
  for (const SweepWidth& width : swept->widths) {
    EXPECT_EQ(width.best, 1);
    EXPECT_LT(width.losses[1], width.losses[0]);
    EXPECT_NE(width.runs[1][0], width.runs[1][1]);  // of two seeds
    EXPECT_DOUBLE_EQ(width.losses[1], (width.runs[1][0] + width.runs[1][1]) / 2);
  }
  EXPECT_EQ(*read_text_file(path("a") / "sweep.json"), dump_json(sweep_json(*swept)) + "\n");
  const std::string page = *read_text_file(path("a") / "sweep.html");
  EXPECT_THAT(page, HasSubstr("<svg"));
  EXPECT_THAT(page, HasSubstr("width 64"));
}

TEST_F(SweepTest, AWiderModelHasMoreHeadsOfTheSameWidthAndTheBaseOfTheNarrowOne) {
  SweepConfig config = tiny_sweep("a");
  config.widths = {64};
  ASSERT_TRUE(sweep(config, {}));
  const Json wide = *read_json_if_there(path("a") / "width-64" / "config.json");
  EXPECT_EQ(wide["hidden_size"], 64);
  EXPECT_EQ(wide["intermediate_size"], 128);
  EXPECT_EQ(wide["num_attention_heads"], 8);
  EXPECT_EQ(wide["num_key_value_heads"], 4);
  EXPECT_EQ(wide["num_hidden_layers"], 2);
  EXPECT_THAT(*read_text_file(run_folder("a", "64", "0.01") / "config.toml"), HasSubstr("base_hidden_dim = 32\n"));
  config.out = path("standard").string();
  config.mup = false;
  ASSERT_TRUE(sweep(config, {}));
  EXPECT_THAT(*read_text_file(run_folder("standard", "64", "0.01") / "config.toml"),
              HasSubstr("base_hidden_dim = 0\n"));
}

TEST_F(SweepTest, WithoutListsItTakesWidthsAndRatesAroundTheBase) {
  SweepConfig config = tiny_sweep("a");
  config.widths = config.rates = {};
  config.steps = 1;
  const auto swept = sweep(config, {});
  ASSERT_TRUE(swept) << swept.error().text();
  EXPECT_EQ(swept->widths.back().width, 128);
  EXPECT_THAT(swept->rates, ElementsAre(0.00125, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08));
}

TEST_F(SweepTest, WhatHasAResultIsNotMadeAgain) {
  const auto first = sweep(tiny_sweep("a"), {});
  ASSERT_TRUE(first);
  const auto second = sweep(tiny_sweep("a"), counting());
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_THAT(made_, IsEmpty());
  EXPECT_EQ(sweep_json(*second), sweep_json(*first));
  SweepConfig more = tiny_sweep("a");
  more.rates = {1e-4, 1e-3, 1e-2};
  ASSERT_TRUE(sweep(more, counting()));
  EXPECT_THAT(made_, ElementsAre(2, 5));
}

TEST_F(SweepTest, AStoppedSweepGoesOnToTheSameLosses) {
  const auto whole = sweep(tiny_sweep("whole"), {});
  ASSERT_TRUE(whole);
  std::stop_source source;
  const auto stopped = sweep(tiny_sweep("parts"), {.report =
                                                       [&](const SweepRun& run, const StepReport& step) {
                                                         if (run.number == 3 && step.step == 7) source.request_stop();
                                                       },
                                                   .stop = source.get_token()});
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_THAT(stopped.error().text(), HasSubstr("stopped in run 3 of 4"));
  int64_t first_step = 0;
  const auto rest = sweep(tiny_sweep("parts"), {.report = [&](const SweepRun& run, const StepReport& step) {
                            EXPECT_GE(run.number, 3);
                            if (first_step == 0) first_step = step.step;
                          }});
  ASSERT_TRUE(rest) << rest.error().text();
  EXPECT_EQ(first_step, 8);
  EXPECT_EQ(sweep_json(*rest), sweep_json(*whole));
}

TEST_F(SweepTest, OnlyTheWeightsOfItsOwnRunsAreDeletedAndOnlyOnce) {
  ASSERT_TRUE(sweep(tiny_sweep("a"), {}));
  const auto folder = run_folder("a", "64", "0.01");
  EXPECT_TRUE(std::filesystem::exists(folder / "metrics.jsonl"));
  EXPECT_FALSE(std::filesystem::exists(folder / "model"));
  EXPECT_FALSE(std::filesystem::exists(folder / "snapshots"));
  std::filesystem::create_directory(folder / "model");  // made by somebody since
  ASSERT_TRUE(sweep(tiny_sweep("a"), {}));
  EXPECT_TRUE(std::filesystem::exists(folder / "model"));
  PretrainConfig own = tiny_run("b");
  own.out = run_folder("b", "32", "0.0001").string();
  ASSERT_TRUE(pretrain(own, {}));
  EXPECT_THAT(error_of(tiny_sweep("b")), HasSubstr("is there already, and no sweep made it"));
  EXPECT_TRUE(std::filesystem::exists(run_folder("b", "32", "0.0001") / "model"));
}

// At a rate of 10 losses are finite, but far above that of a model that has learned nothing; at 1e6 they are not.
TEST_F(SweepTest, ARunThatDivergesIsToldAndIsNotTheBest) {
  SweepConfig config = tiny_sweep("a");
  config.widths = {32};
  config.rates = {1e-2, 10, 1e6};
  config.warmup_steps = 0;
  config.clip = 0;
  config.max_skipped = 2;
  std::string warned;
  const auto swept = sweep(config, {.log = [&](Severity severity, std::string_view text) {
                             if (severity == Severity::kWarning) warned.append(text).append("\n");
                           }});
  ASSERT_TRUE(swept) << swept.error().text();
  EXPECT_THAT(warned, HasSubstr("width 32, lr 10.0 diverges: its loss is not finite, or ends above"));
  EXPECT_THAT(warned, HasSubstr("width 32, lr 1000000.0 diverges: no finite loss or gradient in 3 steps"));
  EXPECT_THAT(warned, HasSubstr("the best rate of width 32 is the lowest that was tried"));
  EXPECT_EQ(swept->widths[0].best, 0);
  EXPECT_TRUE(std::isinf(swept->widths[0].losses[1]));
  EXPECT_TRUE(std::isinf(swept->widths[0].losses[2]));
  EXPECT_THAT(dump_json(sweep_json(*swept)), HasSubstr(",null,null]"));
  EXPECT_THAT(*read_text_file(path("a") / "sweep.html"), HasSubstr("<td>diverges</td>"));
  const auto again = sweep(config, counting());
  ASSERT_TRUE(again);
  EXPECT_THAT(made_, IsEmpty());
  EXPECT_EQ(dump_json(sweep_json(*again)), dump_json(sweep_json(*swept)));
}

TEST_F(SweepTest, WhereAllRatesDivergeThereIsNoBest) {
  SweepConfig config = tiny_sweep("a");
  config.widths = {32};
  config.rates = {1e6};
  config.warmup_steps = 0;
  config.clip = 0;
  config.max_skipped = 2;
  const auto swept = sweep(config, {});
  ASSERT_TRUE(swept) << swept.error().text();
  EXPECT_FALSE(swept->widths[0].best);
  EXPECT_EQ(swept->shift, std::nullopt);
  EXPECT_EQ(sweep_json(*swept)["widths"][0]["best_rate"], nullptr);
}

TEST_F(SweepTest, HeldOutDataIsWhatCounts) {
  SweepConfig config = tiny_sweep("a");
  config.widths = {32};
  config.rates = {1e-2};
  config.held_out = config.shards;
  double held_out = 0;
  const auto swept = sweep(config, {.report = [&](const SweepRun&, const StepReport& step) {
                             for (const auto& [name, value] : step.metrics) held_out = value;
                           }});
  ASSERT_TRUE(swept) << swept.error().text();
  EXPECT_TRUE(swept->held_out);
  EXPECT_DOUBLE_EQ(swept->widths[0].losses[0], held_out);
}

// As when it is stopped while it is measured.
TEST_F(SweepTest, ARunThatEndedWithoutItsMeasureIsMadeAgain) {
  SweepConfig config = tiny_sweep("a");
  config.widths = {32};
  config.rates = {1e-2};
  config.held_out = config.shards;
  std::stop_source source;
  ASSERT_FALSE(sweep(config, {.report = [&](const SweepRun&, const StepReport&) { source.request_stop(); },
                              .stop = source.get_token()}));
  PretrainConfig rest = config;
  rest.model_config = (path("a") / "width-32" / "config.json").string();
  rest.out = run_folder("a", "32", "0.01").string();
  rest.base_hidden_dim = 32;
  rest.held_out = {};
  const auto ended = pretrain(rest, {});
  ASSERT_TRUE(ended) << ended.error().text();
  const auto swept = sweep(config, counting());
  ASSERT_TRUE(swept) << swept.error().text();
  EXPECT_THAT(made_, ElementsAre(1));
  EXPECT_TRUE(swept->widths[0].best);
}

TEST_F(SweepTest, AnotherConfigurationInTheSameFolderIsRefused) {
  ASSERT_TRUE(sweep(tiny_sweep("a"), {}));
  SweepConfig config = tiny_sweep("a");
  config.steps = 13;
  EXPECT_THAT(error_of(config), HasSubstr("was made with train.steps = 12, not 13"));
  config = tiny_sweep("a");
  config.mup = false;
  EXPECT_THAT(error_of(config), HasSubstr("was made with mup.base_hidden_dim = 32, not 0"));
  config = tiny_sweep("a");
  config.threads = 2;
  EXPECT_EQ(error_of(config), "no error");
  Json other = *read_json_if_there(path("config.json"));
  other["num_hidden_layers"] = 3;
  std::ofstream(path("config.json")) << dump_json(other);
  EXPECT_THAT(error_of(tiny_sweep("a")), HasSubstr("is another shape than model.config at that width"));
}

TEST_F(SweepTest, DataOfAnotherVocabularyIsRefusedAtEveryWidth) {
  std::filesystem::copy_file(std::filesystem::path(PHIAL_TESTDATA) / "golden/phi3-mini-like/tokenizer.model",
                             path("tokenizer.model"));
  write_shard(path("data.tokens"), 12345);
  SweepConfig config = tiny_sweep("a");
  config.widths = {64};
  EXPECT_THAT(error_of(config), HasSubstr("another tokenizer than the model's"));
}

TEST_F(SweepTest, AConfigurationThatMakesNoSenseIsAnErrorBeforeTheFirstRun) {
  const auto error = [&](auto change) {
    SweepConfig config = tiny_sweep("a");
    change(config);
    return error_of(config);
  };
  EXPECT_THAT(error([](SweepConfig& c) { c.widths = {32, 48}; }),
              HasSubstr("48.0 is no multiple of 32, the width of model.config"));
  EXPECT_THAT(error([](SweepConfig& c) { c.widths = {0}; }), HasSubstr("no multiple"));
  EXPECT_THAT(error([](SweepConfig& c) { c.widths = {1e300}; }), HasSubstr("no multiple"));
  EXPECT_THAT(error([](SweepConfig& c) { c.widths = {64, 64}; }), HasSubstr("names 64 twice"));
  EXPECT_THAT(error([](SweepConfig& c) { c.widths = {65536}; }), HasSubstr("at width 65536"));
  EXPECT_THAT(error([](SweepConfig& c) { c.rates = {1e-3, 1e-3}; }), HasSubstr("names 0.001 twice"));
  EXPECT_THAT(error([](SweepConfig& c) { c.rates = {0}; }), HasSubstr("not above 0"));
  EXPECT_THAT(error([](SweepConfig& c) { c.out = ""; }), HasSubstr("give run.out"));
  EXPECT_THAT(error([](SweepConfig& c) { c.model_start = "x"; }), HasSubstr("model.start"));
  EXPECT_THAT(error([](SweepConfig& c) { c.base_hidden_dim = 16; }), HasSubstr("mup.base_hidden_dim is 16"));
  EXPECT_THAT(error([](SweepConfig& c) { c.base_n_heads = 4; }), HasSubstr("leave them away"));
  EXPECT_FALSE(std::filesystem::exists(path("a") / "width-32" / "lr-0.01"));
}

}  // namespace
}  // namespace phial::train

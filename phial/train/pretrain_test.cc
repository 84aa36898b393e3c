// The whole run, in process. What a kill does to it is in tests of the program (resume_test.cc).
#include "phial/train/pretrain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "phial/base/json_file.h"
#include "phial/base/mapped_file.h"
#include "phial/train/run_files_for_test.h"
#include "phial/train/utilization.h"

namespace phial::train {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class Pretrain : public RunFiles {
 protected:
  static RunHooks stopping_after(int64_t steps, std::stop_source& source) {
    return {.report =
                [steps, &source](const StepReport& report) {
                  if (report.step == steps) source.request_stop();
                },
            .stop = source.get_token()};
  }
};

// Operations of a token times tokens a second, as a share of the peak that the configuration names.
TEST_F(Pretrain, TellsHowMuchOfTheNamedPeakItUses) {
  PretrainConfig config = tiny_run("a");
  config.steps = 3;
  config.peak_tflops = 1e-3;
  const auto spec = spec::decoder_from_config(*read_json_if_there(path("config.json")));
  ASSERT_TRUE(spec) << spec.error().text();
  const double a_token = operations(*spec, computed_rows(at::zeros({4, 32}, at::kLong)), false) / (4 * 32);
  int steps = 0;
  ASSERT_TRUE(pretrain(config, {.report = [&](const StepReport& step) {
                         ++steps;
                         EXPECT_NEAR(step.utilization / (step.tokens_per_second * a_token / 1e9), 1, 1e-9);
                       }}));
  EXPECT_EQ(steps, 3);
}

TEST_F(Pretrain, LearnsTextThatRepeats) {
  PretrainConfig config = tiny_run("a");
  config.steps = 60;
  const auto summary = pretrain(config, {});
  ASSERT_TRUE(summary) << summary.error().text();
  const auto losses = losses_of("a");
  ASSERT_EQ(losses.size(), 60);
  EXPECT_NEAR(losses.front(), std::log(64.0), 0.3);
  EXPECT_LT(losses.back(), 1.0);
  EXPECT_TRUE(fs::exists(summary->model / "model.safetensors"));
  EXPECT_TRUE(fs::exists(path("a") / "config.toml"));
}

TEST_F(Pretrain, AStoppedRunGoesOnToTheSameBits) {
  ASSERT_TRUE(pretrain(tiny_run("whole"), {}));
  std::stop_source source;
  const auto stopped = pretrain(tiny_run("parts"), stopping_after(7, source));
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  ASSERT_TRUE(pretrain(tiny_run("parts"), {}));
  EXPECT_EQ(losses_of("parts"), losses_of("whole"));
  EXPECT_EQ(model_bytes("parts"), model_bytes("whole"));
  const auto nothing_left = pretrain(tiny_run("parts"), {});
  ASSERT_TRUE(nothing_left);
  EXPECT_EQ(nothing_left->loss, losses_of("whole").back());
}

// Stopped again before its first step, a run leaves the snapshot alone that it took up.
TEST_F(Pretrain, ASnapshotThatIsThereIsNotWrittenAgain) {
  std::stop_source source;
  ASSERT_FALSE(pretrain(tiny_run("a"), stopping_after(5, source)));
  const fs::path state = snapshots("a").back() / "state.json";
  const auto written = fs::last_write_time(state);
  const auto again = pretrain(tiny_run("a"), {.stop = source.get_token()});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kCancelled);
  EXPECT_EQ(fs::last_write_time(state), written);
}

TEST_F(Pretrain, ADamagedSnapshotIsPassedOverWithAWarning) {
  ASSERT_TRUE(pretrain(tiny_run("whole"), {}));
  std::stop_source source;
  ASSERT_FALSE(pretrain(tiny_run("parts"), stopping_after(9, source)));
  for (const char* file : {"model.safetensors", "state.json"}) {
    const auto newest = snapshots("parts").back();
    cut_in_half(newest / file);
    std::string warned;
    std::stop_source again;
    RunHooks hooks = stopping_after(9, again);
    hooks.log = [&](Severity severity, std::string_view text) {
      if (severity == Severity::kWarning) warned += text;
    };
    ASSERT_FALSE(pretrain(tiny_run("parts"), hooks));
    EXPECT_THAT(warned, HasSubstr(newest.filename().string()));
  }
  ASSERT_TRUE(pretrain(tiny_run("parts"), {}));
  EXPECT_EQ(losses_of("parts"), losses_of("whole"));
  EXPECT_EQ(model_bytes("parts"), model_bytes("whole"));
}

TEST_F(Pretrain, WhatIsNotWholeTakesNoPlaceAmongTheSnapshotsThatAreKept) {
  PretrainConfig config = tiny_run("a");
  config.keep = 2;
  std::stop_source source, again;
  ASSERT_FALSE(pretrain(config, stopping_after(9, source)));  // 8 and 9 are kept
  cut_in_half(snapshots("a").back() / "state.json");
  fs::create_directories(path("a") / "snapshots" / "step-000000010");
  fs::create_directories(path("a") / "snapshots" / ".step-000000007.part");
  config.snapshot_every = 100;
  ASSERT_FALSE(pretrain(config, stopping_after(9, again)));
  ASSERT_EQ(snapshots("a").size(), 2);
  EXPECT_EQ(snapshots("a").front().filename(), "step-000000008");
  EXPECT_EQ(snapshots("a").back().filename(), "step-000000009");
}

TEST_F(Pretrain, AModelFolderThatTheRunDidNotMakeIsLeftAlone) {
  ASSERT_TRUE(pretrain(tiny_run("a"), {}));
  PretrainConfig config = tiny_run("a");
  config.model_config = "";
  config.model_start = (path("a") / "model").string();
  fs::remove_all(path("a") / "snapshots");
  EXPECT_THAT(pretrain(config, {}).error().text(), HasSubstr("is what this run begins with"));
  EXPECT_THAT(pretrain(tiny_run("a"), {}).error().text(), HasSubstr("is there already"));
  EXPECT_NE(model_bytes("a"), "");
}

TEST_F(Pretrain, WithNoWholeSnapshotItSaysSo) {
  std::stop_source source;
  PretrainConfig config = tiny_run("a");
  config.keep = 1;
  ASSERT_FALSE(pretrain(config, stopping_after(5, source)));
  ASSERT_EQ(snapshots("a").size(), 1);
  cut_in_half(snapshots("a").back() / "optimizer.safetensors");
  EXPECT_THAT(pretrain(config, {}).error().text(), HasSubstr("no snapshot in it is whole"));
}

// The folder of the shard is named instead of the shard.
TEST_F(Pretrain, KeepsTheLastSnapshots) {
  PretrainConfig config = tiny_run("a");
  config.shards = {path("").string()};
  config.keep = 2;
  ASSERT_TRUE(pretrain(config, {}));
  ASSERT_EQ(snapshots("a").size(), 2);
  EXPECT_EQ(snapshots("a").back().filename(), "step-000000012");
}

// The mean is over all targets of a step, however they are cut into batches.
TEST_F(Pretrain, AccumulatedRowsAreAsOneBatch) {
  PretrainConfig config = tiny_run("one");
  ASSERT_TRUE(pretrain(config, {}));
  config.out = path("many").string();
  config.rows = 1;
  config.accumulate = 4;
  ASSERT_TRUE(pretrain(config, {}));
  const auto one = losses_of("one"), many = losses_of("many");
  for (size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(one[i], many[i], 1e-4) << i;
}

TEST_F(Pretrain, LayersComputedAgainAndBfloat16Train) {
  PretrainConfig config = tiny_run("plain");
  ASSERT_TRUE(pretrain(config, {}));
  config.out = path("again").string();
  config.recompute_layers = true;
  ASSERT_TRUE(pretrain(config, {}));
  EXPECT_EQ(model_bytes("again"), model_bytes("plain"));
  config.out = path("bf16").string();
  config.compute = "bf16";
  ASSERT_TRUE(pretrain(config, {}));
  EXPECT_NEAR(losses_of("bf16").back(), losses_of("plain").back(), 0.1);
}

TEST_F(Pretrain, LossesThatAreNotFiniteAreSkippedAndThenEndTheRun) {
  PretrainConfig config = tiny_run("a");
  config.lr = 1e30;
  config.warmup_steps = 0;
  config.clip = 0;
  config.max_skipped = 2;
  int warnings = 0;
  const auto summary = pretrain(config, {.log = [&](Severity severity, std::string_view) {
                                  warnings += severity == Severity::kWarning ? 1 : 0;
                                }});
  ASSERT_FALSE(summary);
  EXPECT_THAT(summary.error().text(), HasSubstr("no finite loss or gradient in 3 steps"));
  EXPECT_EQ(warnings, 3);
}

TEST_F(Pretrain, WeightsThatAreNotFiniteAreNeitherKeptNorWritten) {
  PretrainConfig config = tiny_run("a");
  config.lr = 1e38;
  config.warmup_steps = 0;
  config.clip = 0;
  config.max_skipped = 100;
  config.snapshot_every = 1;
  const auto summary = pretrain(config, {});
  ASSERT_FALSE(summary);
  EXPECT_THAT(summary.error().text(), HasSubstr("no model is written"));
  EXPECT_FALSE(fs::exists(path("a") / "model"));
  EXPECT_FALSE(fs::exists(path("a") / "snapshots" / "step-000000012"));
}

TEST_F(Pretrain, AConfigurationThatMakesNoSenseIsAnErrorWithTheRemedy) {
  const auto error = [](const PretrainConfig& config) { return pretrain(config, {}).error().text(); };
  PretrainConfig config = tiny_run("a");
  config.sequence_tokens = 65;
  EXPECT_THAT(error(config), HasSubstr("data.sequence_tokens is 65, the model's context 64"));
  config = tiny_run("a");
  config.shards = {path("nothing").string()};
  EXPECT_THAT(error(config), HasSubstr("nothing"));
  config = tiny_run("a");
  fs::create_directory(path("empty"));
  config.shards = {path("empty").string()};
  EXPECT_THAT(error(config), HasSubstr("holds no file that ends in .tokens"));
  config = tiny_run("a");
  config.model_config = "";
  EXPECT_THAT(error(config), HasSubstr("model.config"));
  config = tiny_run("a");
  config.model_start = (fs::path(PHIAL_TESTDATA) / "golden/phi3-mini-like").string();
  config.base_hidden_dim = 16;
  EXPECT_THAT(error(config), HasSubstr("leave the fields of mup away"));
}

TEST_F(Pretrain, DataOfAnotherVocabularyThanTheTokenizerBesideTheModelIsRefused) {
  fs::copy_file(fs::path(PHIAL_TESTDATA) / "golden/phi3-mini-like/tokenizer.model", path("tokenizer.model"));
  EXPECT_TRUE(pretrain(tiny_run("a"), {}));  // of data that does not say, nothing is known
  EXPECT_TRUE(fs::exists(path("a") / "model" / "tokenizer.model"));
  write_shard(path("data.tokens"), 12345);
  EXPECT_THAT(pretrain(tiny_run("b"), {}).error().text(), HasSubstr("another tokenizer than the model's"));
}

TEST_F(Pretrain, ARunDoesNotGoOnWithOtherDataButWithAnotherRate) {
  std::stop_source source;
  ASSERT_FALSE(pretrain(tiny_run("a"), stopping_after(5, source)));
  PretrainConfig config = tiny_run("a");
  config.rows = 3;
  EXPECT_THAT(pretrain(config, {}).error().text(), HasSubstr("batch.rows = 4, not 3"));
  EXPECT_THAT(*read_text_file(path("a") / "config.toml"), HasSubstr("rows = 4\n"));
  write_shard(path("data.tokens"), 0, 4100);
  EXPECT_THAT(pretrain(tiny_run("a"), {}).error().text(), HasSubstr("began with data."));
  write_shard(path("data.tokens"));
  config = tiny_run("a");
  config.lr = 1e-4;
  EXPECT_TRUE(pretrain(config, {}));
}

}  // namespace
}  // namespace phial::train

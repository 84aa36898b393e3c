// SFT and DPO as whole runs over a model of testdata/golden.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "phial/base/json_file.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/checkpoint.h"
#include "phial/train/dpo.h"
#include "phial/train/ranks_for_test.h"
#include "phial/train/run_files_for_test.h"
#include "phial/train/sft.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;

class Tuning : public testing::Test {
 protected:
  Tuning() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    const char* words[] = {"red", "blue", "green", "white", "black", "grey", "gold", "pink"};
    std::ofstream chats(path("chats.jsonl")), pairs(path("pairs.jsonl"));
    for (const std::string word : words) {
      chats << R"({"messages": [{"role": "user", "content": "Say )" << word
            << R"("}, {"role": "assistant", "content": ")" << word << R"("}]})" << "\n";
      pairs << R"({"prompt": "Say )" << word << R"(", "chosen": "yes )" << word << R"(", "rejected": "no )" << word
            << R"("})" << "\n";
    }
  }
  ~Tuning() override { fs::remove_all(folder_); }

  fs::path path(const std::string& name) const { return folder_ / name; }
  static std::string model() { return (fs::path(PHIAL_TESTDATA) / "golden" / "phi3-mini-like").string(); }

  template <typename Config>
  Config run_into(const std::string& out) const {
    Config config;
    config.model_start = model();
    config.out = path(out).string();
    config.sequence_tokens = 48;
    config.rows = 2;
    config.lr = 3e-3;
    config.epochs = 4;
    config.snapshot_every = 3;
    config.device = "cpu";
    config.threads = 1;
    return config;
  }
  SftConfig sft_run(const std::string& out) const {
    auto config = run_into<SftConfig>(out);
    config.files = {path("chats.jsonl").string()};
    return config;
  }
  DpoConfig dpo_run(const std::string& out) const {
    auto config = run_into<DpoConfig>(out);
    config.files = {path("pairs.jsonl").string()};
    return config;
  }
  std::string model_bytes(const std::string& out) const { return bytes_of_model(path(out)); }

  const fs::path folder_ =
      fs::temp_directory_path() /
      ("phial-tuning-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
};

struct Seen {
  std::vector<StepReport> reports;
  std::stop_source stop;
  // Asks to stop after so many steps; 0: never.
  RunHooks hooks(int64_t stop_after = 0) {
    return {.report =
                [this, stop_after](const StepReport& report) {
                  reports.push_back(report);
                  if (report.step == stop_after) stop.request_stop();
                },
            .stop = stop.get_token()};
  }
};

double metric(const Metrics& metrics, std::string_view name) {
  for (const auto& [key, value] : metrics) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "there is no " << name;
  return NAN;
}

TEST_F(Tuning, ConversationsAreLearnedAndMeasuredOnOthers) {
  SftConfig config = sft_run("out");
  config.held_out = config.files;
  config.epochs = 30;
  Seen seen;
  const auto summary = sft(config, seen.hooks());
  ASSERT_TRUE(summary) << summary.error().text();
  EXPECT_LT(summary->loss, 0.5 * seen.reports.front().loss);
  EXPECT_NEAR(metric(summary->metrics, "held_out_loss"), summary->loss, 0.3 * seen.reports.front().loss);
  EXPECT_EQ(summary->steps, static_cast<int64_t>(seen.reports.size()));
  const auto written = formats::Checkpoint::open(summary->model);
  EXPECT_TRUE(written) << written.error().text();
  EXPECT_TRUE(fs::exists(summary->model / "tokenizer.model"));
}

TEST_F(Tuning, AStoppedRunEndsWithTheBitsOfOneThatWasLeftAlone) {
  const auto compare = [&](auto config, const auto& run, const std::string& name) {
    Seen whole, first, second;
    config.accumulate = 2;
    config.held_out = config.files;
    config.evaluate_every = 2;
    config.out = path(name + "-whole").string();
    ASSERT_TRUE(run(config, whole.hooks())) << name;
    config.out = path(name + "-cut").string();
    const auto stopped = run(config, first.hooks(2));
    ASSERT_FALSE(stopped) << name;
    EXPECT_EQ(stopped.error().code, Code::kCancelled);
    ASSERT_TRUE(run(config, second.hooks())) << name;
    EXPECT_EQ(second.reports.front().step, 3) << name;
    EXPECT_EQ(second.reports.back().loss, whole.reports.back().loss) << name;
    EXPECT_EQ(second.reports.back().metrics, whole.reports.back().metrics) << name;
    EXPECT_EQ(model_bytes(name + "-cut"), model_bytes(name + "-whole")) << name;
  };
  for (const int64_t rank : {0, 2}) {
    SftConfig chats = sft_run("");
    DpoConfig pairs = dpo_run("");
    chats.lora_rank = pairs.lora_rank = rank;
    chats.sequence_tokens = 24;  // several rows an epoch
    compare(chats, sft, "sft-" + std::to_string(rank));
    compare(pairs, dpo, "dpo-" + std::to_string(rank));
  }
}

// The last step has fewer samples than ranks; adapters, and all weights.
TEST_F(Tuning, ThreeRanksTuneAsOneProcessDoes) {
  const auto compare = [&](auto config, const auto& run, const std::string& name) {
    Seen alone, first;
    config.accumulate = 2;
    config.held_out = config.files;
    config.out = path(name + "-one").string();
    ASSERT_TRUE(run(config, alone.hooks())) << name;
    config.out = path(name + "-three").string();
    config.shard = "optimizer";
    const auto store = new_launcher_store();
    std::vector<std::thread> ranks;
    for (int rank = 0; rank < 3; ++rank) {
      ranks.emplace_back([&, rank, own = config]() mutable {
        own.world = world_at(*store, rank, 3);
        const auto summary = run(own, rank == 0 ? first.hooks() : RunHooks{});
        EXPECT_TRUE(summary) << name << (summary ? "" : summary.error().text());
      });
    }
    for (std::thread& rank : ranks) rank.join();
    ASSERT_EQ(first.reports.size(), alone.reports.size()) << name;
    for (size_t i = 0; i < alone.reports.size(); ++i) {
      EXPECT_NEAR(first.reports[i].loss, alone.reports[i].loss, 1e-4) << name << i;
      EXPECT_NEAR(first.reports[i].gradient_norm, alone.reports[i].gradient_norm, 1e-3) << name << i;
      ASSERT_EQ(first.reports[i].metrics.size(), alone.reports[i].metrics.size()) << name << i;
      for (const auto& [key, value] : alone.reports[i].metrics) {
        EXPECT_NEAR(metric(first.reports[i].metrics, key), value, 1e-3) << name << i << key;
      }
    }
    EXPECT_TRUE(formats::Checkpoint::open(path(name + "-three") / "model")) << name;
  };
  SftConfig chats = sft_run("");
  chats.sequence_tokens = 24;
  chats.lora_rank = 2;
  DpoConfig pairs = dpo_run("");
  pairs.epochs = 1.125;  // 4, 4 and 1
  compare(chats, sft, "sft");
  compare(pairs, dpo, "dpo");
}

TEST_F(Tuning, DivergenceFromTheReferenceIsNothingAtFirst) {
  for (const double lr : {0.0, 1e-3}) {
    for (const int64_t rank : {0, 2}) {
      DpoConfig config = dpo_run("kl-" + std::to_string(lr) + "-" + std::to_string(rank));
      config.lr = lr;
      config.lora_rank = rank;
      config.epochs = 1;
      config.held_out = config.files;
      config.measure_kl = true;
      const auto summary = dpo(config, {});
      ASSERT_TRUE(summary) << summary.error().text();
      const double kl = metric(summary->metrics, "held_out_kl");
      if (lr == 0) {
        EXPECT_NEAR(kl, 0, 1e-6);
      } else {
        EXPECT_GT(kl, 1e-6) << rank;
      }
    }
  }
}

TEST_F(Tuning, EpochsSeeEveryPairOnceAndTheLastStepWhatIsLeft) {
  DpoConfig config = dpo_run("out");
  config.rows = 3;
  config.epochs = 1;
  Seen seen;
  const auto summary = dpo(config, seen.hooks());
  ASSERT_TRUE(summary) << summary.error().text();
  EXPECT_EQ(summary->steps, 3);  // 3, 3 and 2 of 8
  DpoConfig at_once = dpo_run("at-once");
  at_once.rows = 8;
  at_once.epochs = 1;
  const auto all = dpo(at_once, {});
  ASSERT_TRUE(all);
  EXPECT_EQ(summary->tokens, all->tokens);
}

TEST_F(Tuning, WhatStandsInTheRunsFolderIsNotReplacedUnasked) {
  fs::create_directories(path("out"));
  std::ofstream(path("out/config.toml")) << "[mine]\n";
  const auto refused = sft(sft_run("out"), {});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("config.toml is not of a run"), std::string::npos) << refused.error().message;
  fs::remove(path("out/config.toml"));
  fs::create_directories(path("out/adapter"));
  const auto again = sft(sft_run("out"), {});
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message.find("adapter is there already"), std::string::npos) << again.error().message;
  fs::remove(path("out/adapter"));
  ASSERT_TRUE(sft(sft_run("out"), {}));
  std::ofstream(path("out/model/note.txt")) << "mine";
  ASSERT_TRUE(sft(sft_run("out"), {})) << "a run that has ended";
  EXPECT_TRUE(fs::exists(path("out/model/note.txt")));
}

TEST_F(Tuning, APageThatCannotBeWrittenKeepsNoModelBack) {
  fs::create_directories(path("out/report.html/in-the-way"));
  Seen seen;
  RunHooks hooks = seen.hooks();
  std::string warned;
  hooks.log = [&](Severity severity, std::string_view text) {
    if (severity == Severity::kWarning) warned += text;
  };
  ASSERT_TRUE(sft(sft_run("out"), hooks));
  EXPECT_NE(warned.find("report.html"), std::string::npos) << warned;
  EXPECT_TRUE(fs::exists(path("out/model/model.safetensors")));
}

TEST_F(Tuning, PreferencesAreLearnedFromALossOfGuessingOn) {
  DpoConfig config = dpo_run("out");
  config.held_out = config.files;
  config.epochs = 10;
  Seen seen;
  const auto summary = dpo(config, seen.hooks());
  ASSERT_TRUE(summary) << summary.error().text();
  EXPECT_NEAR(seen.reports.front().loss, std::log(2.0), 1e-4);
  EXPECT_EQ(metric(summary->metrics, "held_out_reward_accuracy"), 1);
  EXPECT_GT(metric(summary->metrics, "held_out_reward_margin"), 0.5);
  EXPECT_LT(metric(summary->metrics, "held_out_loss"), 0.6);
}

TEST_F(Tuning, AnAdapterIsWrittenBesideTheWholeModel) {
  SftConfig config = sft_run("out");
  config.lora_rank = 2;
  ASSERT_TRUE(sft(config, {}));
  EXPECT_TRUE(fs::exists(path("out/adapter/adapter_config.json")));
  const auto adapter = formats::Checkpoint::open(path("out/adapter/adapter_model.safetensors"));
  ASSERT_TRUE(adapter) << adapter.error().text();
  const formats::Tensor* b = adapter->find("base_model.model.model.layers.0.mlp.down_proj.lora_B.weight");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->shape, (std::vector<uint64_t>{64, 2}));
  const auto adapter_config = read_json_if_there(path("out/adapter/adapter_config.json"));
  ASSERT_TRUE(adapter_config);
  EXPECT_EQ((*adapter_config)["r"], 2);
  EXPECT_EQ((*adapter_config)["lora_alpha"], 16);
  EXPECT_EQ((*adapter_config)["target_modules"], Json({"down_proj", "gate_up_proj", "o_proj", "qkv_proj"}));
  const auto before = formats::Checkpoint::open(model()), after = formats::Checkpoint::open(path("out/model"));
  ASSERT_TRUE(before && after);
  const auto same = [&](const std::string& name) {
    return std::ranges::equal(before->find(name)->bytes, after->find(name)->bytes);
  };
  EXPECT_TRUE(same("model.embed_tokens.weight"));
  EXPECT_TRUE(same("model.layers.0.input_layernorm.weight"));
  EXPECT_FALSE(same("model.layers.0.mlp.down_proj.weight"));
}

TEST_F(Tuning, WhatCannotBeTrainedOnSaysWhy) {
  struct Case {
    std::function<void(SftConfig&)> change;
    std::string says;
  };
  std::ofstream(path("long.jsonl")) << R"({"prompt": ")" << std::string(400, 'x') << R"(", "completion": "y"})" << "\n";
  std::ofstream(path("bad.jsonl")) << "{\"messages\": [\n";
  const Case cases[] = {
      {[](SftConfig& c) { c.files.clear(); }, "no file of data is named"},
      {[](SftConfig& c) { c.model_start.clear(); }, "no model is named"},
      {[](SftConfig& c) { c.model_start = (fs::path(c.model_start) / "../llama-biased").string(); },
       "has no tokenizer"},
      {[](SftConfig& c) { c.model_start += "/model.gguf"; }, "is a file"},
      {[](SftConfig& c) { c.weights = {1, 2}; }, "2 numbers for 1 files"},
      {[](SftConfig& c) { c.weights = {0}; }, "leave nothing to train on"},
      {[](SftConfig& c) { c.out.clear(); }, "no folder is named"},
      {[](SftConfig& c) { c.sequence_tokens = 100000; }, "the model's context"},
      {[&](SftConfig& c) { c.files = {path("long.jsonl").string()}; }, "no answer fits"},
      {[&](SftConfig& c) { c.files = {path("bad.jsonl").string()}; }, "bad.jsonl"},
      {[&](SftConfig& c) { c.files = {path("none.jsonl").string()}; }, "none.jsonl"},
  };
  for (const Case& one : cases) {
    SftConfig config = sft_run("out");
    one.change(config);
    const auto summary = sft(config, {});
    ASSERT_FALSE(summary) << one.says;
    EXPECT_NE(summary.error().text().find(one.says), std::string::npos) << summary.error().text();
  }
}

TEST_F(Tuning, ARunGoesOnOnlyWithItsOwnData) {
  Seen seen;
  ASSERT_FALSE(sft(sft_run("out"), seen.hooks(1)));
  std::ofstream(path("chats.jsonl"), std::ios::app) << R"({"prompt": "one", "completion": "more"})" << "\n";
  const auto summary = sft(sft_run("out"), {});
  ASSERT_FALSE(summary);
  EXPECT_NE(summary.error().message.find("data.hash"), std::string::npos) << summary.error().message;
  SftConfig with_adapter = sft_run("out");
  with_adapter.files = {path("chats.jsonl").string()};
  with_adapter.lora_rank = 2;
  const auto other = sft(with_adapter, {});
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("the run in this folder began with"), std::string::npos)
      << other.error().message;
}

}  // namespace
}  // namespace phial::train

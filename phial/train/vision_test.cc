// Learning to see as whole runs: over drawn squares, with a new eye and with that of testdata/golden.
#include "phial/train/vision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "phial/base/json_file.h"
#include "phial/base/json_writer.h"
#include "phial/base/mapped_file.h"
#include "phial/model/golden_files.h"
#include "phial/spec/vision_tensors.h"
#include "phial/train/dpo.h"
#include "phial/train/extend.h"
#include "phial/train/pretrain.h"
#include "phial/train/ranks_for_test.h"
#include "phial/train/run_files_for_test.h"
#include "phial/train/start_model.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Sight : public testing::Test {
 protected:
  Sight() {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "pictures");
    const fs::path images = fs::path(PHIAL_TESTDATA) / "images";
    std::ofstream rows(path("see.jsonl")), texts(path("texts.jsonl")), pairs(path("pairs.jsonl"));
    for (const std::string name : {"plain.png", "grey.jpg", "one_bit.png", "turned.png"}) {
      fs::copy_file(images / name, folder_ / "pictures" / name);
      rows << R"({"messages": [{"role": "user", "content": "<|image_1|>\nWhich?"}, {"role": "assistant", "content": ")"
           << name.substr(0, 2) << R"("}], "images": ["pictures/)" << name << R"("]})" << "\n";
      texts << R"({"messages": [{"role": "user", "content": "Say it"}, {"role": "assistant", "content": "it"}]})"
            << "\n";
      pairs << R"({"prompt": "<|image_1|>\nWhich?", "chosen": ")" << name.substr(0, 2)
            << R"(", "rejected": "no", "images": ["pictures/)" << name << R"("]})" << "\n";
    }
  }
  ~Sight() override { fs::remove_all(folder_); }

  fs::path path(const std::string& name) const { return folder_ / name; }

  // A text model of testdata/golden that gets a small eye.
  VisionConfig tiny_run(const std::string& out) const {
    VisionConfig config;
    config.model_start = (fs::path(PHIAL_TESTDATA) / "golden" / "phi3-mini-like").string();
    config.files = {path("see.jsonl").string(), path("texts.jsonl").string()};
    config.out = path(out).string();
    config.image_side = 16;
    config.patch_side = 4;
    config.layers = 2;
    config.hidden_dim = 32;
    config.ffn_dim = 64;
    config.heads = 2;
    config.max_tiles = 2;
    config.sequence_tokens = 96;
    config.rows = 2;
    config.epochs = 6;
    config.lr = 3e-3;
    config.snapshot_every = 3;
    config.device = "cpu";
    config.threads = 1;
    return config;
  }

  std::string write_rows(const std::string& text) const {
    std::ofstream(path("other.jsonl")) << text << "\n";
    return path("other.jsonl").string();
  }
  // The error of a run over one row.
  std::string why_not(const std::string& row) const {
    VisionConfig config = tiny_run("refused");
    config.files = {write_rows(row)};
    const auto found = train_vision(config, {});
    return found ? "it runs" : found.error().text();
  }
  std::string model_bytes(const std::string& out) const { return bytes_of_model(path(out)); }

  const fs::path folder_ =
      fs::temp_directory_path() /
      ("phial-sight-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
};

constexpr const char* kAnswer = R"({"role": "assistant", "content": "a"})";

double metric_of(const Metrics& metrics, std::string_view name) {
  for (const auto& [key, value] : metrics) {
    if (key == name) return value;
  }
  return NAN;
}

TEST_F(Sight, PicturesAreLearnedAndTheModelIsOneThatSees) {
  VisionConfig config = tiny_run("out");
  config.held_out = {config.files[0]};
  config.epochs = 40;
  std::vector<double> losses;
  const RunHooks hooks = {.report = [&](const StepReport& report) { losses.push_back(report.loss); }};
  const auto summary = train_vision(config, hooks);
  ASSERT_TRUE(summary) << summary.error().text();
  EXPECT_LT(summary->loss, 0.3 * losses.front());
  // Only who sees tells the four pictures from each other.
  EXPECT_EQ(metric_of(summary->metrics, "held_out_exact"), 1);
  const auto start = open_start_model("", summary->model.string());
  ASSERT_TRUE(start) << start.error().text();
  ASSERT_TRUE(start->vision);
  EXPECT_EQ(start->vision->image_side, 16);
  EXPECT_EQ(start->vision->n_layers, 2);
  EXPECT_EQ(start->vision->max_tiles, 2);
  EXPECT_TRUE(fs::exists(summary->model / "preprocessor_config.json"));
  EXPECT_TRUE(fs::exists(summary->model / "tokenizer.model"));

  // What comes out is tuned on pairs with pictures.
  DpoConfig pairs;
  pairs.model_start = summary->model.string();
  pairs.files = pairs.held_out = {path("pairs.jsonl").string()};
  pairs.out = path("pairs").string();
  pairs.sequence_tokens = 96;
  pairs.rows = 2;
  pairs.lr = 1e-3;
  pairs.epochs = 4;
  pairs.device = "cpu";
  pairs.threads = 1;
  const auto tuned = dpo(pairs, {});
  ASSERT_TRUE(tuned) << tuned.error().text();
  EXPECT_EQ(metric_of(tuned->metrics, "held_out_reward_accuracy"), 1);
  EXPECT_TRUE(fs::exists(tuned->model / "preprocessor_config.json"));
}

TEST_F(Sight, AStoppedRunEndsWithTheBitsOfOneThatWasLeftAlone) {
  VisionConfig config = tiny_run("whole");
  config.accumulate = 2;
  ASSERT_TRUE(train_vision(config, {}));
  config.out = path("cut").string();
  std::stop_source stop;
  const RunHooks hooks = {.report =
                              [&](const StepReport& report) {
                                if (report.step == 2) stop.request_stop();
                              },
                          .stop = stop.get_token()};
  const auto stopped = train_vision(config, hooks);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  ASSERT_TRUE(train_vision(config, {}));
  EXPECT_EQ(model_bytes("cut"), model_bytes("whole"));
}

// What has no rate stays as it was, to the bit, and the rest changes.
TEST_F(Sight, PartsAreTrainedOrLeftAsTheRatesSay) {
  VisionConfig config = tiny_run("first");
  config.epochs = 1;
  const auto first = train_vision(config, {});
  ASSERT_TRUE(first) << first.error().text();
  for (const int trained : {0, 1, 2}) {
    VisionConfig again = tiny_run("again" + std::to_string(trained));
    again.model_start = first->model.string();
    again.epochs = 1;
    again.encoder_rate = trained == 0 ? 1 : 0;
    again.projector_rate = trained == 1 ? 0.5 : 0;
    again.decoder_rate = trained == 2 ? 2 : 0;
    const auto second = train_vision(again, {});
    ASSERT_TRUE(second) << second.error().text();
    const auto before = formats::Checkpoint::open(first->model), after = formats::Checkpoint::open(second->model);
    ASSERT_TRUE(before && after);
    ASSERT_EQ(before->tensors().size(), after->tensors().size());
    for (const formats::Tensor& tensor : before->tensors()) {
      const int part = tensor.name.starts_with(spec::kClipPrefix)     ? 0
                       : tensor.name.starts_with(spec::kVisionPrefix) ? 1
                                                                      : 2;
      const formats::Tensor* other = after->find(tensor.name);
      ASSERT_NE(other, nullptr) << tensor.name;
      // The gradient of a key's bias is rounding.
      if (tensor.name.ends_with("k_proj.bias")) continue;
      EXPECT_EQ(std::ranges::equal(tensor.bytes, other->bytes), part != trained) << tensor.name << trained;
    }
  }
}

// Some steps, and some ranks' shares of others, have no picture.
TEST_F(Sight, ThreeRanksLearnToSeeAsOneProcessDoes) {
  VisionConfig config = tiny_run("one");
  config.sequence_tokens = 40;  // a conversation a row
  config.rows = 1;
  config.accumulate = 3;
  config.epochs = 3;
  std::vector<double> alone, first;
  const auto hooks_into = [](std::vector<double>& losses) {
    return RunHooks{.report = [&losses](const StepReport& report) { losses.push_back(report.loss); }};
  };
  ASSERT_TRUE(train_vision(config, hooks_into(alone)));
  config.out = path("three").string();
  config.shard = "optimizer";
  const auto store = new_launcher_store();
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 3; ++rank) {
    ranks.emplace_back([&, rank, own = config]() mutable {
      own.world = world_at(*store, rank, 3);
      const auto summary = train_vision(own, rank == 0 ? hooks_into(first) : RunHooks{});
      EXPECT_TRUE(summary) << (summary ? "" : summary.error().text());
    });
  }
  for (std::thread& rank : ranks) rank.join();
  ASSERT_EQ(first.size(), alone.size());
  for (size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(first[i], alone[i], 1e-4) << i;
}

TEST_F(Sight, RowsThatCannotBeSeenAreRefusedByFileAndRow) {
  const std::string user = R"({"messages": [{"role": "user", "content": ")";
  const auto row = [&](const std::string& text, const std::string& images) {
    return user + text + R"("}, )" + kAnswer + R"(], "images": [)" + images + "]}";
  };
  for (const auto& [bad, words] : std::vector<std::pair<std::string, std::string>>{
           {row("<|image_1|>", R"("pictures/none.png")"), "none.png"},
           {row("<|image_1|>", R"("see.jsonl")"), "see.jsonl"},
           {row("what?", R"("pictures/plain.png")"), "0 times <|image_1|>"},
           {row("<|image_1|> <|image_1|>", R"("pictures/plain.png")"), "2 times <|image_1|>"},
           {row("<|image_1|> <|image_2|>", R"("pictures/plain.png")"), "names <|image_2|>"},
           {row("<|image_1|> <|image_3|>", R"("pictures/plain.png")"), "names <|image_3|>"},
           {row("<|image_1|> <|image_01|>", R"("pictures/plain.png")"), "names <|image_01|>"},
           {R"({"messages": [{"role": "user", "content": "which?"}, {"role": "assistant", "content": "<|image_1|>"}], )"
            R"("images": ["pictures/plain.png"]})",
            "<|image_1|> in an answer"},
           {row("<|image_1|>", "7"), "'images'"}}) {
    const std::string found = why_not(row("<|image_1|>", R"("pictures/plain.png")") + "\n" + bad);
    EXPECT_THAT(found, HasSubstr("other.jsonl")) << bad;
    EXPECT_THAT(found, testing::ContainsRegex("row 2|line 2")) << bad;
    EXPECT_THAT(found, HasSubstr(words));
    EXPECT_EQ(found.find('\n'), std::string::npos);
  }
  VisionConfig narrow = tiny_run("narrow");
  narrow.sequence_tokens = 8;
  const auto found = train_vision(narrow, {});
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().text(), HasSubstr("see.jsonl, row 1"));
  EXPECT_THAT(found.error().text(), HasSubstr("data.sequence_tokens, 8"));
}

TEST_F(Sight, StagesOfTextAloneRefuseAModelThatSees) {
  const std::string seeing = (fs::path(PHIAL_TESTDATA) / "golden" / "phi3-vision-like").string();
  PretrainConfig trained;
  trained.model_start = seeing;
  trained.out = path("pretrained").string();
  const auto pretrained = pretrain(trained, {});
  ASSERT_FALSE(pretrained);
  EXPECT_THAT(pretrained.error().text(), HasSubstr("a model that sees"));

  ExtendConfig longer;
  longer.model_start = seeing;
  longer.out = path("extended").string();
  const auto extended = extend(longer, {});
  ASSERT_FALSE(extended);
  EXPECT_THAT(extended.error().text(), HasSubstr("a model that sees"));
}

// Whether a step has pictures or, as others here, texts alone that reach nothing that is trained.
TEST_F(Sight, ADecoderThatStaysMakesNothingOfTextsAlone) {
  VisionConfig config = tiny_run("out");
  config.decoder_rate = 0;
  config.sequence_tokens = 40;  // a conversation a row
  config.rows = 1;
  config.epochs = 2;
  const auto found = train_vision(config, {});
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->steps, 10);  // an epoch: four rows with a picture, one of texts
}

TEST_F(Sight, RecomputedLayersHaveTheSameGradients) {
  VisionConfig config = tiny_run("plain");
  config.epochs = 1;
  ASSERT_TRUE(train_vision(config, {}));
  config.recompute_layers = true;
  config.out = path("again").string();
  ASSERT_TRUE(train_vision(config, {}));
  EXPECT_EQ(model_bytes("again"), model_bytes("plain"));
}

// The eye stays to the bit: where no row has a picture, whatever the decay, and where its rates are 0.
TEST_F(Sight, TuningLeavesTheEyeWhereItIsNotReachedOrHasNoRate) {
  VisionConfig config = tiny_run("first");
  config.epochs = 1;
  const auto first = train_vision(config, {});
  ASSERT_TRUE(first) << first.error().text();
  Json preprocessor = *read_json_if_there(first->model / "preprocessor_config.json");
  preprocessor["auto_map"] = {{"AutoProcessor", "processing_phi3_v.Phi3VProcessor"}};
  ASSERT_TRUE(write_json_file(first->model / "preprocessor_config.json", preprocessor, 2));
  for (const std::string data : {"texts.jsonl", "see.jsonl"}) {
    SftConfig tuning;
    tuning.model_start = first->model.string();
    tuning.files = {path(data).string()};
    tuning.sequence_tokens = 96;
    tuning.rows = 2;
    tuning.lr = 1e-2;
    tuning.weight_decay = 0.5;
    tuning.epochs = 2;
    tuning.device = "cpu";
    tuning.threads = 1;
    if (data == "see.jsonl") tuning.encoder_rate = tuning.projector_rate = 0;
    tuning.out = path("tuned-" + data).string();
    const auto tuned = sft(tuning, {});
    ASSERT_TRUE(tuned) << tuned.error().text();
    const auto before = formats::Checkpoint::open(first->model), after = formats::Checkpoint::open(tuned->model);
    ASSERT_TRUE(before && after);
    for (const formats::Tensor& tensor : before->tensors()) {
      const formats::Tensor* other = after->find(tensor.name);
      ASSERT_NE(other, nullptr) << tensor.name;
      EXPECT_EQ(std::ranges::equal(tensor.bytes, other->bytes), tensor.name.starts_with(spec::kVisionPrefix))
          << tensor.name << data;
    }
    EXPECT_EQ(*read_json_if_there(tuned->model / "preprocessor_config.json"), preprocessor);
  }
}

// A picture that is gone at one of the ranks only: the one that has its row says which, the others that it could not.
TEST_F(Sight, APictureThatChangesEndsTheRunOfAllRanks) {
  VisionConfig config = tiny_run("out");
  config.files = {path("see.jsonl").string()};
  config.sequence_tokens = 40;
  config.rows = 1;
  config.accumulate = 2;
  config.epochs = 4;
  const auto store = new_launcher_store();
  std::vector<std::string> said(2);
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([&, rank, own = config]() mutable {
      own.world = world_at(*store, rank, 2);
      own.peer_timeout = 60;
      RunHooks hooks;
      if (rank == 0) {
        hooks.report = [&](const StepReport& report) {
          if (report.step == 2) fs::remove(path("pictures") / "plain.png");
        };
      }
      const auto summary = train_vision(own, hooks);
      said[static_cast<size_t>(rank)] = summary ? "it runs" : summary.error().text();
    });
  }
  for (std::thread& rank : ranks) rank.join();
  EXPECT_THAT(said, testing::Contains(HasSubstr("plain.png")));
  for (const std::string& each : said) {
    EXPECT_THAT(each, testing::AnyOf(HasSubstr("plain.png"), HasSubstr("could not go on")));
  }
}

TEST_F(Sight, AModelWithoutWeightsIsDrawnFromItsConfiguration) {
  VisionConfig config = tiny_run("first");
  config.epochs = 1;
  const auto first = train_vision(config, {});
  ASSERT_TRUE(first);
  VisionConfig drawn = config;
  drawn.model_start.clear();
  drawn.model_config = (first->model / "config.json").string();
  drawn.image_side = drawn.patch_side = drawn.layers = drawn.hidden_dim = drawn.ffn_dim = drawn.heads = 0;
  drawn.out = path("drawn").string();
  const auto second = train_vision(drawn, {});
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_EQ(second->parameters, first->parameters);
  // A language model gets the eye that the configuration describes.
  drawn.model_start = config.model_start;
  drawn.out = path("given").string();
  const auto given = train_vision(drawn, {});
  ASSERT_TRUE(given) << given.error().text();
  EXPECT_EQ(given->parameters, first->parameters);
  drawn.model_start.clear();
  drawn.layers = 3;
  drawn.out = path("other").string();
  const auto refused = train_vision(drawn, {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("vision.layers is 3"));
}

}  // namespace
}  // namespace phial::train

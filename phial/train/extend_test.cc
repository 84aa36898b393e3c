// Extending a context as a whole run, over a model of two layers with a context of 32 tokens.
#include "phial/train/extend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "phial/base/json_file.h"
#include "phial/base/mapped_file.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/formats/token_shards.h"
#include "phial/train/golden_networks_for_test.h"
#include "phial/train/long_rope.h"
#include "phial/train/save.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

class Extend : public testing::Test {
 protected:
  Extend() {
    write_start("start", config_json());
    write_shard("train.tokens", 300, 1);
    write_shard("held_out.tokens", 300, 2);
  }

  fs::path path(const std::string& name) const { return folder_ / name; }

  static Json config_json() {
    Json config = *read_json_if_there(model::golden("phi3-mini-like") / "config.json");
    config.update({{"hidden_size", 32},
                   {"intermediate_size", 64},
                   {"num_hidden_layers", 2},
                   {"num_attention_heads", 2},
                   {"num_key_value_heads", 2},
                   {"max_position_embeddings", 32},
                   {"original_max_position_embeddings", 32},
                   {"sliding_window", nullptr}});
    return config;
  }
  void write_start(const std::string& name, const Json& config) const {
    const auto spec = spec::decoder_from_config(config);
    ASSERT_TRUE(spec) << spec.error().text();
    const auto parameters = new_parameters(*spec, std::nullopt, {.sigma = 0.1}, 5);
    ASSERT_TRUE(write_model_folder(path(name), *spec, config, parameters, tensor::DType::kF32,
                                   model::golden("phi3-mini-like")));
  }
  // Documents that count, of so many tokens.
  void write_shard(const std::string& name, size_t tokens, uint64_t seed) const {
    auto writer = formats::TokenShardWriter::create(path(name), {.vocab_size = 384});
    ASSERT_TRUE(writer);
    Random random(seed);
    for (int d = 0; d < 12; ++d) {
      std::vector<int32_t> document(tokens);
      auto id = static_cast<int32_t>(random.below(300));
      for (int32_t& each : document) each = id = 10 + (id - 9) % 300;
      ASSERT_TRUE(writer->append(document));
    }
    ASSERT_TRUE(writer->finish());
  }

  ExtendConfig tiny_run(const std::string& out) const {
    ExtendConfig config;
    config.model_start = path("start").string();
    config.shards = {path("train.tokens").string()};
    config.held_out = {path("held_out.tokens").string()};
    config.lengths = {64, 128};
    config.population = 4;
    config.generations = 2;
    config.samples = 1;
    config.depths = 2;
    config.steps = 8;
    config.warmup_steps = 1;
    config.lr = 1e-2;
    config.snapshot_every = 3;
    config.held_out_rows = 4;
    config.device = "cpu";
    config.threads = 1;
    config.out = path(out).string();
    return config;
  }
  std::string bytes(const std::string& file) const {
    const auto text = read_text_file(path(file));
    EXPECT_TRUE(text) << file;
    return text ? *text : file;
  }
  static std::string error_of(const ExtendConfig& config) {
    const auto done = extend(config, {});
    return done ? "no error" : done.error().text();
  }

  const TempFolder folder_;
};

TEST_F(Extend, AModelGetsALongerContextAndIsMeasuredBeforeAndAfter) {
  const auto summary = extend(tiny_run("out"), {});
  ASSERT_TRUE(summary) << summary.error().text();
  EXPECT_EQ(summary->steps, 8);
  EXPECT_THAT(summary->table, HasSubstr("tokens   before searched    after"));
  const auto told = read_json_if_there(path("out/extension.json"));
  ASSERT_TRUE(told);
  EXPECT_EQ((*told)["lengths"], Json({32, 64, 128}));
  const Json& measured = (*told)["measured"];
  for (const char* name : {"before", "searched", "after"}) {
    EXPECT_EQ(measured[name]["losses"].size(), 3) << name;
    EXPECT_EQ(measured[name]["passkey"].size(), 3) << name;
    EXPECT_EQ(measured[name]["needle"][2].size(), 2) << name;
  }
  EXPECT_EQ(measured["before"]["passkey"][0][0], nullptr) << "no prompt has 32 tokens";
  EXPECT_LT(measured["after"]["losses"][2], measured["searched"]["losses"][2]);
  EXPECT_THAT(bytes("out/extension.html"), HasSubstr("<svg class=\"heat\""));
  EXPECT_TRUE(fs::exists(path("out/model/tokenizer.model")));
  const std::pair<std::string, double> last = {"loss_128_after", measured["after"]["losses"][2]};
  EXPECT_THAT(summary->metrics, Contains(last));
}

TEST_F(Extend, WhatIsWrittenRunsWithTheTrainedNetworksLogitsOnBothSidesOfTheOldContext) {
  ASSERT_TRUE(extend(tiny_run("out"), {}));
  const auto config = read_json_if_there(path("out/model/config.json")),
             search = read_json_if_there(path("out/rope_search.json"));
  ASSERT_TRUE(config);
  EXPECT_EQ((*config)["max_position_embeddings"], 128);
  EXPECT_EQ((*config)["original_max_position_embeddings"], 32);
  EXPECT_EQ((*config)["rope_scaling"], (Json{{"type", "longrope"},
                                             {"short_factor", std::vector<int>(8, 1)},
                                             {"long_factor", (*search)["best"]["factors"]}}));
  ThreadPool pool(2);
  const auto decoder = model::load_model(path("out/model"), model::Precision::kExact, pool);
  ASSERT_NE(decoder, nullptr);
  EXPECT_FLOAT_EQ(decoder->spec().long_rope.long_attention_factor, std::sqrt(1 + std::log(4.0F) / std::log(32.0F)));
  const Network network = load_network(path("out/model"));
  const at::NoGradGuard no_grad;
  for (const size_t length : {20, 32, 33, 128}) {
    const auto ids = model::long_text(length, 384);
    const auto table = choose_rope_table(decoder->spec(), spec::RopePolicy::kDynamic, static_cast<int>(length));
    EXPECT_EQ(table == spec::RopeTable::kLong, length > 32);
    const auto wanted = model::run_all(*decoder, ids, table);
    const at::Tensor found = network.logits(one_row(ids, table)).contiguous();
    const std::span<const float> all(found.data_ptr<float>(), static_cast<size_t>(found.numel()));
    EXPECT_LE(model::largest_difference(all, wanted), 1e-4 * found.abs().max().item<double>()) << length;
  }
}

TEST_F(Extend, AStoppedRunEndsWithTheBitsOfOneThatWasLeftAlone) {
  ExtendConfig config = tiny_run("whole");
  config.accumulate = 2;
  config.rows = 2;
  ASSERT_TRUE(extend(config, {}));
  config.out = path("cut").string();
  // In the search, twice; in both parts of the steps; while it is measured.
  for (const int64_t stop_after : {-3, -5, 2, 5, -1}) {
    std::stop_source stop;
    const RunHooks hooks = {.report =
                                [&](const StepReport& report) {
                                  if (report.step == stop_after) stop.request_stop();
                                },
                            .prepares =
                                [&](std::string_view, int64_t done, int64_t) {
                                  if (done == -stop_after) stop.request_stop();
                                },
                            .stop = stop.get_token()};
    const auto stopped = extend(config, hooks);
    ASSERT_FALSE(stopped) << stop_after;
    EXPECT_EQ(stopped.error().code, Code::kCancelled) << stop_after;
  }
  ASSERT_TRUE(extend(config, {}));
  EXPECT_EQ(bytes("cut/model/model.safetensors"), bytes("whole/model/model.safetensors"));
  EXPECT_EQ(bytes("cut/rope_search.json"), bytes("whole/rope_search.json"));
  EXPECT_EQ(bytes("cut/extension.json"), bytes("whole/extension.json"));
}

TEST_F(Extend, AConfigurationThatMakesNoSenseIsAnErrorBeforeTheSearch) {
  const auto error = [&](auto change) {
    ExtendConfig config = tiny_run("out");
    change(config);
    return error_of(config);
  };
  EXPECT_THAT(error([](ExtendConfig& c) { c.lengths = {32}; }),
              HasSubstr("32.0 is no whole number of tokens above 32, the context of the model"));
  EXPECT_THAT(error([](ExtendConfig& c) { c.lengths = {64, 64}; }), HasSubstr("above 64"));
  EXPECT_THAT(error([](ExtendConfig& c) { c.lengths = {64.5}; }), HasSubstr("64.5 is no whole number"));
  EXPECT_THAT(error([](ExtendConfig& c) { c.held_out = {}; }), HasSubstr("data.held_out names no shard"));
  EXPECT_THAT(error([](ExtendConfig& c) { c.shards = {}; }), HasSubstr("no shard is named"));
  EXPECT_THAT(error([](ExtendConfig& c) { c.lengths = {8192}; }),
              AllOf(HasSubstr("no window of 8192 tokens"), HasSubstr("or a smaller extend.lengths")));
  EXPECT_THAT(error([](ExtendConfig& c) { c.rows = int64_t{1} << 62; }), HasSubstr("more than 1e18 tokens"));
  EXPECT_THAT(error([](ExtendConfig& c) { c.world.size = 2; }), HasSubstr("not extended by 2 processes"));
  EXPECT_THAT(error([](ExtendConfig& c) { c.model_start = ""; }), HasSubstr("no model is named"));
  EXPECT_THAT(error([](ExtendConfig& c) { c.out = ""; }), HasSubstr("give run.out"));
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_F(Extend, AModelWhoseContextCannotGrowIsRefused) {
  const auto error_with = [&](const Json& changes) {
    Json config = config_json();
    config.update(changes);
    fs::remove_all(path("other"));
    write_start("other", config);
    ExtendConfig run = tiny_run("out");
    run.model_start = path("other").string();
    return error_of(run);
  };
  const Json factors = std::vector<int>(8, 1);
  EXPECT_THAT(
      error_with({{"rope_scaling", {{"type", "longrope"}, {"short_factor", factors}, {"long_factor", factors}}}}),
      HasSubstr("rotary scaling already"));
  EXPECT_THAT(
      error_with({{"max_position_embeddings", 128},
                  {"rope_scaling", {{"type", "longrope"}, {"short_factor", factors}, {"long_factor", factors}}}}),
      HasSubstr("rotary scaling already"))
      << "not that the lengths are too small";
  EXPECT_THAT(error_with({{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}}),
              HasSubstr("rotary scaling already"));
  EXPECT_THAT(error_with({{"sliding_window", 64}}), HasSubstr("sliding window of 64 tokens"));
  EXPECT_THAT(error_with({{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"}}),
              HasSubstr("the context of llama models is not extended"));
}

TEST_F(Extend, ShortDocumentsAreWarnedOfAndNotSearchedBy) {
  write_shard("short.tokens", 40, 3);
  ExtendConfig config = tiny_run("out");
  config.shards = {path("short.tokens").string()};
  std::string warned;
  const auto done = extend(config, {.log = [&](Severity severity, std::string_view text) {
                             if (severity == Severity::kWarning) warned += text;
                           }});
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_THAT(warned, HasSubstr("of 3 rows of 128 tokens 0 have a document that fills the half"));
  config.held_out = config.shards;
  config.out = path("other").string();
  EXPECT_THAT(error_of(config), HasSubstr("there is nothing to search factors by"));
}

TEST_F(Extend, DocumentsUpToTheOldContextAreShortHoweverMuchOfARowTheyFill) {
  write_shard("short.tokens", 30, 3);
  ExtendConfig config = tiny_run("out");
  config.lengths = {48};
  config.held_out = {path("short.tokens").string()};
  EXPECT_THAT(error_of(config), HasSubstr("no row of 48 tokens with a document that fills the half of it and more"));
}

TEST_F(Extend, ARunGoesOnOnlyWithAsManyStepsAndTheHeldOutTextThatItBeganWith) {
  ExtendConfig config = tiny_run("out");
  ASSERT_TRUE(extend(config, {}));
  config.steps = 16;
  EXPECT_THAT(error_of(config), HasSubstr("the run in this folder began with data.samples = 8, not 16"));
  config.steps = 8;
  fs::remove(path("held_out.tokens"));
  write_shard("held_out.tokens", 300, 9);  // documents as long, with other tokens
  EXPECT_THAT(error_of(config), HasSubstr("is of a search with another model, data or fields"));
}

// The newer way of writing it, which transformers reads as well.
TEST_F(Extend, RotaryParametersStayWhereTheyStand) {
  Json config = config_json();
  config["rope_parameters"] = {{"type", "default"}, {"rope_type", "default"}, {"rope_theta", 5000.0}, {"factor", 1.0}};
  const auto spec = spec::decoder_from_config(config);
  ASSERT_TRUE(spec);
  const std::vector<float> factors = {1, 1, 2, 2, 3, 3, 4, 4};
  const Json written = with_long_rope(config, *spec, 128, factors);
  EXPECT_EQ(written["rope_parameters"].size(), 5) << "nothing of the old scaling stays but the base";
  const auto longer = spec::decoder_from_config(written);
  ASSERT_TRUE(longer) << longer.error().text();
  EXPECT_EQ(longer->rope_theta, 5000);
  EXPECT_EQ(longer->context, 128);
  EXPECT_EQ(longer->long_rope.original_context, 32);
  EXPECT_EQ(longer->long_rope.long_factors, factors);
}

TEST_F(Extend, TheBaseStaysWhereTheOlderWayHadItInTheScaling) {
  Json config = config_json();
  config["rope_scaling"] = {{"type", "default"}, {"rope_theta", 5000.0}, {"partial_rotary_factor", 0.5}};
  const auto spec = spec::decoder_from_config(config);
  ASSERT_TRUE(spec) << spec.error().text();
  const Json written = with_long_rope(config, *spec, 128, std::vector<float>(4, 2));
  EXPECT_EQ(written["rope_scaling"].size(), 3);
  const auto longer = spec::decoder_from_config(written);
  ASSERT_TRUE(longer) << longer.error().text();
  EXPECT_EQ(longer->rope_theta, 5000);
  EXPECT_EQ(longer->rope_dims, spec->rope_dims);
}

}  // namespace
}  // namespace phial::train

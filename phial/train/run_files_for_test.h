// A tiny model, data that can be learned, and runs over both. For tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/base/random.h"
#include "phial/formats/token_shards.h"
#include "phial/train/pretrain.h"

namespace phial::train {

// Of the model that a run left in its folder.
inline std::string bytes_of_model(const std::filesystem::path& run) {
  auto text = read_text_file(run / "model" / "model.safetensors");
  EXPECT_TRUE(text) << run;
  return text ? *text : run.string();
}

class RunFiles : public testing::Test {
 protected:
  RunFiles() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::ofstream(path("config.json")) << dump_json(config_json());
    write_shard(path("data.tokens"));
  }
  ~RunFiles() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path path(const std::string& name) const { return folder_ / name; }

  // Twelve steps of four rows.
  PretrainConfig tiny_run(const std::string& out) const {
    PretrainConfig config;
    config.model_config = path("config.json").string();
    config.shards = {path("data.tokens").string()};
    config.out = path(out).string();
    config.sequence_tokens = 32;
    config.rows = 4;
    config.steps = 12;
    config.warmup_steps = 3;
    config.lr = 1e-2;
    config.snapshot_every = 4;
    config.device = "cpu";  // whose bits are the same every time
    config.threads = 1;
    return config;
  }

  std::vector<double> losses_of(const std::string& out) const {
    std::vector<double> losses;
    std::ifstream lines(path(out) / "metrics.jsonl");
    for (std::string line; std::getline(lines, line);) losses.push_back((*parse_json(line))["loss"]);
    return losses;
  }
  std::string model_bytes(const std::string& out) const { return bytes_of_model(path(out)); }
  // Oldest first.
  std::vector<std::filesystem::path> snapshots(const std::string& out) const {
    std::vector<std::filesystem::path> all;
    for (const auto& entry : std::filesystem::directory_iterator(path(out) / "snapshots")) all.push_back(entry.path());
    std::sort(all.begin(), all.end());
    return all;
  }
  static void cut_in_half(const std::filesystem::path& file) {
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  }

  // Documents that count upwards from anywhere, of random lengths.
  static void write_shard(const std::filesystem::path& file, uint64_t vocabulary_hash = 0, uint64_t n_tokens = 4000) {
    std::filesystem::remove(file);
    auto writer = formats::TokenShardWriter::create(file, {.vocab_size = 64, .vocabulary_hash = vocabulary_hash});
    ASSERT_TRUE(writer);
    Random random(1);
    while (writer->n_tokens() < n_tokens) {
      std::vector<int32_t> document(5 + random.below(60));
      auto id = static_cast<int32_t>(random.below(64));
      for (int32_t& each : document) each = id = (id + 1) % 64;
      ASSERT_TRUE(writer->append(document));
    }
    ASSERT_TRUE(writer->finish());
  }

 private:
  static Json config_json() {
    return {{"architectures", {"Phi3ForCausalLM"}},
            {"model_type", "phi3"},
            {"vocab_size", 64},
            {"hidden_size", 32},
            {"intermediate_size", 64},
            {"num_hidden_layers", 2},
            {"num_attention_heads", 4},
            {"num_key_value_heads", 2},
            {"max_position_embeddings", 64},
            {"sliding_window", nullptr},
            {"rms_norm_eps", 1e-5},
            {"pad_token_id", 0}};
  }
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      ("phial-run-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
};

}  // namespace phial::train

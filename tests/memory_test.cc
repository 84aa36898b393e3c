// A model that does not fit into memory is refused with what would fit, and that fits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/safetensors_writer.h"
#include "tests/process.h"

namespace phial::tests {
namespace {

using testing::HasSubstr;

constexpr uint64_t kHidden = 64, kFfn = 64, kVocab = 384, kHeads = 128, kHeadDim = 512;
constexpr int kContext = 1 << 26;

// A Llama of zeros, small but for its heads: keys and values of its whole context take 17 TB.
std::filesystem::path write_wide_model(const Home& home) {
  Json config = *parse_json(*read_text_file(testdata("golden/llama-like/config.json")));
  config["max_position_embeddings"] = kContext;
  config["num_hidden_layers"] = 1;
  config["num_attention_heads"] = config["num_key_value_heads"] = kHeads;
  config["head_dim"] = kHeadDim;
  config["intermediate_size"] = kFfn;
  const auto folder = home.write("config.json", dump_json(config)).parent_path();

  constexpr uint64_t kAttended = kHeads * kHeadDim;
  const std::string layer = "model.layers.0.";
  const std::map<std::string, std::vector<uint64_t>> shapes = {
      {"model.embed_tokens.weight", {kVocab, kHidden}},
      {"model.norm.weight", {kHidden}},
      {layer + "input_layernorm.weight", {kHidden}},
      {layer + "post_attention_layernorm.weight", {kHidden}},
      {layer + "mlp.gate_proj.weight", {kFfn, kHidden}},
      {layer + "mlp.up_proj.weight", {kFfn, kHidden}},
      {layer + "mlp.down_proj.weight", {kHidden, kFfn}},
      {layer + "self_attn.q_proj.weight", {kAttended, kHidden}},
      {layer + "self_attn.k_proj.weight", {kAttended, kHidden}},
      {layer + "self_attn.v_proj.weight", {kAttended, kHidden}},
      {layer + "self_attn.o_proj.weight", {kHidden, kAttended}},
  };
  const std::vector<std::byte> zeros(kAttended * kHidden * sizeof(uint16_t));
  std::vector<formats::NewTensor> tensors;
  for (const auto& [name, shape] : shapes) {
    const uint64_t count = shape.size() == 1 ? shape[0] : shape[0] * shape[1];
    tensors.push_back({.name = name,
                       .dtype = tensor::DType::kF16,
                       .shape = shape,
                       .pieces = {{.dtype = tensor::DType::kF16, .bytes = zeros.data(), .count = count}}});
  }
  EXPECT_TRUE(formats::write_safetensors(folder / "model.safetensors", std::move(tensors), {}));
  return folder;
}

TEST(Memory, AContextThatFitsIntoNoMachineIsRefusedWithTheOneThatFits) {
  const Home home;
  const std::string model = write_wide_model(home).string();
  const auto generate = [&](int context) {
    return home.run({"generate", "--model", model, "--ids", "1,2,3", "-n", "4", "--greedy", "--ignore-end", "--json",
                     "--context", std::to_string(context)});
  };
  const Finished refused = generate(kContext);
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, HasSubstr("phial: error: the model does not fit into memory, "));
  EXPECT_THAT(refused.err, HasSubstr(" of keys and values in f16 for " + std::to_string(kContext) + " tokens, "));
  const std::string remedy = " (" + model + "): give --context ";
  const size_t at = refused.err.find(remedy);
  ASSERT_NE(at, std::string::npos) << refused.err;
  const int fits = std::stoi(refused.err.substr(at + remedy.size()));
  ASSERT_GT(fits, 8);
  // Not to the last byte: other programs take memory meanwhile.
  const Finished finished = generate(fits / 2);
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ((*parse_json(finished.out))["ids"].size(), 4U);
}

}  // namespace
}  // namespace phial::tests

#include "phial/spec/tensors.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "phial/spec/variants.h"

namespace phial::spec {
namespace {

TEST(DecoderTensors, HoldAsManyWeightsAsTheModel) {
  for (const DecoderSpec& spec : variants()) {
    uint64_t weights = 0;
    std::set<std::string> names;
    for (const DecoderTensor& tensor : decoder_tensors(spec)) {
      weights += static_cast<uint64_t>(
          std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>()));
      EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
    }
    EXPECT_EQ(weights, parameters(spec)) << spec.name;
  }
}

TEST(DecoderTensors, AreSplitWhereLlamaSplitsThem) {
  DecoderSpec spec = variants()[0];
  spec.architecture = "llama";
  std::set<std::string> names;
  for (const DecoderTensor& tensor : decoder_tensors(spec)) names.insert(tensor.name);
  for (const char* name :
       {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"}) {
    EXPECT_TRUE(names.contains("model.layers.3." + std::string(name) + ".weight")) << name;
  }
  EXPECT_FALSE(names.contains("model.layers.3.self_attn.qkv_proj.weight"));
}

}  // namespace
}  // namespace phial::spec

// The models of testdata/golden for the tests of the engine.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "phial/generate/engine.h"

namespace phial::generate {

inline constexpr const char* kGoldenModels[] = {"phi3-mini-like", "phi3-medium-like", "phi3-128k-like",
                                                "llama-like",     "llama-biased",     "phi3-partial"};

// As GoogleTest wants the names of parameters.
inline std::string name_of_golden(const testing::TestParamInfo<const char*>& model) {
  std::string name = model.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(PHIAL_TESTDATA) / "golden" / name;
}

inline std::unique_ptr<Engine> open(const std::filesystem::path& path, ThreadPool& pool, const EngineOptions& options) {
  auto engine = Engine::open(path, options, pool);
  EXPECT_TRUE(engine) << engine.error().text();
  return engine ? *std::move(engine) : nullptr;
}

inline GenerateRequest request_of(std::vector<int32_t> ids, int n, const SamplingOptions& sampling = {}) {
  GenerateRequest request;
  request.ids = std::move(ids);
  request.max_tokens = n;
  request.ignore_end = true;
  request.top_logprobs = 2;
  request.sampling = sampling;
  return request;
}

// To the bit.
inline void expect_same(const Generation& found, const Generation& wanted) {
  EXPECT_EQ(found.ids, wanted.ids);
  EXPECT_EQ(found.text, wanted.text);
  EXPECT_EQ(found.stop, wanted.stop);
  ASSERT_EQ(found.logprobs.size(), wanted.logprobs.size());
  for (size_t i = 0; i < wanted.logprobs.size(); ++i) {
    EXPECT_EQ(found.logprobs[i].id, wanted.logprobs[i].id) << i;
    EXPECT_EQ(found.logprobs[i].logprob, wanted.logprobs[i].logprob) << i;
    EXPECT_EQ(found.logprobs[i].best, wanted.logprobs[i].best) << i;
  }
}

}  // namespace phial::generate

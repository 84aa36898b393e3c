// The models of testdata/golden for the tests of the engine.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

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

}  // namespace phial::generate

// For tests: the models that Phial answers and searches with by default. They are too large for the tree, so a test of
// them runs where PHIAL_MODELS names the folder that scripts/models fills; `make test` sees to both.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace phial {

class DefaultModels : public testing::Test {
 protected:
  void SetUp() override {
    if (models().empty()) {
      GTEST_SKIP() << "the default models are not in the tree: run scripts/models FOLDER and set PHIAL_MODELS=FOLDER, "
                      "or run make test, which does both";
    }
  }

  static std::filesystem::path models() {
    const char* folder = std::getenv("PHIAL_MODELS");  // NOLINT(concurrency-mt-unsafe)
    return folder == nullptr ? "" : folder;
  }
  static std::filesystem::path smollm2() { return models() / "SmolLM2-135M-Instruct.Q4_1.gguf"; }
  static std::filesystem::path minilm() { return models() / "all-MiniLM-L6-v2"; }
};

}  // namespace phial

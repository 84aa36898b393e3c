#include "phial/quantize/run_log.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace phial::quantize {
namespace {

using formats::NewTensor;
using tensor::DType;

class RunLog : public testing::Test {
 protected:
  LoggedRun read(const std::string& text, bool has_calibration = true) const {
    return read_run_log(text, asked_, tensors_, 3, has_calibration);
  }
  std::string first_line(std::span<const Choice> choices) const {
    return dump_json(run_log_line(asked_, choices)) + "\n";
  }

  const std::array<NewTensor, 2> tensors_ = {
      NewTensor{.name = "blk.2.ffn_down.weight", .dtype = DType::kF16, .shape = {32, 96}, .pieces = {}},
      NewTensor{.name = "blk.2.attn_norm.weight", .dtype = DType::kF32, .shape = {32}, .pieces = {}}};
  const Json asked_ = {{"to", "Q4_0"}};
  const std::vector<Choice> choices_ = choose_types(tensors_, DType::kQ4_0, 3);
  const TensorReport first_ = {.name = "blk.2.ffn_down.weight",
                               .reason = {},
                               .shape = {32, 96},
                               .type = DType::kQ4_0,
                               .weights = 3072,
                               .bytes = 1728,
                               .is_quantized = true,
                               .is_calibrated = true,
                               .deviation = {.error = 0.1, .reference = 3, .output_error = 0.3, .output_reference = 7}};
};

TEST_F(RunLog, GivesBackWhatARunWrote) {
  const std::string text = first_line(choices_) + dump_json(run_log_line(first_)) + "\n";
  const LoggedRun run = read(text + "{\"name\":");
  ASSERT_TRUE(run.choices);
  EXPECT_EQ(run.bytes, text.size());
  EXPECT_EQ((*run.choices)[0].type, DType::kQ4_0);
  EXPECT_EQ((*run.choices)[0].inputs, (Inputs{2, model::InputsOf::kDown}));
  EXPECT_EQ((*run.choices)[1].type, DType::kF32);
  ASSERT_EQ(run.whole.size(), 1U);
  EXPECT_EQ(run.whole[0].bytes, first_.bytes);
  EXPECT_EQ(run.whole[0].weights, first_.weights);
  EXPECT_TRUE(run.whole[0].is_calibrated);
  EXPECT_EQ(run.whole[0].deviation.relative_output(), first_.deviation.relative_output());
}

TEST_F(RunLog, LinesWithoutAllTheNumbersOfARunCountForNothing) {
  const Json whole = run_log_line(first_);
  std::vector<Json> lines = {{{"name", first_.name}}};
  for (const char* key : {"calibrated", "error", "reference", "output_error", "output_reference"}) {
    lines.push_back(whole);
    lines.back().erase(key);
    for (const Json& value : {Json(-1), Json("1"), Json()}) {
      lines.push_back(whole);
      lines.back()[key] = value;
    }
  }
  for (const Json& line : lines) {
    const std::string text = dump_json(line);
    const LoggedRun run = read(first_line(choices_) + text + "\n");
    EXPECT_TRUE(run.whole.empty()) << text;
    EXPECT_EQ(run.bytes, first_line(choices_).size()) << text;
  }
  EXPECT_TRUE(read(first_line(choices_) + R"({"name": "blk.2.ffn_down.weight", "calibrated": true, "error": 1e999,)"
                                          R"("reference": 3, "output_error": 0.3, "output_reference": 7})"
                                          "\n")
                  .whole.empty());
}

TEST_F(RunLog, OnlyMatricesWithInputsAreCalibratedAndOnlyByARunThatCalibrates) {
  const std::string before = first_line(choices_) + dump_json(run_log_line(first_)) + "\n";
  EXPECT_TRUE(read(before, false).whole.empty());
  TensorReport plain = first_;
  plain.is_calibrated = false;
  EXPECT_TRUE(read(first_line(choices_) + dump_json(run_log_line(plain)) + "\n").whole.empty());
  plain.deviation.output_error = plain.deviation.output_reference = 0;
  EXPECT_EQ(read(first_line(choices_) + dump_json(run_log_line(plain)) + "\n", false).whole.size(), 1U);
  TensorReport norm;
  norm.name = tensors_[1].name;
  EXPECT_EQ(read(before + dump_json(run_log_line(norm)) + "\n").whole.size(), 2U);
  norm.is_calibrated = true;
  EXPECT_EQ(read(before + dump_json(run_log_line(norm)) + "\n").whole.size(), 1U);
}

TEST_F(RunLog, TheInputsOfAMatrixAreItsOwnWhateverTheLogSays) {
  Json line = run_log_line(asked_, choices_);
  line["choices"][0]["inputs"] = {{"layer", 0}, {"which", 0}};
  const LoggedRun run = read(dump_json(line) + "\n");
  ASSERT_TRUE(run.choices);
  EXPECT_EQ((*run.choices)[0].inputs, choices_[0].inputs);
}

TEST_F(RunLog, TypesThatNoRunWouldChooseCountForNothing) {
  for (const size_t i : {0, 1}) {
    for (const DType type : {DType::kF16, DType::kQ6_K, i == 0 ? DType::kF32 : DType::kQ4_0}) {
      std::vector<Choice> choices = choices_;
      choices[i].type = type;
      const LoggedRun run = read(first_line(choices));
      EXPECT_FALSE(run.choices) << i << ' ' << tensor::info(type).name;
      EXPECT_EQ(run.bytes, 0U);
    }
  }
}

TEST_F(RunLog, WhatWasAskedForSomethingElseCountsForNothing) {
  EXPECT_FALSE(read_run_log(first_line(choices_), {{"to", "Q4_K"}}, tensors_, 3, true).choices);
}

}  // namespace
}  // namespace phial::quantize

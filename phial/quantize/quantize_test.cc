#include "phial/quantize/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "phial/base/random.h"
#include "phial/formats/gguf_writer.h"
#include "phial/model/golden_files.h"
#include "phial/quantize/bits.h"
#include "phial/quantize/unfinished_file.h"
#include "phial/tensor/blocks.h"

namespace phial::quantize {
namespace {

namespace fs = std::filesystem;
using formats::NewTensor;
using tensor::DType;
using testing::HasSubstr;

// The tensors of a GGUF file as they are stored.
std::vector<NewTensor> stored_tensors(const formats::Checkpoint& checkpoint) {
  std::vector<NewTensor> out;
  for (const formats::Tensor& one : checkpoint.tensors()) {
    out.push_back({one.name, one.dtype, one.shape, {{one.dtype, one.bytes.data(), one.elements()}}});
  }
  return out;
}

std::vector<float> decoded(const formats::Checkpoint& checkpoint, const std::string& name) {
  const formats::Tensor* found = checkpoint.find(name);
  if (found == nullptr) return {};
  std::vector<float> out(found->elements());
  tensor::decode_row(found->dtype, found->bytes.data(), 0, out);
  return out;
}

ChooseTypes decided(std::vector<Choice> choices) {
  return [choices = std::move(choices)]() -> Result<std::vector<Choice>> { return choices; };
}

class WriteQuantized : public testing::Test {
 protected:
  void SetUp() override {
    place_ = fs::path(testing::TempDir()) /
             (std::string("phial_quantize_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(place_);
    fs::create_directory(place_);
  }
  void TearDown() override { fs::remove_all(place_); }

  Result<Report> write(const formats::Checkpoint& in, DType to, const char* out, Calibration* calibration = nullptr,
                       int threads = 2) {
    const auto tensors = stored_tensors(in);
    ThreadPool pool(threads);
    return write_quantized({.metadata = in.metadata(), .tensors = tensors, .n_layers = 3},
                           {.path = place_ / out, .asked = {}}, decided(choose_types(tensors, to, 3)), calibration,
                           pool, {}, {});
  }
  std::string bytes(const char* name) const { return *read_text_file(place_ / name); }
  size_t n_left() const { return static_cast<size_t>(std::distance(fs::directory_iterator(place_), {})); }

  fs::path place_;
};

// A file of one matrix of 256 columns among what is not touched.
class OneMatrix : public WriteQuantized {
 protected:
  OneMatrix() : matrix_(16 * 256), norm_(256, 0.5F) {
    Random random(5);
    for (float& weight : matrix_) weight = static_cast<float>(random.uniform() - 0.5);
  }
  std::vector<NewTensor> tensors() const {
    const auto piece = [](const std::vector<float>& values) {
      return formats::Piece{DType::kF32, reinterpret_cast<const std::byte*>(values.data()), values.size()};
    };
    return {{"blk.0.ffn_down.weight", DType::kF32, {16, 256}, {piece(matrix_)}},
            {"blk.0.attn_norm.weight", DType::kF32, {256}, {piece(norm_)}}};
  }
  Result<Report> quantize(DType to, const std::stop_token& stop = {}) {
    const auto all = tensors();
    ThreadPool pool(2);
    return write_quantized({.metadata = {{"general.architecture", "llama"}}, .tensors = all, .n_layers = 1},
                           {.path = place_ / "out.gguf", .asked = {}}, decided(choose_types(all, to, 1)), nullptr, pool,
                           stop, {});
  }
  std::vector<float> matrix_, norm_;
};

TEST_F(OneMatrix, EveryTypeIsWrittenReadAndMeasured) {
  for (const DType to : quantizable_types()) {
    fs::remove(place_ / "out.gguf");
    const auto report = quantize(to);
    ASSERT_TRUE(report) << report.error().text();
    const auto file = model::open_model(place_ / "out.gguf");
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(file->find("blk.0.ffn_down.weight")->dtype, to);
    EXPECT_EQ(file->find("blk.0.attn_norm.weight")->dtype, DType::kF32);
    EXPECT_EQ(decoded(*file, "blk.0.attn_norm.weight"), norm_);
    double error = 0, reference = 0;
    const auto found = decoded(*file, "blk.0.ffn_down.weight");
    for (size_t i = 0; i < matrix_.size(); ++i) {
      error += std::pow(static_cast<double>(found[i]) - matrix_[i], 2);
      reference += std::pow(static_cast<double>(matrix_[i]), 2);
    }
    EXPECT_NEAR(report->tensors[0].deviation.relative(), std::sqrt(error / reference), 1e-9);
    EXPECT_LT(std::sqrt(error / reference), to == DType::kPhialQ3 ? 0.17 : 0.09);
    EXPECT_EQ(report->tensors[0].reason, "");
    const auto& type = tensor::info(to);
    EXPECT_EQ(report->tensors[0].bytes, matrix_.size() / type.block_size * type.block_bytes);
    EXPECT_EQ(report->file_bytes, fs::file_size(place_ / "out.gguf"));
    EXPECT_EQ(n_left(), 1U);
  }
}

TEST_F(OneMatrix, WeightsThatAreNoNumbersAreRefusedByTheTensorsName) {
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    matrix_[700] = bad;
    const auto report = quantize(DType::kQ4_K);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Code::kCorrupt);
    EXPECT_THAT(report.error().message, HasSubstr("'blk.0.ffn_down.weight'"));
    EXPECT_EQ(n_left(), 0U);
  }
}

TEST_F(OneMatrix, WhatIsStoppedLeavesNothingAtItsPlace) {
  std::stop_source stop;
  stop.request_stop();
  const auto report = quantize(DType::kQ4_0, stop.get_token());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kCancelled);
  EXPECT_FALSE(fs::exists(place_ / "out.gguf"));
  ASSERT_TRUE(quantize(DType::kQ4_0));
  EXPECT_EQ(n_left(), 1U);
}

TEST_F(OneMatrix, AnOutputThatIsThereIsLeftAlone) {
  ASSERT_TRUE(quantize(DType::kQ4_0));
  const std::string first = bytes("out.gguf");
  const auto second = quantize(DType::kQ8_0);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("is there already"));
  EXPECT_EQ(bytes("out.gguf"), first);
}

TEST_F(WriteQuantized, WhatIsInTheTypeAlreadyIsCopiedByteForByte) {
  const auto in = model::open_model(model::golden("phi3-mini-like") / "model-q4_0.gguf");
  const auto report = write(*in, DType::kQ4_0, "out.gguf");
  ASSERT_TRUE(report) << report.error().text();
  const auto out = model::open_model(place_ / "out.gguf");
  for (const formats::Tensor& one : in->tensors()) {
    if (one.name == "output.weight") continue;  // gets more bits
    const formats::Tensor* found = out->find(one.name);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->dtype, one.dtype) << one.name;
    EXPECT_TRUE(std::equal(found->bytes.begin(), found->bytes.end(), one.bytes.begin(), one.bytes.end())) << one.name;
  }
  EXPECT_TRUE(is_quantized(stored_tensors(*in)));
  EXPECT_FALSE(is_quantized(stored_tensors(*model::open_model(model::golden("llama-like") / "model.gguf"))));
}

TEST_F(WriteQuantized, AWholeModelRunsAsItsWeightsSay) {
  const auto in = model::open_model(model::golden("phi3-mini-like") / "model.gguf");
  const auto report = write(*in, DType::kQ8_0, "q8.gguf");
  ASSERT_TRUE(report) << report.error().text();
  ThreadPool pool(2);
  const auto ids = model::long_text(60, 384);
  const auto before = model::load_model(model::golden("phi3-mini-like") / "model.gguf", model::Precision::kExact, pool);
  const auto after = model::load_model(place_ / "q8.gguf", model::Precision::kExact, pool);
  const auto wanted = model::run_all(*before, ids), found = model::run_all(*after, ids);
  const double size = model::rms_difference(wanted, std::vector<float>(wanted.size(), 0.0F));
  EXPECT_LT(model::rms_difference(found, wanted), 0.03 * size);
  const auto file = model::open_model(place_ / "q8.gguf");
  EXPECT_EQ(file->metadata()["general.file_type"], 7);
  EXPECT_EQ(file->metadata()["tokenizer.ggml.tokens"], in->metadata()["tokenizer.ggml.tokens"]);
}

// The calibration of a small model over some ids of its vocabulary.
class Calibrated : public WriteQuantized {
 protected:
  std::string run(const char* name, int threads, uint64_t hessian_bytes) {
    const fs::path path = model::golden("phi3-mini-like") / "model.gguf";
    ThreadPool pool(threads);
    const auto decoder = model::load_model(path, model::Precision::kExact, pool);
    const auto ids = model::long_text(2000, 384);
    Calibration calibration(*decoder, spread_windows(ids, 100, 12), pool, {}, hessian_bytes);
    const auto report = write(*model::open_model(path), DType::kQ4_0, name, &calibration, threads);
    EXPECT_TRUE(report) << (report ? "" : report.error().text());
    if (report) report_ = *report;
    return bytes(name);
  }
  Report report_;
};

TEST_F(Calibrated, NeitherThreadsNorMemoryChangeTheFile) {
  const std::string once = run("one.gguf", 1, kHessianBytes);
  EXPECT_EQ(run("three.gguf", 3, kHessianBytes), once);
  EXPECT_EQ(run("little.gguf", 2, 1), once);
  EXPECT_EQ(run("some.gguf", 2, 20000), once);
}

TEST_F(Calibrated, EveryMatrixButTheEmbeddingIsCalibrated) {
  run("one.gguf", 2, kHessianBytes);
  for (const TensorReport& one : report_.tensors) {
    EXPECT_EQ(one.is_calibrated, one.shape.size() == 2 && one.name != "token_embd.weight") << one.name;
    if (!one.is_calibrated) continue;
    EXPECT_GT(one.deviation.relative_output(), 0) << one.name;
    EXPECT_LT(one.deviation.relative_output(), one.deviation.relative()) << one.name;
  }
}

// Types for a budget, over the calibration of the same model.
TEST_F(Calibrated, NeitherThreadsNorMemoryChangeWhatABudgetBuys) {
  const fs::path path = model::golden("phi3-mini-like") / "model.gguf";
  const auto in = model::open_model(path);
  const auto tensors = stored_tensors(*in);
  const auto chosen = [&](int threads, uint64_t hessian_bytes) {
    ThreadPool pool(threads);
    const auto decoder = model::load_model(path, model::Precision::kExact, pool);
    const auto ids = model::long_text(2000, 384);
    Calibration calibration(*decoder, spread_windows(ids, 100, 12), pool, {}, hessian_bytes);
    const auto choices =
        choose_within({.metadata = in->metadata(), .tensors = tensors, .n_layers = 3}, 4.1, &calibration, pool, {}, {});
    EXPECT_TRUE(choices);
    std::vector<DType> types;
    for (const Choice& one : *choices) types.push_back(one.type);
    // Calibration begins anew for the writing.
    EXPECT_TRUE(write_quantized({.metadata = in->metadata(), .tensors = tensors, .n_layers = 3},
                                {.path = place_ / std::to_string(threads), .asked = {}}, decided(*choices),
                                &calibration, pool, {}, {}));
    return types;
  };
  const auto once = chosen(1, kHessianBytes);
  EXPECT_GT(std::ranges::count(once, DType::kPhialQ4), 0);
  EXPECT_EQ(chosen(3, 20000), once);
  EXPECT_EQ(bytes("1"), bytes("3"));
}

// A run that is stopped within its n-th tensor, and what the next one makes of what it left.
class Stopped : public WriteQuantized {
 protected:
  Stopped()
      : in_(model::open_model(model::golden("phi3-mini-like") / "model.gguf")),
        tensors_(stored_tensors(*in_)),
        ids_(model::long_text(400, 384)) {}

  // `stop_at`: of the tensors whose weights take time; -1: none.
  Result<Report> run(const char* out, const Json& asked, int stop_at = -1) {
    ThreadPool pool(2);
    const auto decoder =
        model::load_model(model::golden("phi3-mini-like") / "model.gguf", model::Precision::kExact, pool);
    Calibration calibration(*decoder, spread_windows(ids_, 100, 4), pool, {});
    std::stop_source stop;
    begun_.clear();
    return write_quantized(
        {.metadata = in_->metadata(), .tensors = tensors_, .n_layers = 3}, {.path = place_ / out, .asked = asked},
        [&]() -> Result<std::vector<Choice>> {
          ++n_chosen_;
          return choose_types(tensors_, DType::kQ4_0, 3);
        },
        &calibration, pool, stop.get_token(),
        [&](const Progress& progress) {
          if (!begun_.empty() && begun_.back() == progress.tensor) return;
          begun_.emplace_back(progress.tensor);
          if (static_cast<int>(begun_.size()) == stop_at) stop.request_stop();
        });
  }
  fs::path log() const { return place_ / ".out.part.log"; }

  std::shared_ptr<const formats::Checkpoint> in_;
  std::vector<NewTensor> tensors_;
  std::vector<int32_t> ids_;
  std::vector<std::string> begun_;
  int n_chosen_ = 0;
};

TEST_F(Stopped, TheNextRunGoesOnWhereItWasAndWritesTheSameFile) {
  const auto whole = run("whole", {{"to", 1}});
  ASSERT_TRUE(whole);
  const auto all = begun_;
  for (const int stop_at : {1, 4, 9, static_cast<int>(all.size())}) {
    fs::remove(place_ / "out");
    ASSERT_FALSE(run("out", {{"to", 1}}, stop_at));
    EXPECT_FALSE(fs::exists(place_ / "out"));
    n_chosen_ = 0;
    const auto report = run("out", {{"to", 1}});
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_EQ(n_chosen_, 0);
    // What was copied without work behind the last quantized tensor is copied again.
    EXPECT_LE(begun_.size(), all.size() - static_cast<size_t>(stop_at) + 4);
    EXPECT_EQ(bytes("out"), bytes("whole"));
    ASSERT_EQ(report->tensors.size(), whole->tensors.size());
    for (size_t i = 0; i < whole->tensors.size(); ++i) {
      EXPECT_EQ(report->tensors[i].name, whole->tensors[i].name);
      EXPECT_EQ(report->tensors[i].bytes, whole->tensors[i].bytes);
      EXPECT_EQ(report->tensors[i].is_calibrated, whole->tensors[i].is_calibrated);
      EXPECT_EQ(report->tensors[i].deviation.relative(), whole->tensors[i].deviation.relative());
      EXPECT_EQ(report->tensors[i].deviation.relative_output(), whole->tensors[i].deviation.relative_output());
    }
    EXPECT_EQ(n_left(), 2U);
  }
}

TEST_F(Stopped, ARunThatIsAskedForSomethingElseBeginsAnew) {
  ASSERT_FALSE(run("out", {{"to", 1}}, 9));
  const auto report = run("out", {{"to", 2}});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(n_chosen_, 2);
  EXPECT_EQ(n_left(), 1U);
}

TEST_F(Stopped, ALogThatWasCutOrOverwrittenCountsUpToThere) {
  ASSERT_TRUE(run("whole", {{"to", 1}}));
  for (const char* tail : {"{\"name\": \"tok", "garbage\n", "{\"name\": \"another\"}\n", "[]\n"}) {
    fs::remove(place_ / "out");
    ASSERT_FALSE(run("out", {{"to", 1}}, 9));
    const std::string text = *read_text_file(log());
    for (const size_t keep : {text.size(), text.rfind('\n', text.size() - 2) + 1, size_t{40}, size_t{0}}) {
      const std::string changed = text.substr(0, keep) + tail;
      ASSERT_TRUE(write_file_atomically(log(), std::as_bytes(std::span(changed))));
      const auto report = run("out", {{"to", 1}}, 10);
      if (!report) {
        ASSERT_EQ(report.error().code, Code::kCancelled) << report.error().text();
        ASSERT_TRUE(run("out", {{"to", 1}}));
      }
      EXPECT_EQ(bytes("out"), bytes("whole"));
      fs::remove(place_ / "out");
      ASSERT_FALSE(run("out", {{"to", 1}}, 9));
    }
    for (const auto& entry : fs::directory_iterator(place_)) {
      if (entry.path().filename() != "whole") fs::remove(entry.path());
    }
  }
}

TEST_F(Stopped, AFileThatIsNoLongerWhatTheLogSaysIsAnErrorOnce) {
  ASSERT_FALSE(run("out", {{"to", 1}}, 9));
  fs::resize_file(place_ / ".out.part", 100);
  const auto report = run("out", {{"to", 1}});
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("(" + (place_ / "out").string() + ")"));
  EXPECT_EQ(n_left(), 0U);
  EXPECT_TRUE(run("out", {{"to", 1}}));
}

TEST_F(Stopped, AFolderLikeNameIsTheNameWithoutItsSlash) {
  const auto report = run("out/", {{"to", 1}});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_TRUE(fs::is_regular_file(place_ / "out"));
  EXPECT_EQ(n_left(), 1U);
}

TEST_F(Stopped, ChoicesThatCannotBeAreNotTakenOver) {
  ASSERT_FALSE(run("out", {{"to", 1}}, 9));
  std::string text = *read_text_file(log());
  for (size_t at = 0; (at = text.find("\"type\":\"Q4_0\"", at)) != std::string::npos;)
    text.replace(at, 13, "\"type\":\"F32\"");
  ASSERT_TRUE(write_file_atomically(log(), std::as_bytes(std::span(text))));
  const auto report = run("out", {{"to", 1}});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(n_chosen_, 2);
}

TEST_F(Stopped, TwoRunsDoNotWriteTheSameFile) {
  const auto first = UnfinishedFile::open(place_ / "out", {{"to", 1}}, tensors_, 3, true);
  ASSERT_TRUE(first);
  const auto report = run("out", {{"to", 1}});
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("being written by another process"));
}

TEST(Plan, NamesTheTypeThatTakesTheOthersPlace) {
  const auto matrix = [](const char* name, uint64_t columns) { return NewTensor{name, DType::kF32, {8, columns}, {}}; };
  const std::vector<NewTensor> tensors = {matrix("blk.0.attn_q.weight", 256), matrix("blk.0.ffn_down.weight", 160),
                                          matrix("blk.11.ffn_up.weight", 172), matrix("token_embd.weight", 256),
                                          NewTensor{"output_norm.weight", DType::kF32, {256}, {}}};
  const auto k = choose_types(tensors, DType::kQ4_K, 12);
  EXPECT_EQ(k[0].type, DType::kQ4_K);
  EXPECT_EQ(k[0].inputs, (Inputs{0, model::InputsOf::kQkv}));
  EXPECT_EQ(k[1].type, DType::kQ4_1);
  EXPECT_THAT(k[1].reason, HasSubstr("multiple of 256 weights, these have 160"));
  EXPECT_EQ(k[1].inputs, (Inputs{0, model::InputsOf::kDown}));
  EXPECT_EQ(k[2].type, DType::kF16);
  EXPECT_FALSE(k[2].is_quantized);
  EXPECT_THAT(k[2].reason, HasSubstr("172"));
  EXPECT_EQ(k[3].type, DType::kQ6_K);  // there is no output.weight: this is it
  EXPECT_EQ(k[3].inputs, (Inputs{12, model::InputsOf::kHead}));
  EXPECT_EQ(k[4].type, DType::kF32);
  EXPECT_EQ(choose_types(tensors, DType::kQ5_K, 12)[1].type, DType::kQ5_1);
  EXPECT_EQ(choose_types(tensors, DType::kQ6_K, 12)[1].type, DType::kQ8_0);
  EXPECT_EQ(choose_types(tensors, DType::kQ8_0, 12)[3].type, DType::kQ8_0);

  auto untied = tensors;
  untied.push_back(matrix("output.weight", 160));
  const auto other = choose_types(untied, DType::kQ4_0, 12);
  EXPECT_EQ(other[3].type, DType::kQ4_0);
  EXPECT_EQ(other[3].inputs, std::nullopt);
  EXPECT_EQ(other[5].type, DType::kQ8_0);  // Q6_K does not apply
  EXPECT_EQ(other[5].inputs, (Inputs{12, model::InputsOf::kHead}));
}

TEST(SpreadWindows, CoverTheTextEvenlyAndNeverOverlap) {
  std::vector<int32_t> ids(1000);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  const auto few = spread_windows(ids, 100, 4);
  ASSERT_EQ(few.size(), 4U);
  EXPECT_EQ(few[0].front(), 0);
  EXPECT_EQ(few[1].front(), 200);
  EXPECT_EQ(few[3].front(), 700);
  EXPECT_EQ(spread_windows(ids, 100, 64).size(), 10U);
  EXPECT_EQ(spread_windows(ids, 300, 64).size(), 3U);
  ASSERT_EQ(spread_windows(ids, 2000, 64).size(), 1U);
  EXPECT_EQ(spread_windows(ids, 2000, 64)[0].size(), 1000U);
}

}  // namespace
}  // namespace phial::quantize

// Fixtures under testdata/golden: models and what a reference implementation computes from them. For tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/checkpoint.h"
#include "phial/model/decoder.h"
#include "phial/tensor/blocks.h"

namespace phial::model {

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(PHIAL_TESTDATA) / "golden" / name;
}

struct GoldenCase {
  std::string name;
  std::vector<int32_t> prompt, greedy;
  size_t safe_prefix = 0;  // greedy ids that rounding cannot change
};

// expected.json and the tensors beside it.
class Expected {
 public:
  explicit Expected(const std::filesystem::path& stem) {
    auto text = read_text_file(stem.string() + ".json");
    auto tensors = formats::Checkpoint::open(stem.string() + ".safetensors");
    if (!text || !tensors) {
      ADD_FAILURE() << stem << (text ? "" : text.error().text()) << (tensors ? "" : tensors.error().text());
      return;
    }
    json_ = *parse_json(*text);
    tensors_ = std::make_shared<formats::Checkpoint>(*std::move(tensors));
  }

  std::vector<GoldenCase> cases() const {
    std::vector<GoldenCase> out;
    for (const Json& one : json_["cases"]) {
      GoldenCase c{one["name"], one["prompt_ids"], one["greedy_ids"], 0};
      c.safe_prefix = one.value("safe_prefix", c.greedy.size());
      out.push_back(std::move(c));
    }
    return out;
  }
  const Json& json() const { return json_; }
  bool has(const std::string& name) const { return tensors_->find(name) != nullptr; }

  std::vector<float> floats(const std::string& name) const {
    const formats::Tensor* tensor = tensors_->find(name);
    if (tensor == nullptr) {
      ADD_FAILURE() << "no tensor " << name;
      return {};
    }
    std::vector<float> out(tensor->elements());
    tensor::decode_row(tensor->dtype, tensor->bytes.data(), 0, out);
    return out;
  }

 private:
  Json json_;
  std::shared_ptr<const formats::Checkpoint> tensors_;
};

inline std::shared_ptr<const formats::Checkpoint> open_model(const std::filesystem::path& path) {
  auto checkpoint = formats::Checkpoint::open(path);
  if (!checkpoint) {
    ADD_FAILURE() << checkpoint.error().text();
    return nullptr;
  }
  return std::make_shared<formats::Checkpoint>(*std::move(checkpoint));
}

inline std::unique_ptr<Decoder> load_model(const std::filesystem::path& path, Precision precision, ThreadPool& pool,
                                           int window_extra = 0) {
  const auto checkpoint = open_model(path);
  if (checkpoint == nullptr) return nullptr;
  const auto spec = Decoder::read_spec(*checkpoint, window_extra);
  if (!spec) {
    ADD_FAILURE() << spec.error().text();
    return nullptr;
  }
  auto decoder = Decoder::load(checkpoint, *spec, precision, pool);
  if (!decoder) {
    ADD_FAILURE() << decoder.error().text();
    return nullptr;
  }
  return *std::move(decoder);
}

// Logits of `ids` appended to `cache`.
inline std::vector<float> run(const Decoder& decoder, KvCache& cache, std::span<const int32_t> ids, LogitsOf which,
                              spec::RopeTable table = spec::RopeTable::kShort) {
  std::vector<float> logits;
  const Status status = decoder.forward({.ids = ids, .table = table, .logits_of = which, .cache = &cache}, logits);
  EXPECT_TRUE(status) << (status ? "" : status.error().text());
  return logits;
}

inline std::vector<float> run_all(const Decoder& decoder, std::span<const int32_t> ids,
                                  spec::RopeTable table = spec::RopeTable::kShort, KvType kv = KvType::kF16) {
  auto cache = decoder.make_cache(static_cast<int>(ids.size()), kv);
  EXPECT_TRUE(cache);
  return run(decoder, *cache, ids, LogitsOf::kAll, table);
}

// A long text of many chunks, more than the window.
inline std::vector<int32_t> long_text(size_t length, int vocab) {
  std::vector<int32_t> ids(length);
  for (size_t i = 0; i < length; ++i)
    ids[i] = static_cast<int32_t>((i * 7919 + i * i * 31) % static_cast<size_t>(vocab));
  return ids;
}

inline int32_t best(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

inline double largest_difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return INFINITY;
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= most)) most = difference;
  }
  return most;
}

inline double rms_difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size() || a.empty()) return INFINITY;
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(squares / static_cast<double>(a.size()));
}

}  // namespace phial::model

#include "phial/model/decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "phial/base/default_models_for_test.h"
#include "phial/model/golden_files.h"
#include "phial/spec/rope.h"

namespace phial::model {
namespace {

using testing::HasSubstr;

constexpr double kExact = 1e-3;  // the fixtures' own tolerance; a correct implementation lands near 2e-5

struct Fixture {
  const char* folder;
  const char* file;  // "": the Hugging Face folder itself
};

std::string fixture_name(const testing::TestParamInfo<Fixture>& info) {
  std::string name = std::string(info.param.folder) + (*info.param.file != '\0' ? "_gguf" : "_folder");
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// Which table a sequence of `total` tokens takes.
spec::RopeTable table_for(const Decoder& decoder, size_t total) {
  return spec::choose_rope_table(decoder.spec(), spec::RopePolicy::kDynamic, static_cast<int>(total));
}

class Golden : public testing::TestWithParam<Fixture> {
 protected:
  std::filesystem::path path() const {
    const auto folder = golden(GetParam().folder);
    return *GetParam().file != '\0' ? folder / GetParam().file : folder;
  }
  ThreadPool pool{2};
};

TEST_P(Golden, ExactLogitsAreThoseOfTheReference) {
  const auto decoder = load_model(path(), Precision::kExact, pool);
  ASSERT_NE(decoder, nullptr);
  const Expected expected(golden(GetParam().folder) / "expected");
  for (const GoldenCase& c : expected.cases()) {
    const auto logits = run_all(*decoder, c.prompt, table_for(*decoder, c.prompt.size()));
    EXPECT_LE(largest_difference(logits, expected.floats(c.name + ".logits")), kExact) << c.name;
  }
}

// Step by step with the cache; a sequence that outgrows the short rotary table starts anew, as an engine does.
TEST_P(Golden, ExactGreedyIdsAreThoseOfTheReference) {
  const auto decoder = load_model(path(), Precision::kExact, pool);
  ASSERT_NE(decoder, nullptr);
  const Expected expected(golden(GetParam().folder) / "expected");
  for (const GoldenCase& c : expected.cases()) {
    const auto steps = expected.floats(c.name + ".gen_logits");
    std::vector<int32_t> ids = c.prompt;
    auto cache = decoder->make_cache(static_cast<int>(c.prompt.size() + c.greedy.size()));
    ASSERT_TRUE(cache);
    auto table = table_for(*decoder, ids.size());
    for (size_t k = 0; k < c.greedy.size(); ++k) {
      if (table_for(*decoder, ids.size()) != table) {
        table = table_for(*decoder, ids.size());
        cache->truncate(0);
      }
      const std::span<const int32_t> fresh = std::span(ids).subspan(static_cast<size_t>(cache->length()));
      const auto logits = run(*decoder, *cache, fresh, LogitsOf::kLast, table);
      ASSERT_EQ(best(logits), c.greedy[k]) << c.name << " step " << k;
      const std::span<const float> wanted = std::span(steps).subspan(k * logits.size(), logits.size());
      EXPECT_LE(largest_difference(logits, wanted), kExact) << c.name << " step " << k;
      ids.push_back(c.greedy[k]);
    }
  }
}

// 8-bit activations move logits of spread 3 by some tenths; weights of 16 bit lose little in 8-bit blocks.
TEST_P(Golden, FastLogitsAreNear) {
  const auto decoder = load_model(path(), Precision::kFast, pool);
  ASSERT_NE(decoder, nullptr);
  const Expected expected(golden(GetParam().folder) / "expected");
  for (const GoldenCase& c : expected.cases()) {
    const auto logits = run_all(*decoder, c.prompt, table_for(*decoder, c.prompt.size()));
    EXPECT_LE(rms_difference(logits, expected.floats(c.name + ".logits")), 0.3) << c.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Golden,
                         testing::Values(Fixture{"phi3-mini-like", ""}, Fixture{"phi3-mini-like", "model.gguf"},
                                         Fixture{"phi3-medium-like", ""}, Fixture{"phi3-medium-like", "model.gguf"},
                                         Fixture{"phi3-128k-like", ""}, Fixture{"phi3-128k-like", "model.gguf"},
                                         Fixture{"phi3-small-like", ""}, Fixture{"llama-like", ""},
                                         Fixture{"llama-like", "model.gguf"}, Fixture{"llama-biased", ""},
                                         Fixture{"llama-biased", "model.gguf"}, Fixture{"phi3-partial", ""},
                                         Fixture{"phi3-partial", "model.gguf"}),
                         fixture_name);

TEST(Decoder, WindowExtraShowsOneKeyMore) {
  ThreadPool pool(2);
  const Expected expected(golden("phi3-mini-like") / "expected");
  for (const char* file : {"", "model.gguf"}) {
    const auto decoder = load_model(golden("phi3-mini-like") / file, Precision::kExact, pool, 1);
    ASSERT_NE(decoder, nullptr);
    for (const GoldenCase& c : expected.cases()) {
      const auto wanted = expected.floats(c.name + ".logits_window_plus_one");
      EXPECT_LE(largest_difference(run_all(*decoder, c.prompt), wanted), kExact) << c.name;
    }
  }
}

TEST(Decoder, BothRotaryTablesGiveTheReferencesLogits) {
  ThreadPool pool(2);
  const auto decoder = load_model(golden("phi3-128k-like"), Precision::kExact, pool);
  ASSERT_NE(decoder, nullptr);
  const Expected expected(golden("phi3-128k-like") / "expected");
  for (const GoldenCase& c : expected.cases()) {
    const auto logits = run_all(*decoder, c.prompt, spec::RopeTable::kLong);
    EXPECT_LE(largest_difference(logits, expected.floats(c.name + ".logits_always_long")), kExact) << c.name;
  }
}

TEST(Decoder, QuantisedFilesGiveTheReferencesLogits) {
  ThreadPool pool(2);
  const Expected expected(golden("phi3-mini-like") / "expected-quant");
  for (const GoldenCase& c : expected.cases()) {
    const std::string file = "model-" + c.name.substr(0, 4) + ".gguf";
    const auto wanted = expected.floats(c.name + ".logits");
    const auto exact = load_model(golden("phi3-mini-like") / file, Precision::kExact, pool);
    const auto fast = load_model(golden("phi3-mini-like") / file, Precision::kFast, pool);
    ASSERT_TRUE(exact != nullptr && fast != nullptr);
    EXPECT_LE(largest_difference(run_all(*exact, c.prompt), wanted), kExact) << c.name;
    EXPECT_LE(rms_difference(run_all(*fast, c.prompt), wanted), 0.3) << c.name;

    auto cache = exact->make_cache(static_cast<int>(c.prompt.size() + c.greedy.size()));
    std::vector<int32_t> fresh = c.prompt;
    for (const int32_t id : c.greedy) {
      ASSERT_EQ(best(run(*exact, *cache, fresh, LogitsOf::kLast)), id) << c.name;
      fresh = {id};
    }
  }
}

// Every row's logits, with rows fed in pieces of `step`.
std::vector<float> run_in_steps(const Decoder& decoder, std::span<const int32_t> ids, size_t step, KvType kv) {
  auto cache = decoder.make_cache(static_cast<int>(ids.size()), kv);
  std::vector<float> all;
  for (size_t i = 0; i < ids.size(); i += step) {
    const auto logits = run(decoder, *cache, ids.subspan(i, std::min(step, ids.size() - i)), LogitsOf::kAll);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

TEST(Decoder, LogitsHaveTheSameBitsForAnyThreadsAndRows) {
  struct Way {
    Precision precision;
    KvType kv;
  };
  for (const Way way : {Way{Precision::kExact, KvType::kF32}, Way{Precision::kFast, KvType::kF16},
                        Way{Precision::kFast, KvType::kQ8}, Way{Precision::kFast, KvType::kQ4}}) {
    for (const char* folder : {"phi3-mini-like", "phi3-medium-like", "phi3-small-like"}) {
      ThreadPool one(1);
      const auto ids = long_text(300, 384);  // more than a chunk
      const auto wanted =
          run_all(*load_model(golden(folder), way.precision, one), ids, spec::RopeTable::kShort, way.kv);
      for (const int threads : {1, 2, 7}) {
        ThreadPool pool(threads);
        const auto decoder = load_model(golden(folder), way.precision, pool);
        for (const size_t step : {1, 2, 5, 64, 300}) {
          // A thread that waits for its turn makes small steps slow: few of them show what there is to see.
          if ((threads == 7 && step < 300) || (threads == 2 && (step == 2 || step == 5))) continue;
          EXPECT_EQ(run_in_steps(*decoder, ids, step, way.kv), wanted)
              << folder << " " << name_of(way.kv) << " threads " << threads << " step " << step;
        }
      }
    }
  }
}

TEST(Decoder, TheLastRowAloneHasTheSameBits) {
  ThreadPool pool(2);
  const auto decoder = load_model(golden("phi3-mini-like"), Precision::kFast, pool);
  const auto ids = long_text(300, 384);
  const auto all = run_all(*decoder, ids);
  auto cache = decoder->make_cache(300);
  EXPECT_TRUE(run(*decoder, *cache, std::span(ids).first(40), LogitsOf::kNone).empty());
  const auto last = run(*decoder, *cache, std::span(ids).subspan(40), LogitsOf::kLast);
  EXPECT_EQ(last, std::vector<float>(all.end() - 384, all.end()));
}

// Sequences of several caches, fed together in pieces of changing sizes: one that is read, one that is written token
// by token, one that begins late, one that is forked from the first, one for which nothing is asked.
TEST(Decoder, SegmentsTogetherHaveTheBitsOfEachAlone) {
  struct Sequence {
    std::vector<int32_t> ids;
    std::optional<KvCache> cache;
    std::vector<float> wanted, found;
  };
  ThreadPool pool(3);
  for (const char* folder : {"phi3-mini-like", "phi3-medium-like"}) {
    for (const Precision precision : {Precision::kExact, Precision::kFast}) {
      const auto decoder = load_model(golden(folder), precision, pool);
      ASSERT_NE(decoder, nullptr);
      const auto text = long_text(900, 384);
      const auto part = [&](size_t first, size_t count) {
        return std::vector<int32_t>(text.begin() + static_cast<std::ptrdiff_t>(first),
                                    text.begin() + static_cast<std::ptrdiff_t>(first + count));
      };
      std::vector<Sequence> sequences(4);
      sequences[0].ids = part(0, 600);
      sequences[1].ids = part(100, 30);
      sequences[2].ids = part(200, 400);
      sequences[3].ids = part(0, 90);  // the first's beginning, then another end
      for (int32_t id : part(700, 60)) sequences[3].ids.push_back(id);
      for (Sequence& s : sequences) {
        s.wanted = run_all(*decoder, s.ids);
        s.cache.emplace(*decoder->make_cache(700));
      }
      const auto at = [&](const Sequence& s) { return static_cast<size_t>(s.cache->length()); };
      const size_t steps[] = {200, 1, 77, 90};
      for (int round = 0; round < 60; ++round) {
        std::vector<Segment> segments;
        std::vector<Sequence*> of;
        for (size_t i = 0; i < sequences.size(); ++i) {
          Sequence& s = sequences[i];
          if (i == 2 && round < 3) continue;
          if (i == 3 && round < 2) continue;
          if (i == 3 && round == 2) {
            s.cache.emplace(sequences[0].cache->fork(90));
            if (at(s) == 0) s.cache.emplace(*decoder->make_cache(700));  // the window has passed
            s.found.assign(s.wanted.begin(), s.wanted.begin() + s.cache->length() * 384);
          }
          const size_t count = std::min(steps[i], s.ids.size() - at(s));
          if (count == 0) continue;
          segments.push_back({.ids = std::span(s.ids).subspan(at(s), count), .logits_of = LogitsOf::kAll});
          if (i == 2) {
            segments.back().logits_of = round % 2 == 0 ? LogitsOf::kLast : LogitsOf::kNone;
          }
          segments.back().cache = &*s.cache;
          of.push_back(&s);
        }
        std::vector<float> logits;
        ASSERT_TRUE(decoder->forward(segments, logits));
        auto from = logits.begin();
        for (size_t i = 0; i < segments.size(); ++i) {
          const auto which = segments[i].logits_of;
          const size_t all = segments[i].ids.size();
          const size_t rows = which == LogitsOf::kAll ? all : which == LogitsOf::kLast ? 1 : 0;
          of[i]->found.resize(of[i]->found.size() + (all - rows) * 384, 0);
          of[i]->found.insert(of[i]->found.end(), from, from + static_cast<std::ptrdiff_t>(rows * 384));
          from += static_cast<std::ptrdiff_t>(rows * 384);
        }
        ASSERT_EQ(from, logits.end());
      }
      for (size_t i = 0; i < sequences.size(); ++i) {
        Sequence& s = sequences[i];
        ASSERT_EQ(s.found.size(), s.wanted.size()) << i;
        for (size_t d = 0; d < s.found.size(); ++d) {
          if (i == 2 && s.found[d] == 0) continue;  // not asked for
          ASSERT_EQ(s.found[d], s.wanted[d]) << folder << " sequence " << i << " logit " << d;
        }
      }
    }
  }
}

TEST(Decoder, TruncatedCacheContinuesAsIfTheRestHadNeverBeen) {
  ThreadPool pool(2);
  const auto decoder = load_model(golden("phi3-mini-like"), Precision::kExact, pool);
  const auto ids = long_text(500, 384);
  const auto wanted = run_all(*decoder, ids);
  auto cache = decoder->make_cache(500);
  run(*decoder, *cache, std::span(ids).first(400), LogitsOf::kNone);
  cache->truncate(380);  // still kept
  ASSERT_EQ(cache->length(), 380);
  const auto tail = run(*decoder, *cache, std::span(ids).subspan(380), LogitsOf::kAll);
  EXPECT_EQ(tail, std::vector<float>(wanted.begin() + 380 * 384, wanted.end()));
  cache->truncate(100);  // long given back
  EXPECT_EQ(cache->length(), 0);
}

// Keeps all that is shown.
class Witness final : public InputObserver {
 public:
  struct Seen {
    int layer;
    InputsOf which;
    size_t tokens, columns;
    std::vector<float> rows;
  };
  void see(int layer, InputsOf which, const float* rows, size_t stride, size_t tokens, size_t columns) override {
    Seen& one = seen.emplace_back(Seen{layer, which, tokens, columns, {}});
    for (size_t t = 0; t < tokens; ++t) one.rows.insert(one.rows.end(), rows + t * stride, rows + t * stride + columns);
  }
  std::vector<Seen> seen;
};

TEST(Decoder, AnObserverSeesTheInputsOfEveryMatrix) {
  for (const auto& [name, ffn] : {std::pair{"llama-like", 176}, std::pair{"phi3-mini-like", 160}}) {
    ThreadPool pool(3);
    const auto checkpoint = open_model(golden(name));
    const auto decoder = load_model(golden(name), Precision::kExact, pool);
    const std::vector<int32_t> ids = {1, 5, 9, 14, 3};
    auto cache = decoder->make_cache(8);
    Witness witness;
    ASSERT_TRUE(decoder->observe(ids, spec::RopeTable::kShort, 3, *cache, witness));
    EXPECT_EQ(cache->length(), 5);
    ASSERT_EQ(witness.seen.size(), 3 * 4 + 1);
    const InputsOf order[] = {InputsOf::kQkv, InputsOf::kAttentionOutput, InputsOf::kGateUp, InputsOf::kDown};
    for (size_t i = 0; i < 12; ++i) {
      EXPECT_EQ(witness.seen[i].layer, static_cast<int>(i / 4));
      EXPECT_EQ(witness.seen[i].which, order[i % 4]);
      EXPECT_EQ(witness.seen[i].tokens, ids.size());
      EXPECT_EQ(witness.seen[i].columns, i % 4 == 3 ? static_cast<size_t>(ffn) : 64U);
    }

    // The output matrix times what is shown of it gives the logits.
    const Witness::Seen& last = witness.seen.back();
    EXPECT_EQ(last.layer, 3);
    EXPECT_EQ(last.which, InputsOf::kHead);
    const auto wanted = run_all(*decoder, ids);
    const formats::Tensor* head = checkpoint->find("lm_head.weight");
    if (head == nullptr) head = checkpoint->find("model.embed_tokens.weight");
    ASSERT_NE(head, nullptr);
    std::vector<float> matrix(head->elements()), found(wanted.size(), 0.0F);
    tensor::decode_row(head->dtype, head->bytes.data(), 0, matrix);
    for (size_t i = 0; i < found.size(); ++i) {
      for (size_t c = 0; c < 64; ++c) found[i] += matrix[i % 384 * 64 + c] * last.rows[i / 384 * 64 + c];
    }
    EXPECT_LE(largest_difference(found, wanted), 1e-4) << name;

    // Fewer layers: the same, as far as it goes.
    auto again = decoder->make_cache(8);
    Witness first;
    ASSERT_TRUE(decoder->observe(ids, spec::RopeTable::kShort, 1, *again, first));
    ASSERT_EQ(first.seen.size(), 4U);
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(first.seen[i].rows, witness.seen[i].rows);
  }
}

TEST(Decoder, WhatCannotRunIsAnErrorAndLeavesTheCacheAlone) {
  ThreadPool pool(1);
  const auto decoder = load_model(golden("llama-like"), Precision::kExact, pool);
  auto cache = decoder->make_cache(4);
  std::vector<float> logits;
  const std::vector<int32_t> too_many = {1, 2, 3, 4, 5}, unknown = {1, 384}, negative = {-1};
  auto status = decoder->forward({.ids = too_many, .cache = &*cache}, logits);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kOutOfRange);
  EXPECT_THAT(status.error().message, HasSubstr("context of 4"));
  for (const auto& ids : {unknown, negative}) {
    status = decoder->forward({.ids = ids, .cache = &*cache}, logits);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message, HasSubstr("outside the vocabulary of 384"));
  }
  EXPECT_EQ(cache->length(), 0);
  const auto other = load_model(golden("phi3-mini-like"), Precision::kExact, pool);
  auto foreign = other->make_cache(4);
  EXPECT_FALSE(decoder->forward({.ids = negative, .cache = &*foreign}, logits));
  EXPECT_FALSE(decoder->make_cache(0));
}

TEST(Decoder, WeightsOfAnotherShapeAreNamed) {
  ThreadPool pool(1);
  const auto checkpoint = open_model(golden("llama-like"));
  auto spec = *Decoder::read_spec(*checkpoint);
  spec.ffn_dim = 128;
  const auto decoder = Decoder::load(checkpoint, spec, Precision::kFast, pool);
  ASSERT_FALSE(decoder);
  EXPECT_THAT(decoder.error().message, HasSubstr("mlp.gate_proj.weight' has shape [176, 64], wanted [128, 64]"));
  spec = *Decoder::read_spec(*checkpoint);
  spec.n_layers = 2;
  EXPECT_THAT(Decoder::load(checkpoint, spec, Precision::kFast, pool).error().message, HasSubstr("has no place"));
  spec.n_layers = 4;
  EXPECT_THAT(Decoder::load(checkpoint, spec, Precision::kFast, pool).error().message, HasSubstr("model.layers.3."));
}

TEST(Decoder, PlanTellsWhatFits) {
  const auto checkpoint = open_model(golden("phi3-medium-like"));
  const auto spec = *Decoder::read_spec(*checkpoint);
  const auto plan = Decoder::plan(*checkpoint, spec, Precision::kFast, 2, {.context_tokens = 1000});
  ASSERT_TRUE(plan) << plan.error().text();
  EXPECT_EQ(plan->kv_bytes, 2U * 2 * 2 * 2 * 16 * 1024);  // keys and values, f16, layers, heads, head_dim, whole pages
  EXPECT_GT(plan->weights_bytes, 300000U);                // 303,744 weights in matrices, about a byte each
  EXPECT_LT(plan->weights_bytes, 350000U);
  EXPECT_TRUE(plan->fits());
  EXPECT_EQ(plan->largest_context_that_fits, spec.context);
}

class Smol : public DefaultModels {
 protected:
  ThreadPool pool{usable_cores()};
};

TEST_F(Smol, ExactAnswersAreThoseOfTheReference) {
  const auto decoder = load_model(smollm2(), Precision::kExact, pool);
  ASSERT_NE(decoder, nullptr);
  const Expected expected(golden("real/smollm2-135m-instruct-q4_1") / "expected");
  for (const GoldenCase& c : expected.cases()) {
    auto cache = decoder->make_cache(static_cast<int>(c.prompt.size() + c.greedy.size()));
    auto logits = run(*decoder, *cache, c.prompt, LogitsOf::kLast);
    EXPECT_LE(largest_difference(logits, expected.floats(c.name + ".logits_last")), kExact) << c.name;
    for (size_t k = 0; k < c.safe_prefix; ++k) {
      ASSERT_EQ(best(logits), c.greedy[k]) << c.name << " step " << k;
      logits = run(*decoder, *cache, std::span(c.greedy).subspan(k, 1), LogitsOf::kLast);
    }
  }
}

// 8-bit activations move this model's logits by 0.25 rms at the median position and by more than 1 at a few; which few
// is chance: rounding that differs in the last bit moves them elsewhere (torch with the same blocks of 8 bits: the
// same). So no single position is judged.
TEST_F(Smol, FastLogitsAreNear) {
  const auto exact = load_model(smollm2(), Precision::kExact, pool);
  const auto fast = load_model(smollm2(), Precision::kFast, pool);
  ASSERT_TRUE(exact != nullptr && fast != nullptr);
  const auto vocab = static_cast<size_t>(exact->spec().vocab_size);
  std::vector<double> differences;
  size_t same_best = 0;
  for (const GoldenCase& c : Expected(golden("real/smollm2-135m-instruct-q4_1") / "expected").cases()) {
    const auto wanted = run_all(*exact, c.prompt);
    const auto found = run_all(*fast, c.prompt);
    for (size_t at = 0; at + vocab <= wanted.size(); at += vocab) {
      const auto w = std::span(wanted).subspan(at, vocab);
      const auto f = std::span(found).subspan(at, vocab);
      differences.push_back(rms_difference(f, w));
      same_best += best(f) == best(w) ? 1 : 0;
    }
  }
  ASSERT_GT(differences.size(), 100U);
  std::nth_element(differences.begin(), differences.begin() + static_cast<ptrdiff_t>(differences.size() / 2),
                   differences.end());
  EXPECT_LE(differences[differences.size() / 2], 0.3);
  EXPECT_GE(same_best, differences.size() * 9 / 10);
}

}  // namespace
}  // namespace phial::model

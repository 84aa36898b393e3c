// Training on a CUDA device is held to training on the CPU, which other tests hold to transformers and TRL. Skipped
// where there is no such device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "phial/train/cross_entropy.h"
#include "phial/train/cuda_device_for_test.h"
#include "phial/train/dpo.h"
#include "phial/train/golden_networks_for_test.h"
#include "phial/train/optimizer.h"
#include "phial/train/run_files_for_test.h"
#include "phial/train/sft.h"
#include "phial/train/utilization.h"

namespace phial::train {
namespace {

using model::golden;

class Cuda : public RunFiles {
 protected:
  void SetUp() override {
    const auto opened = cuda_device();
    if (!opened) GTEST_SKIP() << opened.error().text();
    device = *opened;
  }

  Network load(const std::string& name, NetworkOptions options = {}) const {
    options.device = device;
    return load_network(golden(name), options);
  }

  at::Device device = at::kCPU;
};

// Rows with targets: of two documents each but for the last, which is one and ends in padding.
Batch packed_batch(int64_t rows, int64_t tokens, int64_t vocabulary) {
  at::manual_seed(7);
  Batch batch = {.ids = at::randint(0, vocabulary, {rows, tokens}, at::kLong),
                 .targets = at::randint(0, vocabulary, {rows, tokens}, at::kLong),
                 .positions = at::arange(tokens, at::kLong).repeat({rows, 1}),
                 .documents = at::zeros({rows, tokens}, at::kLong)};
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t second = tokens / 3 + r;
    batch.positions[r].slice(0, second).sub_(second);
    batch.documents[r].slice(0, second).fill_(r + 1 < rows ? 1 : -1);
    batch.targets[r][second - 1] = kIgnored;
    if (r + 1 == rows) batch.targets[r].slice(0, second).fill_(kIgnored);
  }
  return batch;
}

double norm_of(const at::Tensor& values) { return values.to(at::kDouble).norm().item<double>(); }

// Loss and gradients of both, the gradients' difference as a part of their norm.
void expect_same_training(Network& wanted, Network& found, Batch batch, double part) {
  for (const int32_t id : wanted.spec().masked_ids) {  // never an answer, or the loss is infinite
    batch.targets = batch.targets.masked_fill(batch.targets == id, kIgnored);
  }
  const double n = batch.targets.ne(kIgnored).sum().item<double>();
  const CrossEntropy loss = wanted.loss(batch, 1e-4), own = found.loss(batch, 1e-4);
  EXPECT_NEAR(own.nll.item<double>() / loss.nll.item<double>(), 1, part);
  (loss.objective / n).backward();
  (own.objective / n).backward();
  for (size_t i = 0; i < wanted.parameters().size(); ++i) {
    const Parameter& parameter = wanted.parameters()[i];
    const at::Tensor &expected = parameter.value.grad(), &gradient = found.parameters()[i].value.grad();
    ASSERT_TRUE(expected.defined() && gradient.defined()) << parameter.name;
    EXPECT_TRUE(gradient.is_cuda()) << parameter.name;
    EXPECT_LE(norm_of(gradient.cpu() - expected), part * norm_of(expected)) << parameter.name;
  }
}

constexpr const char* kModels[] = {"phi3-mini-like", "phi3-medium-like", "phi3-128k-like", "phi3-small-like",
                                   "phi3-partial",   "llama-like",       "llama-biased"};

TEST_F(Cuda, LossAndGradientsAreThoseOfTheCpu) {
  for (const char* name : kModels) {
    SCOPED_TRACE(name);
    Network wanted = load_network(golden(name)), found = load(name);
    const auto ids = model::long_text(41, wanted.spec().vocab_size);
    Batch batch = one_row(std::span(ids).first(40));
    batch.targets = one_row(std::span(ids).subspan(1)).ids;
    expect_same_training(wanted, found, batch, 1e-4);
  }
}

TEST_F(Cuda, PackedDocumentsTrainAsOnTheCpu) {
  for (const char* name : kModels) {
    SCOPED_TRACE(name);
    Network wanted = load_network(golden(name)), found = load(name);
    expect_same_training(wanted, found, packed_batch(3, 60, wanted.spec().vocab_size), 1e-4);
  }
}

// bf16 keeps 8 bits; what attends there without a mask is held to f32 on the CPU.
TEST_F(Cuda, InBfloat16ItIsNearF32) {
  for (const char* name : kModels) {
    SCOPED_TRACE(name);
    Network wanted = load_network(golden(name)), found = load(name, {.compute = Compute::kBf16});
    Batch whole = packed_batch(3, 60, wanted.spec().vocab_size);
    whole.positions = at::arange(60, at::kLong).repeat({3, 1});
    whole.documents.zero_();
    whole.one_document_a_row = true;
    for (const Batch& batch : {whole, packed_batch(3, 60, wanted.spec().vocab_size)}) {
      const at::NoGradGuard no_grad;
      const at::Tensor counts = batch.documents.ge(0).unsqueeze(2);
      const at::Tensor exact = wanted.logits(batch) * counts, fast = found.logits(batch).cpu() * counts;
      const at::Tensor is_answer = exact > -1e30;
      EXPECT_LE(norm_of((fast - exact).masked_select(is_answer)), 0.06 * norm_of(exact.masked_select(is_answer)));
    }
  }
}

TEST_F(Cuda, GradientsInBfloat16AreNearF32) {
  for (const char* name : {"phi3-mini-like", "phi3-medium-like", "phi3-small-like"}) {
    SCOPED_TRACE(name);
    Network wanted = load_network(golden(name)), found = load(name, {.compute = Compute::kBf16});
    expect_same_training(wanted, found, packed_batch(3, 60, wanted.spec().vocab_size), 0.15);
  }
}

TEST_F(Cuda, LayersComputedAgainGiveTheSameGradients) {
  Network wanted = load_network(golden("phi3-medium-like"));
  Network found = load("phi3-medium-like", {.recompute_layers = true});
  expect_same_training(wanted, found, packed_batch(3, 60, 384), 1e-4);
}

// What runs there is what `phial` runs.
TEST_F(Cuda, LogitsAreThoseOfTheRuntimesDecoder) {
  ThreadPool pool(2);
  for (const char* name : kModels) {
    SCOPED_TRACE(name);
    const auto decoder = model::load_model(golden(name), model::Precision::kExact, pool);
    ASSERT_NE(decoder, nullptr);
    const Network network = load(name);
    const at::NoGradGuard no_grad;
    const auto ids = model::long_text(90, network.spec().vocab_size);
    const auto table = choose_rope_table(network.spec(), spec::RopePolicy::kDynamic, 90);
    std::vector<float> logits = model::run_all(*decoder, ids, table);
    const at::Tensor wanted = at::from_blob(logits.data(), {90, network.spec().vocab_size}, at::kFloat);
    const at::Tensor found = network.logits(one_row(ids, table))[0].cpu(), is_answer = wanted > -1e30;
    const double largest = wanted.masked_select(is_answer).abs().max().item<double>();
    EXPECT_LE((found - wanted).masked_select(is_answer).abs().max().item<double>(), 1e-4 * largest);
  }
}

TEST_F(Cuda, PicturesAreSeenAsOnTheCpu) {
  const auto folder = golden("phi3-vision-like");
  const Network wanted = load_network(folder), found = load("phi3-vision-like");
  at::manual_seed(3);
  const int64_t side = wanted.vision()->spec().image_side;
  const std::vector<BatchPicture> pictures = {
      {.tile_rows = 1, .tile_cols = 2, .pixels = at::randn({3, 3, side, side})}};
  const at::NoGradGuard no_grad;
  const at::Tensor rows = wanted.vision()->rows(pictures);
  EXPECT_LE(norm_of(found.vision()->rows(pictures).cpu() - rows), 1e-4 * norm_of(rows));
}

TEST_F(Cuda, CrossEntropyIsThatOfTheCpu) {
  at::manual_seed(3);
  const at::Tensor hidden = at::randn({300, 48}), head = at::randn({517, 48});
  at::Tensor targets = at::randint(0, 500, {300}, at::kLong);
  targets.index_fill_(0, at::tensor({3, 4, 299}, at::kLong), kIgnored);
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    const CrossEntropyOptions options = {.logit_divisor = 4,
                                         .z_loss = 0.02,
                                         .masked_ids = {501, 516},
                                         .weights = at::linspace(-1, 2, 300),
                                         .compute = compute,
                                         .chunk_rows = 128};
    const double part = compute == at::kFloat ? 1e-5 : 2e-2;
    const auto leaves = [&](const at::Device& where) {
      return std::pair{hidden.to(where).clone().requires_grad_(), head.to(where).clone().requires_grad_()};
    };
    const auto [wanted_hidden, wanted_head] = leaves(at::kCPU);
    const auto [own_hidden, own_head] = leaves(device);
    const CrossEntropy wanted = cross_entropy(wanted_hidden, wanted_head, targets, options);
    const CrossEntropy found = cross_entropy(own_hidden, own_head, targets, options);
    EXPECT_NEAR(found.nll.item<double>(), wanted.nll.item<double>(), part * std::fabs(wanted.nll.item<double>()));
    EXPECT_NEAR(found.z.item<double>(), wanted.z.item<double>(), part * wanted.z.item<double>());
    wanted.objective.backward();
    found.objective.backward();
    EXPECT_LE(norm_of(own_hidden.grad().cpu() - wanted_hidden.grad()), part * norm_of(wanted_hidden.grad()));
    EXPECT_LE(norm_of(own_head.grad().cpu() - wanted_head.grad()), part * norm_of(wanted_head.grad()));
    const at::Tensor logs = target_log_probabilities(wanted_hidden, wanted_head, targets, options);
    const at::Tensor own_logs = target_log_probabilities(own_hidden, own_head, targets, options);
    EXPECT_TRUE(own_logs.is_cpu());
    EXPECT_LE(norm_of(own_logs - logs), part * norm_of(logs));
  }
}

TEST_F(Cuda, AdamWStepsAsOnTheCpu) {
  const spec::DecoderSpec spec = load_network(golden("phi3-mini-like")).spec();
  at::manual_seed(1);
  const at::Tensor a = at::randn({40, 30}), b = at::randn({7});
  const auto stepped = [&](const at::Device& where) {
    std::vector<Parameter> parameters = {{"a", spec::TensorRole::kQuery, a.to(where).clone().requires_grad_()},
                                         {"b", spec::TensorRole::kBias, b.to(where).clone().requires_grad_()}};
    AdamW optimizer(parameters, spec, std::nullopt, {.clip = 1});
    for (int t = 1; t <= 5; ++t) {
      for (Parameter& each : parameters) each.value.mutable_grad() = (each.value.detach() * t).cos();
      const double norm = optimizer.gradient_norm();
      EXPECT_GT(norm, 1);
      optimizer.step(0.01, norm);
      EXPECT_NEAR(optimizer.gradient_norm(), 1, 1e-5);
    }
    return at::cat({parameters[0].value.detach().cpu().flatten(), parameters[1].value.detach().cpu()});
  };
  const at::Tensor wanted = stepped(at::kCPU);
  EXPECT_LE((stepped(device) - wanted).abs().max().item<double>(), 1e-5);
}

TEST_F(Cuda, ARunHasTheCurveOfTheCpuAndGoesOnOnTheOther) {
  const auto part_of_run = [&](const std::string& out, const std::string& where, int64_t until) {
    PretrainConfig config = tiny_run(out);
    config.device = where;
    config.average_decay = 0.9;
    std::stop_source stop;
    const auto done = pretrain(config, {.report =
                                            [&](const StepReport& report) {
                                              if (report.step == until) stop.request_stop();
                                            },
                                        .stop = stop.get_token()});
    EXPECT_TRUE(done || done.error().code == Code::kCancelled) << done.error().text();
  };
  part_of_run("cpu", "cpu", 0);
  part_of_run("cuda", "cuda", 0);
  part_of_run("there", "cpu", 6);
  part_of_run("there", "cuda", 0);
  part_of_run("back", "cuda", 6);
  part_of_run("back", "cpu", 0);
  const auto wanted = losses_of("cpu");
  const auto model = formats::Checkpoint::open(path("cpu") / "model");
  ASSERT_TRUE(model);
  for (const char* out : {"cuda", "there", "back"}) {
    const auto found = losses_of(out);
    ASSERT_EQ(found.size(), wanted.size()) << out;
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 2e-3) << out << " " << i;
    EXPECT_TRUE(formats::Checkpoint::open(path(out) / "model")) << out;
  }
}

TEST_F(Cuda, ARunInBfloat16Learns) {
  PretrainConfig config = tiny_run("bf16");
  config.device = "cuda";
  config.compute = "bf16";
  config.steps = 60;
  config.accumulate = 2;
  config.recompute_layers = true;
  ASSERT_TRUE(pretrain(config, {}));
  EXPECT_LT(losses_of("bf16").back(), 1.0);
}

// Adapters, reference log-probabilities and held-out measures.
TEST_F(Cuda, TuningHasTheCurvesOfTheCpu) {
  std::ofstream chats(path("chats.jsonl")), pairs(path("pairs.jsonl"));
  for (const std::string word : {"red", "blue", "green", "white"}) {
    chats << R"({"prompt": "Say )" << word << R"(", "completion": ")" << word << "\"}\n";
    pairs << R"({"prompt": "Say )" << word << R"(", "chosen": "yes )" << word << R"(", "rejected": "no"})" << "\n";
  }
  chats.close();
  pairs.close();
  const auto curve = [&](auto config, const auto& train, const std::string& where, const std::string& file) {
    config.model_start = golden("phi3-mini-like").string();
    config.files = config.held_out = {path(file).string()};
    config.device = where;
    config.out = path(file + where).string();
    config.sequence_tokens = 48;
    config.rows = 2;
    config.lora_rank = 4;
    config.epochs = 3;
    config.lr = 3e-3;
    config.threads = 1;
    std::vector<double> values;
    const auto done = train(config, RunHooks{.report = [&](const StepReport& step) { values.push_back(step.loss); }});
    EXPECT_TRUE(done) << done.error().text();
    if (done) {
      for (const auto& [name, value] : done->metrics) values.push_back(value);
    }
    return values;
  };
  const auto compare = [&](const auto& config, const auto& train, const std::string& file) {
    const auto wanted = curve(config, train, "cpu", file), found = curve(config, train, "cuda", file);
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(found[i], wanted[i], 2e-3 * std::max(1.0, std::fabs(wanted[i]))) << file << " " << i;
    }
  };
  compare(SftConfig{}, sft, "chats.jsonl");
  DpoConfig config;
  config.measure_kl = true;
  compare(config, dpo, "pairs.jsonl");
}

TEST_F(Cuda, HasANameAndAPeak) {
  EXPECT_NE(device_name(device), "");
  EXPECT_GT(peak_operations(at::kFloat, device), 1e12);
  EXPECT_GT(peak_operations(at::kBFloat16, device), 1e12);
}

}  // namespace
}  // namespace phial::train

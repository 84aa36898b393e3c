#include "phial/train/extend.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <tuple>
#include <utility>

#include "phial/base/decimal.h"
#include "phial/base/output_file.h"
#include "phial/train/context_meter.h"
#include "phial/train/device.h"
#include "phial/train/extension_report.h"
#include "phial/train/loader.h"
#include "phial/train/long_rope.h"
#include "phial/train/mixed_windows.h"
#include "phial/train/rope_search.h"
#include "phial/train/run.h"
#include "phial/train/run_output.h"
#include "phial/train/token_stage.h"

namespace phial::train {
namespace {

constexpr double kMostExtendedTokens = 16777216;
constexpr double kMostTokensInAll = 1e18;
constexpr double kMostFactorShare = 1.25;  // of target / original: LongRoPE's space of factors
constexpr uint64_t kLookedAtRows = 256;
constexpr double kFewLongRows = 0.1;

// The original context, and what it grows by.
Result<std::vector<int64_t>> lengths_of(const ExtendConfig& config, int64_t original) {
  if (config.lengths.empty()) return std::vector<int64_t>{original, 2 * original, 4 * original, 8 * original};
  std::vector<int64_t> lengths = {original};
  for (const double length : config.lengths) {
    const bool is_longer = length == std::floor(length) && length > static_cast<double>(lengths.back());
    if (!is_longer) {
      return Error{Code::kInvalid,
                   "extend.lengths: " + dump_json(Json(length)) + " is no whole number of tokens above " +
                       std::to_string(lengths.back()) + (lengths.size() == 1 ? ", the context of the model" : ""),
                   "let them grow, as " + std::to_string(2 * original) + ", " + std::to_string(4 * original) + ", ..."};
    }
    lengths.push_back(static_cast<int64_t>(length));
  }
  return lengths;
}

Result<std::vector<Loader>> loaders_of(const std::vector<std::string>& named, const std::vector<int64_t>& lengths,
                                       const ExtendConfig& config, const StartModel& model) {
  PHIAL_TRY(const auto files, shard_files(named));
  std::vector<Loader> loaders;
  for (const int64_t length : lengths) {
    PHIAL_TRY(Loader loader, Loader::open(files, {.sequence_tokens = length,
                                                  .vocab_size = model.spec.vocab_size,
                                                  .seed = static_cast<uint64_t>(config.seed),
                                                  .vocabulary_hash = model.vocabulary_hash(),
                                                  .length_field = "extend.lengths"}));
    loaders.push_back(std::move(loader));
  }
  return loaders;
}

// So that they are counted without overflow.
Status check_tokens_in_all(const ExtendConfig& config, int64_t target) {
  const double tokens = static_cast<double>(config.steps) * static_cast<double>(config.rows) *
                        static_cast<double>(config.accumulate) * static_cast<double>(target);
  if (tokens <= kMostTokensInAll) return ok();
  return Error{Code::kInvalid, "train.steps, batch.rows and batch.accumulate make more than 1e18 tokens",
               "take smaller ones"};
}

// One document fills the greater part of the row, and more than the original context.
bool is_long(const Batch& row, int64_t original) {
  return row.positions.max().item<int64_t>() + 1 > std::max(row.ids.size(1) / 2, original);
}

Status warn_of_short_documents(const Loader& loader, int64_t original, const Log& log) {
  const uint64_t rows = std::min(loader.rows(), kLookedAtRows);
  uint64_t long_rows = 0;
  for (uint64_t i = 0; i < rows; ++i) {
    PHIAL_TRY(const Batch row, loader.batch(i, 1));
    long_rows += is_long(row, original) ? 1 : 0;
  }
  const double share = static_cast<double>(long_rows) / static_cast<double>(rows);
  if (share < kFewLongRows) {
    log(Severity::kWarning, "of " + std::to_string(rows) + " rows of " + std::to_string(loader.sequence_tokens()) +
                                " tokens " + std::to_string(long_rows) +
                                " have a document that fills the half of them and more than the old context: positions "
                                "begin anew with each, and little is learned of the far ones; pack longer documents");
  }
  return ok();
}

// Held-out rows to search by.
Result<std::vector<Batch>> rows_to_search_by(const Loader& loader, int64_t original, int64_t most) {
  std::vector<Batch> rows;
  for (uint64_t i = 0; i < loader.rows() && std::ssize(rows) < most; ++i) {
    PHIAL_TRY(Batch row, loader.batch(i, 1));
    row.table = spec::RopeTable::kLong;
    if (is_long(row, original)) rows.push_back(std::move(row));
  }
  if (!rows.empty()) return rows;
  return Error{
      Code::kInvalid,
      "data.held_out has no row of " + std::to_string(loader.sequence_tokens()) +
          " tokens with a document that fills the half of it and more than the old context: there is nothing to "
          "search factors by",
      "give longer documents, or a smaller last extend.lengths"};
}

uint64_t hash_of_rows(const std::vector<Batch>& rows) {
  uint64_t hash = 0;
  for (const Batch& row : rows) {
    for (const at::Tensor& each : {row.ids, row.targets}) {
      hash = XXH3_64bits_withSeed(each.data_ptr<int64_t>(), each.nbytes(), hash);
    }
  }
  return hash;
}

Result<double> mean_loss(const Network& network, const std::vector<Batch>& rows, const std::stop_token& stop) {
  double sum = 0;
  int64_t targets = 0;
  for (const Batch& row : rows) {
    if (stop.stop_requested()) {
      return Error{Code::kCancelled, "stopped in the search for rotary factors",
                   "the same command goes on from its last generation"};
    }
    sum -= network.target_log_probabilities(row).sum(at::kDouble).item<double>();
    targets += row.targets.ne(kIgnored).sum().item<int64_t>();
  }
  return sum / static_cast<double>(std::max<int64_t>(1, targets));
}

Result<NetworkOptions> network_options(const ExtendConfig& config) {
  PHIAL_TRY(const at::Device device, open_device(config));
  return NetworkOptions{.compute = config.compute == "bf16" ? Compute::kBf16 : Compute::kF32, .device = device};
}

Result<StartModel> extended(StartModel model, int64_t target, std::span<const float> factors) {
  model.config = with_long_rope(std::move(model.config), model.spec, target, factors);
  PHIAL_TRY(model.spec, spec::decoder_from_config(model.config));
  return model;
}

Result<RopeSearchResult> search(const ExtendConfig& config, const StartModel& model,
                                const std::vector<Parameter>& parameters, const Loader& held_out,
                                const RunHooks& hooks) {
  const int64_t target = held_out.sequence_tokens();
  PHIAL_TRY(const auto rows, rows_to_search_by(held_out, model.spec.context, config.search_rows));
  auto known = known_rope_factors(model.spec, model.spec.context, static_cast<int>(target));
  PHIAL_TRY(const StartModel longer, extended(model, target, known.front().values));
  PHIAL_TRY(const NetworkOptions options, network_options(config));
  const std::vector<Parameter> weights = Network(longer.spec, parameters, options).parameters();  // on the device once
  const auto loss_of = [&](std::span<const float> factors) -> Result<double> {
    spec::DecoderSpec spec = longer.spec;
    spec.long_rope.long_factors.assign(factors.begin(), factors.end());
    return mean_loss(Network(std::move(spec), weights, options), rows, hooks.stop);
  };
  return search_rope_factors(std::move(known), loss_of,
                             {.population = config.population,
                              .generations = config.generations,
                              .seed = static_cast<uint64_t>(config.seed),
                              .most = kMostFactorShare * static_cast<double>(target) / model.spec.context,
                              .file = std::filesystem::path(config.out) / "rope_search.json",
                              .of = {{"config", std::to_string(model.config_hash())},
                                     {"weights", std::to_string(hash_of(parameters))},
                                     {"rows", std::to_string(hash_of_rows(rows))},
                                     {"target", target},
                                     {"compute", config.compute}}},
                             hooks);
}

std::string words_of(const RopeSearchResult& found) {
  std::string words = "held-out loss with the factors that were found " + decimal("%.4f", found.best.loss);
  for (const NamedRopeFactors& each : found.known) words += ", " + each.name + " " + decimal("%.4f", each.loss);
  return words + ", before any training";
}

// Token prediction on mixed windows, measured on held-out rows of the target's length and of the original one.
class ExtendStage : public Stage {
 public:
  ExtendStage(TokenStage longest, TokenStage original) : long_(std::move(longest)), short_(std::move(original)) {}

  Result<StepSums> step(const Network& network, uint64_t first, GradientBuckets& gradients) override {
    return long_.step(network, first, gradients);
  }
  // held_out_loss and held_out_short_loss.
  Result<Metrics> evaluate(const Network& network, const std::stop_token& stop, ProcessGroup& group) override {
    PHIAL_TRY(Metrics metrics, long_.evaluate(network, stop, group));
    PHIAL_TRY(const Metrics of_short, short_.evaluate(network, stop, group));
    for (const auto& [name, value] : of_short) metrics.emplace_back("held_out_short_loss", value);
    return metrics;
  }

 private:
  TokenStage long_, short_;
};

Result<RunSummary> train_longer(const ExtendConfig& config, ConfigFields& fields, StartModel model,
                                std::vector<Parameter> parameters, std::vector<Loader> train,
                                const std::vector<Loader>& held_out, const RunHooks& hooks) {
  const auto samples = static_cast<uint64_t>(config.steps * config.rows * config.accumulate);
  const Json data = {{"windows", train.back().rows()},
                     {"hash", std::to_string(train.back().fingerprint())},
                     {"samples", samples}};  // which windows come when is a function of it
  Loader original = std::move(train.front());
  train.erase(train.begin());
  auto source = std::make_unique<MixedWindows>(
      std::move(original), std::move(train),
      MixedWindowsOptions{
          .short_share = config.short_share, .rows = static_cast<uint64_t>(config.rows), .samples = samples});
  const auto measured = [&](const Loader& loader) {
    return options_of_length(loader.sequence_tokens(), held_out.back().sequence_tokens(), config);
  };
  TokenStageOptions options = measured(held_out.back());
  options.accumulate = config.accumulate;
  ExtendStage stage(TokenStage(std::move(source), std::make_unique<Loader>(held_out.back()), options),
                    TokenStage(nullptr, std::make_unique<Loader>(held_out.front()), measured(held_out.front())));
  return run({.config = config,
              .fields = fields,
              .model = std::move(model),
              .parameters = std::move(parameters),
              .stage = stage,
              .data = data},
             hooks);
}

// Before, with the factors alone, and after: what was `written`.
Status measure(const ExtendConfig& config, const StartModel& model, const StartModel& longer,
               const std::filesystem::path& written, std::vector<Loader> held_out, Extension& extension,
               const RunHooks& hooks) {
  PHIAL_TRY(ContextMeter meter, ContextMeter::open(config, model, std::move(held_out)));
  extension.depths = meter.depths();
  PHIAL_TRY(const NetworkOptions options, network_options(config));
  PHIAL_TRY(const StartModel trained, open_start_model("", written.string()));
  const std::tuple<const char*, const spec::DecoderSpec&, const StartModel&> stands[] = {
      {"before", model.spec, model}, {"searched", longer.spec, model}, {"after", trained.spec, trained}};
  for (const auto& [name, spec, weights] : stands) {
    PHIAL_TRY(auto loaded, load_parameters(*weights.weights, spec));
    PHIAL_TRY(MeasuredContext measured, meter.measure(Network(spec, std::move(loaded), options), name, hooks));
    extension.measured.push_back(std::move(measured));
  }
  return ok();
}

Result<RunSummary> run_extend(ExtendConfig& config, const RunHooks& hooks) {
  ConfigFields fields;
  config.describe(fields);
  if (config.world.size > 1) {
    return Error{Code::kUnsupported, "a context is not extended by " + std::to_string(config.world.size) + " processes",
                 "start one, without a launcher"};
  }
  PHIAL_TRY(const StartModel model, open_start_model("", config.model_start));
  PHIAL_CHECKED(check_text_only(model));
  PHIAL_CHECKED(check_can_grow(model.spec));
  PHIAL_TRY(const auto lengths, lengths_of(config, model.spec.context));
  PHIAL_CHECKED(check_window(model.spec, lengths.back()));
  PHIAL_CHECKED(check_tokens_in_all(config, lengths.back()));
  if (config.held_out.empty()) {
    return Error{Code::kInvalid, "data.held_out names no shard: rotary factors are searched for by its loss",
                 "keep some long documents for it, with 'phial data pack --held-out'"};
  }
  PHIAL_TRY(auto train, loaders_of(config.shards, lengths, config, model));
  PHIAL_TRY(auto held_out, loaders_of(config.held_out, lengths, config, model));
  PHIAL_CHECKED(RunOutput(config, model).check());
  PHIAL_CHECKED(make_folders(config.out));
  PHIAL_CHECKED(warn_of_short_documents(train.back(), model.spec.context, hooks.log));

  PHIAL_TRY(auto parameters, load_parameters(*model.weights, model.spec));
  Extension extension = {.lengths = lengths};
  PHIAL_TRY(extension.factors, search(config, model, parameters, held_out.back(), hooks));
  hooks.log(Severity::kNote, words_of(extension.factors));
  PHIAL_TRY(const StartModel longer, extended(model, lengths.back(), extension.factors.best.values));
  PHIAL_TRY(RunSummary summary,
            train_longer(config, fields, longer, std::move(parameters), std::move(train), held_out, hooks));

  PHIAL_CHECKED(measure(config, model, longer, summary.model, std::move(held_out), extension, hooks));
  PHIAL_CHECKED(write_extension(extension, config.out, place_of(config.out).filename().string()));
  hooks.log(Severity::kNote, "the page is " + (std::filesystem::path(config.out) / "extension.html").string());
  const Metrics more = extension_metrics(extension);
  summary.metrics.insert(summary.metrics.end(), more.begin(), more.end());
  summary.table = extension_table(extension);
  return summary;
}

}  // namespace

void ExtendConfig::describe(ConfigFields& fields) {
  fields.add("model.start", &model_start,
             "the Hugging Face folder of the model whose context grows: of the Phi-3 family");
  fields
      .add("extend.lengths", &lengths,
           "tokens of the rows, growing: equal parts of the steps; the last is the new context; none: 2, 4 and 8 times "
           "the old one; the mask of a row in which a document begins takes 7 bytes for each pair of its tokens "
           "while it is made: 7 GiB at 32768 tokens")
      .between(1, kMostExtendedTokens);
  fields.add("extend.short_share", &short_share, "of the batches, whose rows are as long as the old context instead")
      .between(0, 0.95);
  fields.add("search.population", &population, "rotary factors that are compared in each generation").between(4, 4096);
  fields.add("search.generations", &generations, "0: the best of PI, NTK and YaRN").between(0, 10000);
  fields.add("search.rows", &search_rows, "held-out rows, of the last length, whose loss they are compared by")
      .between(1, 4096);
  fields.add("measure.samples", &samples, "prompts of each depth and length with a number to find; 0: none")
      .between(0, 10000);
  fields.add("measure.depths", &depths, "places of the number, from the beginning of the text to its end")
      .between(2, 101);
  fields.add("measure.digits", &digits, "of the number").between(1, 32);
  fields.add("data.shards", &shards,
             "token shards, or folders of files that end in .tokens: documents of the last length");
  fields.add("data.held_out", &held_out, "shards that are searched by and measured on, and never trained on");
  describe_shared(fields);
  fields.add("schedule.warmup_steps", &warmup_steps, "steps from 0 to the peak").at_least(0);
  fields
      .add("train.steps", &steps,
           "steps in all, of batch.rows times the last length in tokens; a run goes on only with as many")
      .at_least(1);
}

Result<RunSummary> extend(ExtendConfig config, const RunHooks& hooks) {
  return with_torch(config, [&] { return run_extend(config, hooks); });
}

}  // namespace phial::train

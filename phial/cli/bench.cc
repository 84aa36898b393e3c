// Speed as the field measures it: single tokens, and a prompt fed at once, each from a cache that already holds some.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "phial/cli/bench_page.h"
#include "phial/cli/bench_report.h"
#include "phial/cli/bench_run.h"
#include "phial/cli/compute_flags.h"
#include "phial/cli/depths.h"
#include "phial/cli/home.h"
#include "phial/cli/machine.h"
#include "phial/cli/probes.h"
#include "phial/cli/verbs.h"
#include "phial/kernels/kernels.h"

namespace phial::cli {
namespace {

// Multiply-adds of a token: every matrix but the embedding table, which gives one row; a tied one is the output matrix
// as well.
TokenWork work_of(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec, uint64_t weights_bytes) {
  TokenWork work{.weights_bytes = weights_bytes};
  for (const formats::Tensor& tensor : checkpoint.tensors()) {
    if (tensor.shape.size() != 2) continue;
    const bool has_vocabulary_rows = tensor.shape[0] == static_cast<uint64_t>(spec.vocab_size);
    const bool is_embedding = has_vocabulary_rows && (tensor.name.find("embd") != std::string::npos ||
                                                      tensor.name.find("embed") != std::string::npos);
    if (is_embedding && !spec.tied_output) continue;
    (has_vocabulary_rows ? work.output_multiply_adds : work.multiply_adds) += static_cast<double>(tensor.elements());
  }
  return work;
}

// A block larger than what the caches hold several times over, where memory has room for it beside the model.
size_t probe_bytes(const BenchRequest& request, const spec::DecoderSpec& spec, const model::MemoryPlan& plan) {
  constexpr uint64_t kUsual = uint64_t{512} << 20, kOfCache = 4;
  const uint64_t token = request.weights_bytes + kv_bytes_read(spec, plan.kv_type, request.most_tokens());
  const uint64_t room = (plan.available_bytes - std::min(plan.available_bytes, plan.total_bytes())) / 2;
  return std::min({token, std::max(kUsual, kOfCache * largest_cache_bytes()), room});
}

struct Bench : Command {
  std::optional<std::string> model, html;
  std::string depth = "0";
  BenchRequest request{.prompt = 512, .gen = 32, .depths = {}, .repeat = {}};
  bool json = false, no_probe = false, strict = false;
  ComputeFlags compute{.load = "copy"};

  void describe(Flags& flags) override {
    flags.add("-m,--model", &model, "M", "a GGUF file, a Hugging Face folder, or a known name")
        .offers(Completes::kModel);
    flags.add("--prompt", &request.prompt, "N", "tokens of the prompt").between(0, kMostDepth);
    flags.add("--gen", &request.gen, "N", "tokens decoded one by one").between(0, kMostDepth);
    flags.add("--depth", &depth, "N,...", "tokens in the cache before: one number or a list as 0,1k,2k,4k (k: 1024)");
    flags
        .add("--repeat", &request.repeat, "N",
             "how often each figure is taken, of which the median counts (default: 3, or once if it takes over 3 s)")
        .between(1, 1000);
    flags.add("--json", json, "one JSON object");
    flags.add("--html", &html, "FILE", "also writes a page with the figures and a roofline plot")
        .offers(Completes::kPath);
    flags.add("--strict", strict, "fails (exit status 1) if something has no fast kernel, for tests of a machine");
    flags.add("--no-probe", no_probe, "leave out the measurement of the machine itself");
    compute.describe(flags);
    compute.describe_kv(flags);
  }
  Status check() override {
    if (request.prompt + request.gen == 0) {
      return Error{Code::kInvalid, "--prompt and --gen are both 0", "measure at least one token"};
    }
    PHIAL_TRY(request.depths, parse_depths(depth));
    return compute.check_kv();
  }

  Status run(Console& console) override {
    PHIAL_TRY(const auto path, find_model(model, ModelUse::kAnswers));
    ThreadPool pool(compute.threads);
    PHIAL_TRY(const BenchReport report, measure(path, pool, console));
    if (html) {
      const std::string page = bench_page(report);
      PHIAL_CHECKED(write_file_atomically(*html, std::as_bytes(std::span(page))));
      console.note("the page is " + shown_path(*html));
    }
    console.write(json ? dump_json(bench_json(report)) + "\n" : bench_text(report));
    if (strict && !report.slow_paths.empty()) {
      return Error{Code::kUnsupported,
                   "not all of it has a fast kernel: " + report.slow_paths.front().what + " (" + path.string() + ")",
                   "leave --strict out, or take a model of another type"};
    }
    return ok();
  }

  Result<BenchReport> measure(const std::filesystem::path& path, ThreadPool& pool, Console& console) {
    BenchReport report{.model = path.filename().string(),
                       .precision = compute.precision,
                       .isa = kernels::active().name,
                       .best_isa = kernels::runnable().back()->name,
                       .processor = processor_name(),
                       .threads = compute.threads,
                       .prompt = request.prompt,
                       .gen = request.gen,
                       .machine_bytes = machine_memory_bytes()};
    const int total = request.most_tokens();
    request.kv = compute.chosen_kv();
    PHIAL_TRY(const model::MemoryPlan plan, look_at(path, total, report));
    // Before and after the model: a machine that others use is faster in one minute than in the next.
    const auto probe_arithmetic = [&] {
      if (!no_probe) report.int8_gops = std::max(report.int8_gops, int8_giga_operations_per_second(pool));
    };
    probe_arithmetic();
    PHIAL_TRY(const auto decoder,
              compute.load_decoder(path, {.context_tokens = total, .beyond_context = true}, pool, console.log()));

    // What the probe takes is not the model's: it stays whole from here to the end, so it can be taken off.
    const uint64_t peak_of_load = peak_memory_bytes();
    std::optional<ReadProbe> probe;
    if (!no_probe) {
      PHIAL_TRY(ReadProbe made, ReadProbe::make(probe_bytes(request, decoder->spec(), plan), pool));
      probe.emplace(std::move(made));
    }
    PHIAL_TRY(BenchRuns runs, run_bench(*decoder, request, probe ? &*probe : nullptr, console));
    probe_arithmetic();
    const uint64_t peak = peak_memory_bytes();
    report.peak_bytes = std::max(peak_of_load, peak - std::min<uint64_t>(peak, probe ? probe->bytes() : 0));
    report.kv = model::name_of(runs.kv);
    report.kv_bytes = runs.kv_bytes;
    report.runs = std::move(runs.runs);
    return report;
  }

  // What the file tells without being loaded.
  Result<model::MemoryPlan> look_at(const std::filesystem::path& path, int total, BenchReport& report) {
    PHIAL_TRY(const auto checkpoint, formats::Checkpoint::open(path));
    PHIAL_TRY(const spec::DecoderSpec spec, model::Decoder::read_spec(checkpoint, compute.window_extra));
    PHIAL_TRY(model::MemoryPlan plan,
              model::Decoder::plan(checkpoint, spec, compute.chosen_precision(), compute.threads,
                                   {.context_tokens = total, .kv = request.kv}));
    request.weights_bytes = plan.weights_bytes;
    report.model_bytes = checkpoint.total_bytes();
    report.work = work_of(checkpoint, spec, plan.weights_bytes);
    report.slow_paths = plan.slow_paths;
    return plan;
  }
};

}  // namespace

std::unique_ptr<Command> make_bench() { return std::make_unique<Bench>(); }

}  // namespace phial::cli

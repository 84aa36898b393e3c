// Speed as the field measures it: single tokens, and `prompt` tokens fed at once, each from a cache that already holds
// `depth` tokens. Sampling is not in it. Token ids are spread over the vocabulary; speed does not depend on them.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "phial/cli/compute_flags.h"
#include "phial/cli/home.h"
#include "phial/cli/probes.h"
#include "phial/cli/verbs.h"
#include "phial/kernels/kernels.h"
#include "phial/spec/rope.h"

namespace phial::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFillPiece = 512;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// The most memory that the process really held: VmHWM, which reading files does not count into.
uint64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    unsigned long long kilobytes = 0;
    if (std::sscanf(line.c_str(), "VmHWM: %llu kB", &kilobytes) == 1) return uint64_t{kilobytes} * 1024;
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

// Weights that one decoded token reads, and multiply-adds that one prompt token takes: every matrix but the embedding
// table, which gives one row; a tied table is the output matrix as well.
struct Work {
  uint64_t streamed_bytes = 0, multiply_adds = 0, output_multiply_adds = 0;
};
Work work_of(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec) {
  Work work;
  for (const formats::Tensor& tensor : checkpoint.tensors()) {
    if (tensor.shape.size() != 2) {
      work.streamed_bytes += tensor.bytes.size();
      continue;
    }
    const bool has_vocabulary_rows = tensor.shape[0] == static_cast<uint64_t>(spec.vocab_size);
    const bool is_embedding = has_vocabulary_rows && (tensor.name.find("embd") != std::string::npos ||
                                                      tensor.name.find("embed") != std::string::npos);
    if (is_embedding && !spec.tied_output) continue;
    work.streamed_bytes += tensor.bytes.size();
    (has_vocabulary_rows ? work.output_multiply_adds : work.multiply_adds) += tensor.elements();
  }
  return work;
}

struct Bench : Command {
  std::optional<std::string> model;
  int prompt = 512, gen = 32, depth = 0;
  bool json = false, no_probe = false;
  ComputeFlags compute{.load = "copy"};

  void describe(Flags& flags) override {
    flags.add("-m,--model", &model, "M", "a GGUF file, a Hugging Face folder, or a known name")
        .offers(Completes::kModel);
    flags.add("--prompt", &prompt, "N", "tokens of the prompt").between(0, 1 << 20);
    flags.add("--gen", &gen, "N", "tokens decoded one by one").between(0, 1 << 20);
    flags.add("--depth", &depth, "N", "tokens in the cache before").between(0, 1 << 20);
    flags.add("--json", json, "one JSON object");
    flags.add("--no-probe", no_probe, "leave out the measurement of the machine itself");
    compute.describe(flags);
    compute.describe_kv(flags);
  }
  Status check() override {
    if (prompt + gen == 0) {
      return Error{Code::kInvalid, "--prompt and --gen are both 0", "measure at least one token"};
    }
    return compute.check_kv();
  }

  Status run(Console& console) override {
    PHIAL_TRY(const auto path, find_model(model, ModelUse::kAnswers));
    ThreadPool pool(compute.threads);
    PHIAL_TRY(const auto checkpoint, formats::Checkpoint::open(path));
    const int total = depth + std::max({prompt, gen, 1});
    PHIAL_TRY(auto decoder,
              compute.load_decoder(path, {.context_tokens = total, .beyond_context = true}, pool, console.log()));
    const Work work = work_of(checkpoint, decoder->spec());
    PHIAL_TRY(const Times times, measure(*decoder, total, console));
    const uint64_t peak_bytes = peak_memory_bytes();  // before the probes take memory of their own
    decoder.reset();
    const double read_gbps = no_probe ? 0 : read_gigabytes_per_second(pool);
    const double int8_gops = no_probe ? 0 : int8_giga_operations_per_second(pool);

    const double prefill_tps = times.prefill_ms > 0 ? prompt * 1000.0 / times.prefill_ms : 0;
    const double decode_tps = times.decode_ms > 0 ? gen * 1000.0 / times.decode_ms : 0;
    const double kv_read = static_cast<double>(times.kv_bytes) * (depth + gen / 2.0) / std::max(1, total);
    const double decode_gbps = decode_tps * (static_cast<double>(work.streamed_bytes) + kv_read) / 1e9;
    const double prefill_gops =
        times.prefill_ms > 0
            ? 2.0 *
                  (static_cast<double>(work.multiply_adds) * prompt + static_cast<double>(work.output_multiply_adds)) /
                  times.prefill_ms / 1e6
            : 0;
    Json told = {{"model", path.filename().string()},
                 {"prompt", prompt},
                 {"gen", gen},
                 {"depth", depth},
                 {"prefill_tps", prefill_tps},
                 {"decode_tps", decode_tps},
                 {"first_token_ms", times.first_token_ms},
                 {"peak_rss_bytes", peak_bytes},
                 {"read_gbps", read_gbps},
                 {"decode_gbps", decode_gbps},
                 {"decode_fraction", read_gbps > 0 ? decode_gbps / read_gbps : 0},
                 {"int8_gops", int8_gops},
                 {"prefill_fraction", int8_gops > 0 ? prefill_gops / int8_gops : 0},
                 {"isa", kernels::active().name},
                 {"precision", compute.precision},
                 {"threads", compute.threads},
                 {"model_bytes", checkpoint.total_bytes()},
                 {"streamed_bytes", work.streamed_bytes},
                 {"kv", model::name_of(times.kv_type)},
                 {"kv_bytes", times.kv_bytes}};
    console.write(json ? dump_json(told) + "\n" : table(told));
    return ok();
  }

  struct Times {
    double prefill_ms = 0, decode_ms = 0, first_token_ms = 0;
    uint64_t kv_bytes = 0;
    model::KvType kv_type = model::KvType::kF16;
  };

  Result<Times> measure(const model::Decoder& decoder, int total, Console& console) const {
    PHIAL_TRY(model::KvCache cache, decoder.make_cache(total, compute.chosen_kv()));
    const spec::DecoderSpec& spec = decoder.spec();
    const auto table = spec::choose_rope_table(spec, spec::RopePolicy::kDynamic, total);
    std::vector<float> logits;
    std::vector<int32_t> ids(static_cast<size_t>(std::max({prompt, kFillPiece, 1})));
    for (size_t i = 0; i < ids.size(); ++i) {
      ids[i] = static_cast<int32_t>((i * 7919 + 11) % static_cast<size_t>(spec.vocab_size));
    }
    const std::span<const int32_t> all(ids);

    // Once through the code and the weights, so that neither is measured cold.
    PHIAL_CHECKED(decoder.forward(all.first(1), table, model::LogitsOf::kLast, cache, logits));
    const auto hold_depth = [&]() -> Status {
      if (cache.length() > depth) cache.truncate(depth);
      while (cache.length() < depth) {
        if (console.stopped().stop_requested()) return Error{Code::kCancelled, "stopped", ""};
        console.progress("bench: filling the cache, " + std::to_string(cache.length()) + " of " +
                         std::to_string(depth));
        const auto count = static_cast<size_t>(std::min(kFillPiece, depth - cache.length()));
        PHIAL_CHECKED(decoder.forward(all.first(count), table, model::LogitsOf::kNone, cache, logits));
      }
      console.clear_progress();
      return ok();
    };

    Times times;
    times.kv_bytes = cache.bytes();
    times.kv_type = cache.type();
    PHIAL_CHECKED(hold_depth());
    auto start = Clock::now();
    for (int i = 0; i < gen; ++i) {
      if (console.stopped().stop_requested()) return Error{Code::kCancelled, "stopped", ""};
      PHIAL_CHECKED(decoder.forward(all.subspan(static_cast<size_t>(i) % all.size(), 1), table, model::LogitsOf::kLast,
                                    cache, logits));
      if (i == 0) times.first_token_ms = milliseconds_since(start);
    }
    times.decode_ms = milliseconds_since(start);
    if (prompt == 0) return times;

    PHIAL_CHECKED(hold_depth());
    start = Clock::now();
    PHIAL_CHECKED(
        decoder.forward(all.first(static_cast<size_t>(prompt)), table, model::LogitsOf::kLast, cache, logits));
    times.prefill_ms = milliseconds_since(start);
    times.first_token_ms = times.prefill_ms;
    return times;
  }

  static std::string table(const Json& told) {
    std::string out;
    for (const auto& [key, value] : told.items()) {
      std::string row = key;
      row.resize(18, ' ');
      if (value.is_number_float()) {
        char text[32];
        std::snprintf(text, sizeof text, "%.3g", value.get<double>());
        row += text;
      } else {
        row += value.is_string() ? value.get_ref<const std::string&>() : dump_json(value);
      }
      out += row + "\n";
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Command> make_bench() { return std::make_unique<Bench>(); }

}  // namespace phial::cli

#include "phial/cli/bench_run.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <string>

#include "phial/spec/rope.h"

namespace phial::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFillPiece = 512;
constexpr int kUsualRepeat = 3;
constexpr double kLongMs = 3000;  // what takes longer is not repeated unless asked

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

class Runner {
 public:
  Runner(const model::Decoder& decoder, const BenchRequest& request, const ReadProbe* probe, model::KvCache cache,
         Console& console)
      : decoder_(decoder),
        request_(request),
        probe_(probe),
        cache_(std::move(cache)),
        console_(console),
        table_(spec::choose_rope_table(decoder.spec(), spec::RopePolicy::kDynamic, request.most_tokens())),
        ids_(static_cast<size_t>(std::max({request.prompt, kFillPiece, 1}))) {
    for (size_t i = 0; i < ids_.size(); ++i) {
      ids_[i] = static_cast<int32_t>((i * 7919 + 11) % static_cast<size_t>(decoder.spec().vocab_size));
    }
  }

  // Once through the code and the weights, so that neither is measured cold.
  Status warm_up() { return feed(1, model::LogitsOf::kLast); }

  Result<BenchRun> run(int depth) {
    BenchRun run;
    run.depth = depth;
    const double middle = depth + std::max(1, request_.gen) / 2.0;
    run.kv_bytes = kv_bytes_read(decoder_.spec(), cache_.type(), middle);
    const uint64_t token_bytes = request_.weights_bytes + run.kv_bytes;
    read_beside(token_bytes, run);
    if (request_.gen > 0) {
      PHIAL_TRY(const double all_ms, repeat("decode", depth, [&]() -> Status {
                  for (int i = 0; i < request_.gen; ++i) PHIAL_CHECKED(feed(1, model::LogitsOf::kLast));
                  return ok();
                }));
      run.token_ms = all_ms / request_.gen;
      run.first_token_ms = run.token_ms;
    }
    // The machine may have been busier while the probe ran than while the model did.
    constexpr int kSecondThoughts = 3;
    for (int i = 0; i == 0 || (i < kSecondThoughts && run.token_ms > 0 && is_beaten(token_bytes, run)); ++i) {
      read_beside(token_bytes, run);
    }
    if (request_.prompt > 0) {
      PHIAL_TRY(run.prefill_ms, repeat("prompt", depth, [&] { return feed(request_.prompt, model::LogitsOf::kLast); }));
      run.first_token_ms = run.prefill_ms;
    }
    return run;
  }

  const model::KvCache& cache() const { return cache_; }

 private:
  static bool is_beaten(uint64_t token_bytes, const BenchRun& run) {
    return static_cast<double>(token_bytes) / run.token_ms / 1e6 > run.read_gbps;
  }

  void read_beside(uint64_t token_bytes, BenchRun& run) {
    if (probe_ == nullptr) return;
    console_.progress("bench: how fast memory is read");
    run.read_gbps = std::max(run.read_gbps, probe_->gigabytes_per_second(token_bytes));
    console_.clear_progress();
  }

  Status feed(int tokens, model::LogitsOf which) {
    if (console_.stopped().stop_requested()) return Error{Code::kCancelled, "stopped", ""};
    next_ = tokens == 1 ? (next_ + 1) % ids_.size() : 0;
    const auto ids = std::span(ids_).subspan(next_, static_cast<size_t>(tokens));
    return decoder_.forward({.ids = ids, .table = table_, .logits_of = which, .cache = &cache_}, logits_);
  }

  // The cache holds exactly `depth` tokens.
  Status hold_depth(int depth) {
    cache_.truncate(depth);
    while (cache_.length() < depth) {
      console_.progress("bench: filling the cache, " + std::to_string(cache_.length()) + " of " +
                        std::to_string(depth));
      PHIAL_CHECKED(feed(std::min(kFillPiece, depth - cache_.length()), model::LogitsOf::kNone));
    }
    console_.clear_progress();
    return ok();
  }

  // The median time of `body`, each time from the same depth.
  template <class Body>
  Result<double> repeat(const char* what, int depth, const Body& body) {
    std::vector<double> times;
    for (int i = 0; i < request_.repeat.value_or(kUsualRepeat); ++i) {
      PHIAL_CHECKED(hold_depth(depth));
      console_.progress(std::string("bench: ") + what + " after " + std::to_string(depth) + " tokens, run " +
                        std::to_string(i + 1));
      const auto start = Clock::now();
      PHIAL_CHECKED(body());
      times.push_back(milliseconds_since(start));
      console_.clear_progress();
      if (!request_.repeat && times.front() > kLongMs) break;
    }
    return median(std::move(times));
  }

  const model::Decoder& decoder_;
  const BenchRequest& request_;
  const ReadProbe* probe_;
  model::KvCache cache_;
  Console& console_;
  spec::RopeTable table_;
  std::vector<int32_t> ids_;
  size_t next_ = 0;
  std::vector<float> logits_;
};

}  // namespace

int BenchRequest::most_tokens() const { return std::ranges::max(depths) + std::max({prompt, gen, 1}); }

uint64_t kv_bytes_read(const spec::DecoderSpec& spec, model::KvType type, double depth) {
  const double seen = spec.sliding_window > 0 ? std::min<double>(depth, spec.sliding_window) : depth;
  const size_t position = 2 * model::row_bytes(type, spec.head_dim) * static_cast<size_t>(spec.n_layers) *
                          static_cast<size_t>(spec.n_kv_heads);
  return static_cast<uint64_t>(seen * static_cast<double>(position));
}

Result<BenchRuns> run_bench(const model::Decoder& decoder, const BenchRequest& request, const ReadProbe* probe,
                            Console& console) {
  PHIAL_TRY(model::KvCache cache, decoder.make_cache(request.most_tokens(), request.kv));
  Runner runner(decoder, request, probe, std::move(cache), console);
  PHIAL_CHECKED(runner.warm_up());
  BenchRuns out{.runs = {}, .kv = runner.cache().type(), .kv_bytes = runner.cache().bytes()};
  for (const int depth : request.depths) {
    PHIAL_TRY(BenchRun run, runner.run(depth));
    out.runs.push_back(run);
  }
  return out;
}

}  // namespace phial::cli

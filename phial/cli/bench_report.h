// What `phial bench` found, and how it is told: as JSON, as a table, as a page (bench_page.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/model/decoder.h"

namespace phial::cli {

// What one token costs, but for attention: one multiply-add is two operations.
struct TokenWork {
  uint64_t weights_bytes = 0;  // read for each token that is decoded
  // The output matrix is used for the last token of a prompt only.
  double multiply_adds = 0, output_multiply_adds = 0;

  double decode_operations() const { return 2 * (multiply_adds + output_multiply_adds); }
  double prompt_operations(int tokens) const { return 2 * (multiply_adds * tokens + output_multiply_adds); }
};

// At one depth: how many tokens the cache held before. Times are medians; 0: not measured.
struct BenchRun {
  int depth = 0;
  double prefill_ms = 0;      // the whole prompt at once
  double token_ms = 0;        // one token, decoded
  double first_token_ms = 0;  // a prompt until its logits; without a prompt, one token
  uint64_t kv_bytes = 0;      // keys and values that one token read, the mean over what was decoded
  double read_gbps = 0;       // the probe, over as many bytes as a token reads
};

struct BenchReport {
  std::string model = {}, precision = {}, kv = {}, isa = {};
  std::string best_isa = {};   // of this machine
  std::string processor = {};  // empty: unknown
  int threads = 0, prompt = 0, gen = 0;
  uint64_t machine_bytes = 0;
  uint64_t model_bytes = 0;  // the file
  uint64_t kv_bytes = 0;     // the whole cache
  uint64_t peak_bytes = 0;   // the most that the process held, without the probe's block
  double int8_gops = 0;      // the probe
  TokenWork work = {};
  std::vector<model::SlowPath> slow_paths = {};
  std::vector<BenchRun> runs = {};  // at least one

  // Tokens a second, 1e9 bytes and 1e9 operations a second; shares of what the probes found. 0: not measured.
  double prefill_tps(const BenchRun& run) const;
  double prefill_gops(const BenchRun& run) const;
  double prefill_fraction(const BenchRun& run) const;
  double decode_tps(const BenchRun& run) const;
  double decode_gbps(const BenchRun& run) const;
  double decode_gops(const BenchRun& run) const;
  double decode_fraction(const BenchRun& run) const;
  // The fastest that memory was read beside any of the runs.
  double read_gbps() const;
  uint64_t token_bytes(const BenchRun& run) const { return work.weights_bytes + run.kv_bytes; }
};

// One object: the fields of the first depth on top, those of every depth in the array "runs".
Json bench_json(const BenchReport& report);

// For people, with units.
std::string bench_text(const BenchReport& report);

// "98.4", "1.10", "870": three digits that count. "-" for 0, which stands for what was not measured.
std::string figure_text(double value);
// "71 %".
std::string percent_text(double fraction);

}  // namespace phial::cli

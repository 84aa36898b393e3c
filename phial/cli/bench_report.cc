#include "phial/cli/bench_report.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "phial/base/bytes_text.h"
#include "phial/base/decimal.h"

namespace phial::cli {
namespace {

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

Json run_json(const BenchReport& report, const BenchRun& run) {
  return {{"depth", run.depth},
          {"prefill_tps", report.prefill_tps(run)},
          {"prefill_gops", report.prefill_gops(run)},
          {"prefill_fraction", report.prefill_fraction(run)},
          {"decode_tps", report.decode_tps(run)},
          {"decode_gbps", report.decode_gbps(run)},
          {"decode_gops", report.decode_gops(run)},
          {"decode_fraction", report.decode_fraction(run)},
          {"token_bytes", report.token_bytes(run)},
          {"read_gbps", run.read_gbps},
          {"first_token_ms", run.first_token_ms}};
}

// Columns of text, the figures right-aligned under headings of two lines.
class Table {
 public:
  void column(std::string upper, std::string lower) { headings_.push_back({std::move(upper), std::move(lower)}); }
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  std::string text() const {
    std::string out;
    for (size_t line = 0; line < 2; ++line) {
      for (size_t i = 0; i < headings_.size(); ++i) append(i, headings_[i][line], out);
      out += "\n";
    }
    for (const auto& row : rows_) {
      for (size_t i = 0; i < row.size(); ++i) append(i, row[i], out);
      out += "\n";
    }
    return out;
  }

 private:
  void append(size_t column, const std::string& cell, std::string& out) const {
    constexpr size_t kGap = 3;
    size_t width = std::max(headings_[column][0].size(), headings_[column][1].size());
    for (const auto& row : rows_) width = std::max(width, row[column].size());
    out.append(width - cell.size() + (column == 0 ? 0 : kGap), ' ').append(cell);
  }

  std::vector<std::array<std::string, 2>> headings_;
  std::vector<std::vector<std::string>> rows_;
};

std::string figures(const BenchReport& report) {
  Table table;
  table.column("tokens", "before");
  if (report.prompt > 0) {
    table.column("prompt:", "tokens/s");
    table.column("", "GOPS");
    table.column("of the", "int8 peak");
    table.column("to the first", "token, ms");
  }
  if (report.gen > 0) {
    table.column("decode:", "tokens/s");
    table.column("MB", "a token");
    table.column("", "GB/s");
    table.column("of the read", "bandwidth");
  }
  for (const BenchRun& run : report.runs) {
    std::vector<std::string> cells = {std::to_string(run.depth)};
    if (report.prompt > 0) {
      cells.insert(cells.end(), {figure_text(report.prefill_tps(run)), figure_text(report.prefill_gops(run)),
                                 percent_text(report.prefill_fraction(run)), figure_text(run.first_token_ms)});
    }
    if (report.gen > 0) {
      cells.insert(cells.end(), {figure_text(report.decode_tps(run)),
                                 figure_text(static_cast<double>(report.token_bytes(run)) / 1e6),
                                 figure_text(report.decode_gbps(run)), percent_text(report.decode_fraction(run))});
    }
    table.row(std::move(cells));
  }
  return table.text();
}

}  // namespace

double BenchReport::prefill_tps(const BenchRun& run) const { return ratio(prompt * 1000.0, run.prefill_ms); }
double BenchReport::prefill_gops(const BenchRun& run) const {
  return ratio(work.prompt_operations(prompt) / 1e6, run.prefill_ms);
}
double BenchReport::prefill_fraction(const BenchRun& run) const { return ratio(prefill_gops(run), int8_gops); }
double BenchReport::decode_tps(const BenchRun& run) const { return ratio(1000, run.token_ms); }
double BenchReport::decode_gbps(const BenchRun& run) const {
  return ratio(static_cast<double>(token_bytes(run)) / 1e6, run.token_ms);
}
double BenchReport::decode_gops(const BenchRun& run) const {
  return ratio(work.decode_operations() / 1e6, run.token_ms);
}
double BenchReport::decode_fraction(const BenchRun& run) const { return ratio(decode_gbps(run), run.read_gbps); }

double BenchReport::read_gbps() const {
  double best = 0;
  for (const BenchRun& run : runs) best = std::max(best, run.read_gbps);
  return best;
}

std::string figure_text(double value) {
  if (value <= 0) return "-";
  return decimal(value >= 99.95 ? "%.0f" : value >= 9.995 ? "%.1f" : "%.2f", value);
}

std::string percent_text(double fraction) {
  if (fraction <= 0) return "-";
  return decimal(fraction < 0.095 ? "%.1f %%" : "%.0f %%", 100 * fraction);
}

Json bench_json(const BenchReport& report) {
  Json told = run_json(report, report.runs.front());
  told.update({{"model", report.model},
               {"prompt", report.prompt},
               {"gen", report.gen},
               {"peak_rss_bytes", report.peak_bytes},
               {"int8_gops", report.int8_gops},
               {"isa", report.isa},
               {"best_isa", report.best_isa},
               {"precision", report.precision},
               {"threads", report.threads},
               {"processor", report.processor},
               {"model_bytes", report.model_bytes},
               {"streamed_bytes", report.work.weights_bytes},
               {"kv", report.kv},
               {"kv_bytes", report.kv_bytes},
               {"slow_paths", Json::array()},
               {"runs", Json::array()}});
  for (const model::SlowPath& path : report.slow_paths) told["slow_paths"].push_back(path.what);
  for (const BenchRun& run : report.runs) told["runs"].push_back(run_json(report, run));
  return told;
}

std::string bench_text(const BenchReport& report) {
  std::string out = report.model + ": " + bytes_text(report.model_bytes) + " on disk, " + report.precision +
                    " precision, keys and values in " + report.kv + "\n";
  out += (report.processor.empty() ? "an unknown processor" : report.processor) + ", " +
         bytes_text(report.machine_bytes) + " of memory; " + std::to_string(report.threads) +
         (report.threads == 1 ? " thread" : " threads") + ", kernels for " + report.isa;
  if (report.isa != report.best_isa) out += " (this machine has " + report.best_isa + ")";
  out += "\n";
  if (report.int8_gops > 0) {
    out += "at best it reads " + figure_text(report.read_gbps()) + " GB/s and computes " +
           figure_text(report.int8_gops) + " GOPS in 8 bits\n";
  }
  out += "\n" + figures(report) + "\n";
  out += "peak memory " + bytes_text(report.peak_bytes) + ", of which " + bytes_text(report.kv_bytes) +
         " for keys and values at most\n";
  for (const model::SlowPath& path : report.slow_paths) out += "slow path: " + path.what + "\n";
  return out;
}

}  // namespace phial::cli

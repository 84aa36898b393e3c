#include "phial/cli/bench_page.h"

#include <utility>
#include <vector>

#include "phial/base/bytes_text.h"
#include "phial/base/html.h"
#include "phial/cli/roofline.h"

namespace phial::cli {
namespace {

constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:800px;margin:2rem auto;padding:0 1rem;background:#fff;"
    "color:#1f2328}"
    "h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th{font-weight:600;text-align:left;vertical-align:bottom}td,th{padding:.25rem .9rem .25rem 0}"
    ".figures td,.figures th{text-align:right;border-bottom:1px solid #e4e8ec}"
    ".wide{overflow-x:auto}svg{width:100%;height:auto}.slow{color:#a4260a}small{color:#59636e}"
    "@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e9ed}"
    ".figures td,.figures th{border-color:#2c3238}.slow{color:#ff9580}small{color:#9aa4af}}";

std::string facts(const BenchReport& report) {
  const bool has_better = report.isa != report.best_isa;
  const std::vector<std::pair<const char*, std::string>> rows = {
      {"Model", report.model + ", " + bytes_text(report.model_bytes) + " on disk"},
      {"Processor", report.processor.empty() ? "unknown" : report.processor},
      {"Memory", bytes_text(report.machine_bytes)},
      {"Threads", std::to_string(report.threads)},
      {"Kernels", report.isa + (has_better ? " (this machine has " + report.best_isa + ")" : "")},
      {"Precision", report.precision + ", keys and values in " + report.kv},
      {"Memory reads at", figure_text(report.read_gbps()) + " GB/s"},
      {"8-bit arithmetic", figure_text(report.int8_gops) + " GOPS"},
      {"Peak memory", bytes_text(report.peak_bytes)},
  };
  std::string out = "<table>";
  for (const auto& [name, value] : rows) {
    out += std::string("<tr><th>") + name + "</th><td>" + html_text(value) + "</td></tr>";
  }
  return out + "</table>\n";
}

std::string figures_table(const BenchReport& report) {
  std::string out =
      "<div class=\"wide\"><table class=\"figures\"><thead><tr><th>tokens<br/>before</th><th>prompt,<br/>tokens/s</th>"
      "<th><br/>GOPS</th><th>of the<br/>8-bit peak</th><th>first<br/>token, ms</th><th>decode,<br/>tokens/s</th>"
      "<th>MB a<br/>token</th><th><br/>GB/s</th><th>of the read<br/>bandwidth</th></tr></thead><tbody>";
  for (const BenchRun& run : report.runs) {
    out += "<tr>";
    for (const std::string& cell :
         {std::to_string(run.depth), figure_text(report.prefill_tps(run)), figure_text(report.prefill_gops(run)),
          percent_text(report.prefill_fraction(run)), figure_text(run.first_token_ms),
          figure_text(report.decode_tps(run)), figure_text(static_cast<double>(report.token_bytes(run)) / 1e6),
          figure_text(report.decode_gbps(run)), percent_text(report.decode_fraction(run))}) {
      out += "<td>" + cell + "</td>";
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>\n";
}

std::string slow_paths(const BenchReport& report) {
  std::string out;
  for (const model::SlowPath& path : report.slow_paths) {
    out += "<p class=\"slow\">Slow path: " + html_text(path.what) + ".</p>\n";
  }
  return out;
}

}  // namespace

std::string bench_page(const BenchReport& report) {
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n<title>phial bench: " +
                    html_text(report.model) +
                    "</title>\n<meta name=\"viewport\" content=\"width=device-width\"/>\n"
                    "<meta name=\"color-scheme\" content=\"light dark\"/>\n<style>" +
                    kStyle + "</style></head><body>\n<h1>" + html_text(report.model) + "</h1>\n";
  out += slow_paths(report) + facts(report);
  out += "<h2>Figures</h2>\n" + figures_table(report);
  if (const std::string plot = roofline_svg(report); !plot.empty()) {
    out += "<h2>How far from the limit</h2>\n" + plot +
           "<p><small>The line is the most that this machine can do, as the probes found it: the slope where memory is "
           "the limit, the flat part where arithmetic is. A point below it has so much left to gain. Operations are "
           "those of the weights' matrices, without attention.</small></p>\n";
  }
  return out + "</body></html>\n";
}

}  // namespace phial::cli

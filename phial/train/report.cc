#include "phial/train/report.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/html.h"
#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/train/curve_plot.h"

namespace phial::train {
namespace {

constexpr std::string_view kHeldOut = "held_out_";

constexpr const char* kPageStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1020px;margin:2rem auto;padding:0 1rem;background:var(--back);"
    "color:var(--ink)}h1{font-size:1.4rem;overflow-wrap:anywhere}"
    "dl{display:flex;flex-wrap:wrap;gap:.75rem 2rem;margin:1.5rem 0}dt,small{font-size:.8rem;color:var(--soft)}"
    "dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums}"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));gap:1.5rem 2rem}"
    "figure{margin:0;min-width:0;max-width:36rem}h2{display:inline;font-size:1rem;margin-right:.5rem;overflow-wrap:"
    "anywhere}"
    "figcaption{padding-left:11.25%;line-height:1.3}.key{display:inline-block;margin-right:.75rem}"
    ".key::before{content:'';display:inline-block;width:1.1rem;height:3px;margin-right:.35rem;vertical-align:middle;"
    "background:var(--line)}.key.faint::before{background:var(--faint)}.key.held-out::before{background:var(--held-out)"
    "}";

// How a key is shown; one that is not here stands behind these, by its own name.
struct KnownKey {
  std::string_view key, title, unit;
  ValueScale scale;
  bool is_noisy = true;  // and so averaged
};
constexpr KnownKey kKnownKeys[] = {
    {"loss", "Loss", "nats", ValueScale::kLinear},
    {"gradient_norm", "Gradient norm", "", ValueScale::kLogarithmic},
    {"lr", "Learning rate", "", ValueScale::kFromZero, false},
    {"reward_margin", "Reward margin", "nats", ValueScale::kLinear},
    {"reward_accuracy", "Reward accuracy", "share of pairs", ValueScale::kFromZero},
    {"reward_chosen", "Reward of chosen answers", "nats", ValueScale::kLinear},
    {"reward_rejected", "Reward of rejected answers", "nats", ValueScale::kLinear},
    {"kl", "KL divergence", "nats a token", ValueScale::kFromZero},
    {"tokens_per_second", "Speed", "tokens/s", ValueScale::kFromZero},
    {"tokens", "Tokens", "", ValueScale::kFromZero, false},
};

using Points = std::vector<CurvePoint>;

struct LoggedRun {
  std::map<std::string, Points, std::less<>> curves;  // by key
  int64_t lines = 0, skipped = 0;
  double first_step = 0, last_step = 0;

  int64_t reach_of_averages() const { return std::max<int64_t>(2, lines / 100); }
  bool has_averages(int64_t points) const { return points >= 10 * reach_of_averages(); }
  const Points& of(std::string_view key) const {
    static const Points kNone;
    const auto found = curves.find(key);
    return found == curves.end() ? kNone : found->second;
  }
};

Status add_line(LoggedRun& run, std::string_view line) {
  PHIAL_TRY(const Json object, parse_json(line));
  const auto step = find_int(object, "step");
  if (!step || *step < 0 || *step > kLastStep) {
    return Error{Code::kCorrupt, "no object with a \"step\" of 0 to " + std::to_string(kLastStep), ""};
  }
  const auto at = static_cast<double>(*step);
  for (const auto& [key, value] : object.items()) {
    if (key == "step" || !value.is_number()) continue;
    if (const auto number = value.get<double>(); std::fabs(number) < kLargestValue) {
      run.curves[key].push_back({at, number});
    }
  }
  run.skipped += find_bool(object, "skipped").value_or(false) ? 1 : 0;
  run.first_step = run.lines == 0 ? at : std::min(run.first_step, at);
  run.last_step = std::max(run.last_step, at);
  ++run.lines;
  return ok();
}

Result<LoggedRun> read_metrics(const std::filesystem::path& path) {
  PHIAL_TRY(const std::string text, read_text_file(path));
  LoggedRun run;
  for (std::string_view left = text; !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    if (const Status added = add_line(run, line); !added) {
      return Error{Code::kCorrupt, added.error().message, "take that line out"}.in(path.string() + ", line " +
                                                                                   std::to_string(run.lines + 1));
    }
  }
  return run;
}

// "6,553,600"
std::string whole_number(double value) {
  char text[128];
  std::snprintf(text, sizeof text, "%.0f", value);
  std::string out = text;
  const ptrdiff_t digits_begin = value < 0 ? 1 : 0;
  for (auto at = static_cast<ptrdiff_t>(out.size()) - 3; at > digits_begin; at -= 3) out.insert(out.begin() + at, ',');
  return out;
}

std::string four_digits(double value) {
  if (std::fabs(value) >= 1e3 && std::fabs(value) < 1e15) return whole_number(value);
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string figure(const char* name, const std::string& value, const std::string& more = "") {
  return std::string("<div><dt>") + name + "</dt><dd>" + value + (more.empty() ? "" : " <small>" + more + "</small>") +
         "</dd></div>";
}

std::string figure_at(const char* name, const CurvePoint& point) {
  return figure(name, four_digits(point.value), "step " + whole_number(point.step));
}

double median(const Points& points) {
  std::vector<double> values;
  for (const CurvePoint& point : points) values.push_back(point.value);
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

std::string figures(const LoggedRun& run) {
  std::string out = "<dl>" + figure("Steps", whole_number(run.last_step));
  if (const Points& tokens = run.of("tokens"); !tokens.empty()) {
    out += figure("Tokens", whole_number(tokens.back().value));
  }
  if (const Points& loss = run.of("loss"); !loss.empty()) {
    out += figure_at("Last loss", loss.back());
    out += figure_at("Lowest loss", *std::ranges::min_element(loss, {}, &CurvePoint::value));
  }
  if (const Points& held_out = run.of("held_out_loss"); !held_out.empty()) {
    out += figure_at("Held-out loss", held_out.back());
  }
  out += figure("Skipped steps", whole_number(static_cast<double>(run.skipped)));
  if (const Points& speed = run.of("tokens_per_second"); !speed.empty()) {
    out += figure("Speed, median", four_digits(median(speed)), "tokens/s");
  }
  out += "</dl>\n";
  if (!run.has_averages(run.lines)) return out;
  return out + "<p><small>Averages are exponential: the weight of a step falls to 1/e at a distance of " +
         whole_number(static_cast<double>(run.reach_of_averages())) + " steps, before and after.</small></p>\n";
}

// What a plot is, for those who do not see it.
std::string plot_label(const std::string& title, std::string_view unit, const Points& points) {
  const CurvePoint &first = points.front(), &last = points.back();
  return title + (unit.empty() ? "" : " in " + std::string(unit)) + ": " + four_digits(first.value) + " at step " +
         whole_number(first.step) + ", " + four_digits(last.value) + " at step " + whole_number(last.step);
}

std::string figure_of_key(const LoggedRun& run, const KnownKey& known) {
  const Points &points = run.of(known.key), &held_out = run.of(std::string(kHeldOut).append(known.key));
  if (points.empty() && held_out.empty()) return "";
  CurvePlot plot = {.first_step = run.first_step, .last_step = run.last_step, .scale = known.scale};
  std::string keys;
  const auto add = [&](const char* kind, const char* name, Points curve) {
    plot.curves.push_back({kind, std::move(curve)});
    keys += std::string("<small class=\"key ") + kind + "\">" + name + "</small>";
  };
  const bool is_averaged = known.is_noisy && run.has_averages(std::ssize(points));
  if (!points.empty()) add(is_averaged ? "faint" : "line", "each step", points);
  if (is_averaged) add("thick", "average", exponential_average(points, run.reach_of_averages()));
  if (!held_out.empty()) add("held-out", "held out", held_out);
  if (plot.curves.size() == 1 && held_out.empty()) keys.clear();  // it goes without saying
  const std::string title = html_text(known.title);
  plot.label = plot_label(title, known.unit, points.empty() ? held_out : points);
  return "<figure><h2>" + title + "</h2><small>" + std::string(known.unit) + "</small>" + curve_plot_svg(plot) +
         "<figcaption>" + keys + "</figcaption></figure>\n";
}

std::string plots(const LoggedRun& run) {
  std::string out = "<main>\n";
  for (const KnownKey& known : kKnownKeys) out += figure_of_key(run, known);
  for (const auto& [key, points] : run.curves) {
    std::string_view name = key;
    if (name.starts_with(kHeldOut)) name.remove_prefix(kHeldOut.size());
    const bool was_shown = std::ranges::find(kKnownKeys, name, &KnownKey::key) != std::end(kKnownKeys) ||
                           (name != key && !run.of(name).empty());
    if (!was_shown) out += figure_of_key(run, {name, name, "", ValueScale::kLinear});
  }
  return out + "</main>\n";
}

}  // namespace

Status write_report(const std::filesystem::path& metrics_jsonl, const std::filesystem::path& out_html,
                    std::string_view title) {
  PHIAL_TRY(const LoggedRun run, read_metrics(metrics_jsonl));
  const std::string name = html_text(title);
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n<title>" + name +
                     "</title>\n<meta name=\"viewport\" content=\"width=device-width\"/>\n"
                     "<meta name=\"color-scheme\" content=\"light dark\"/>\n<style>" +
                     kCurvePlotStyle + kPageStyle + "</style></head><body>\n<h1>" + name + "</h1>\n";
  page += run.lines > 0
              ? figures(run) + plots(run)
              : "<p>No step is logged yet: " + html_text(metrics_jsonl.filename().string()) + " has no lines.</p>\n";
  page += "</body></html>\n";
  return write_file_atomically(out_html, std::as_bytes(std::span(page)));
}

}  // namespace phial::train

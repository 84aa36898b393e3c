#include "phial/train/report.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/decimal.h"
#include "phial/base/html.h"
#include "phial/train/curve_plot.h"
#include "phial/train/logged_run.h"
#include "phial/train/plot_page.h"

namespace phial::train {
namespace {

constexpr std::string_view kHeldOut = "held_out_";

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
    {"mfu", "Model FLOPs utilization", "share of the machine's peak", ValueScale::kFromZero},
    {"tokens", "Tokens", "", ValueScale::kFromZero, false},
};

using Points = std::vector<CurvePoint>;

int64_t reach_of_averages(const LoggedRun& run) { return std::max<int64_t>(2, run.lines / 100); }
bool has_averages(const LoggedRun& run, int64_t points) { return points >= 10 * reach_of_averages(run); }

// "6,553,600"
std::string whole_number(double value) {
  std::string out = decimal("%.0f", value);
  const ptrdiff_t digits_begin = value < 0 ? 1 : 0;
  for (auto at = static_cast<ptrdiff_t>(out.size()) - 3; at > digits_begin; at -= 3) out.insert(out.begin() + at, ',');
  return out;
}

std::string four_digits(double value) {
  if (std::fabs(value) >= 1e3 && std::fabs(value) < 1e15) return whole_number(value);
  return decimal("%.4g", value);
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
    const Points& utilization = run.of("mfu");
    out += figure("Speed, median", four_digits(median(speed)),
                  utilization.empty() ? "tokens/s" : "tokens/s, " + decimal("%.0f%% MFU", 100 * median(utilization)));
  }
  out += "</dl>\n";
  if (!has_averages(run, run.lines)) return out;
  return out + "<p><small>Averages are exponential: the weight of a step falls to 1/e at a distance of " +
         whole_number(static_cast<double>(reach_of_averages(run))) + " steps, before and after.</small></p>\n";
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
    keys += curve_key_html(kind, name);
  };
  const bool is_averaged = known.is_noisy && has_averages(run, std::ssize(points));
  if (!points.empty()) add(is_averaged ? "faint" : "line", "each step", points);
  if (is_averaged) add("thick", "average", exponential_average(points, reach_of_averages(run)));
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
  return write_plot_page(out_html, title,
                         run.lines > 0 ? figures(run) + plots(run)
                                       : "<p>No step is logged yet: " + html_text(metrics_jsonl.filename().string()) +
                                             " has no lines.</p>\n");
}

}  // namespace phial::train

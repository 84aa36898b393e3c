#include "phial/train/sweep_report.h"

#include <cmath>
#include <utility>
#include <vector>

#include "phial/base/decimal.h"
#include "phial/train/curve_plot.h"
#include "phial/train/plot_page.h"

namespace phial::train {
namespace {

constexpr size_t kMostTicks = 8;

constexpr const char* kSweepStyle =
    ".curves path.best.points{stroke-width:11}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "td,th{padding:.25rem .9rem .25rem 0;text-align:right;border-bottom:1px solid var(--grid)}th{font-weight:600}"
    ".wide{overflow-x:auto;margin-top:1.5rem}";

std::string exact(double rate) { return dump_json(Json(rate)); }

std::string kind_of(size_t width) { return "w" + std::to_string(width); }

// From violet, the narrowest, to orange.
std::string colours_of_widths(size_t widths) {
  std::string css;
  for (size_t i = 0; i < widths; ++i) {
    const double share = widths < 2 ? 0 : static_cast<double>(i) / static_cast<double>(widths - 1);
    const std::string kind = kind_of(i), colour = "hsl(" + decimal("%.0f", 265 - 240 * share) + " 65% 52%)";
    css.append(".curves .").append(kind).append("{stroke:").append(colour).append(";stroke-width:1.5}");
    css.append(".key.").append(kind).append("::before{background:").append(colour).append("}");
  }
  return css;
}

CurvePoint point_at(const Sweep& sweep, const SweepWidth& swept, size_t rate) {
  return {std::log2(sweep.rates[rate]), swept.losses[rate]};
}

void add_curves(const Sweep& sweep, size_t width, CurvePlot& plot) {
  const SweepWidth& swept = sweep.widths[width];
  Curve& curve = plot.curves.emplace_back(Curve{kind_of(width), {}});
  for (size_t i = 0; i < sweep.rates.size(); ++i) {
    if (std::isfinite(swept.losses[i])) curve.points.push_back(point_at(sweep, swept, i));
  }
  if (swept.best) plot.curves.push_back({kind_of(width) + " best", {point_at(sweep, swept, *swept.best)}});
}

std::string loss_name(const Sweep& sweep) {
  return sweep.held_out ? "loss on held-out data" : "mean loss of the last tenth of the steps";
}

std::string sweep_figure(const Sweep& sweep) {
  CurvePlot plot = {.label = "Loss over the learning rate: " + sweep_words(sweep),
                    .across = "learning rate",
                    .first_step = std::log2(sweep.rates.front()),
                    .last_step = std::log2(sweep.rates.back())};
  const size_t every = (sweep.rates.size() - 1) / kMostTicks + 1;
  for (size_t i = 0; i < sweep.rates.size(); i += every) {
    plot.ticks.push_back({std::log2(sweep.rates[i]), decimal("%.3g", sweep.rates[i])});
  }
  std::string keys;
  for (size_t i = 0; i < sweep.widths.size(); ++i) {
    add_curves(sweep, i, plot);
    keys += curve_key_html(kind_of(i), "width " + std::to_string(sweep.widths[i].width));
  }
  return "<main><figure><h2>Loss</h2><small>" + loss_name(sweep) + "</small>" + curve_plot_svg(plot) + "<figcaption>" +
         keys + "</figcaption></figure></main>\n";
}

std::string sweep_table(const Sweep& sweep) {
  std::string out = "<div class=\"wide\"><table><thead><tr><th>width</th>";
  for (const double rate : sweep.rates) out += "<th>" + decimal("%.3g", rate) + "</th>";
  out += "</tr></thead><tbody>";
  for (const SweepWidth& swept : sweep.widths) {
    out += "<tr><th>" + std::to_string(swept.width) + "</th>";
    for (size_t i = 0; i < swept.losses.size(); ++i) {
      const std::string text = std::isfinite(swept.losses[i]) ? decimal("%.4f", swept.losses[i]) : "diverges";
      out += "<td>" + (swept.best == i ? "<b>" + text + "</b>" : text) + "</td>";
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>\n";
}

}  // namespace

Json sweep_json(const Sweep& sweep) {
  Json widths = Json::array();
  for (const SweepWidth& swept : sweep.widths) {
    const auto of_best = [&](const std::vector<double>& values) {
      return swept.best ? Json(values[*swept.best]) : Json(nullptr);
    };
    widths.push_back({{"width", swept.width},
                      {"losses", swept.losses},
                      {"runs", swept.runs},
                      {"best_rate", of_best(sweep.rates)},
                      {"best_loss", of_best(swept.losses)}});
  }
  return {{"mup", sweep.mup},
          {"measure", sweep.held_out ? "held_out_loss" : "loss"},
          {"steps", sweep.steps},
          {"rates", sweep.rates},
          {"widths", std::move(widths)},
          {"shift", sweep.shift ? Json(*sweep.shift) : Json(nullptr)}};
}

std::string sweep_words(const Sweep& sweep) {
  const SweepWidth &narrow = sweep.widths.front(), &wide = sweep.widths.back();
  const auto best_of = [&](const SweepWidth& swept) {
    return (swept.best ? exact(sweep.rates[*swept.best]) : "none that was tried") + " at width " +
           std::to_string(swept.width);
  };
  std::string words = "the best learning rate is " + best_of(narrow);
  if (sweep.widths.size() < 2) return words;
  words += " and " + best_of(wide);
  if (!sweep.shift) return words;
  words += ": it moves by " + decimal("%.1f", *sweep.shift) + " factors of two";
  const double transferred = wide.losses[*narrow.best], lowest = wide.losses[*wide.best];
  if (!std::isfinite(transferred)) return words + ", and the wide model diverges at the narrow one's";
  return words + ", and the narrow model's costs the wide one " + decimal("%.4f", transferred - lowest) + " in loss";
}

Status write_sweep_page(const Sweep& sweep, const std::filesystem::path& out_html, std::string_view title) {
  const std::string body = "<p>" + std::string(sweep.mup ? "With" : "Without") + " muP, " + sweep_words(sweep) + ". " +
                           std::to_string(sweep.steps) + " steps a run.</p>\n" + sweep_figure(sweep) +
                           sweep_table(sweep);
  return write_plot_page(out_html, title, body, kSweepStyle + colours_of_widths(sweep.widths.size()));
}

}  // namespace phial::train

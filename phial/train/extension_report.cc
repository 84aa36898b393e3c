#include "phial/train/extension_report.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "phial/base/decimal.h"
#include "phial/base/json_writer.h"
#include "phial/train/curve_plot.h"
#include "phial/train/heat_map.h"
#include "phial/train/plot_page.h"

namespace phial::train {
namespace {

constexpr const char* kTaskTitles[] = {"Pass key", "Needle"};

constexpr const char* kExtensionStyle =
    ".curves .m0{stroke:hsl(25 65% 52%);stroke-width:1.5}.key.m0::before{background:hsl(25 65% 52%)}"
    ".curves .m1{stroke:hsl(265 65% 62%);stroke-width:1.5}.key.m1::before{background:hsl(265 65% 62%)}"
    ".curves .m2{stroke:var(--line);stroke-width:2}.key.m2::before{background:var(--line)}";

// Over all depths that were asked; -1: none was.
double mean_share(const std::vector<double>& depths) {
  double sum = 0;
  int64_t n = 0;
  for (const double share : depths) {
    if (share < 0) continue;
    sum += share;
    ++n;
  }
  return n == 0 ? -1 : sum / static_cast<double>(n);
}

// null where nothing was asked.
Json shares_json(const RetrievalShares& shares) {
  Json rows = Json::array();
  for (const std::vector<double>& row : shares) {
    Json& out = rows.emplace_back(Json::array());
    for (const double share : row) out.push_back(share < 0 ? Json(nullptr) : Json(share));
  }
  return rows;
}

std::string padded(const std::string& text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

std::string loss_figure(const Extension& extension) {
  CurvePlot plot = {.label = "Loss over the length of rows",
                    .across = "tokens of a row",
                    .first_step = std::log2(extension.lengths.front()),
                    .last_step = std::log2(extension.lengths.back())};
  for (const int64_t length : extension.lengths) plot.ticks.push_back({std::log2(length), std::to_string(length)});
  std::string keys;
  for (size_t m = 0; m < extension.measured.size(); ++m) {
    const MeasuredContext& measured = extension.measured[m];
    const std::string kind = "m" + std::to_string(m);
    Curve& curve = plot.curves.emplace_back(Curve{kind, {}});
    for (size_t i = 0; i < extension.lengths.size(); ++i) {
      if (std::isfinite(measured.losses[i]))
        curve.points.push_back({std::log2(extension.lengths[i]), measured.losses[i]});
    }
    keys += curve_key_html(kind, measured.name);
  }
  return "<figure><h2>Loss</h2><small>of held-out rows, nats a token</small>" + curve_plot_svg(plot) + "<figcaption>" +
         keys + "</figcaption></figure>\n";
}

std::string retrieval_figure(const Extension& extension, size_t task, const MeasuredContext& measured) {
  HeatMap map = {.label = std::string(kTaskTitles[task]) + " found, " + measured.name,
                 .across = "tokens of a prompt",
                 .down = "depth",
                 .shares = measured.retrieval[task]};
  for (const int64_t length : extension.lengths) map.columns.push_back(std::to_string(length));
  for (const double depth : extension.depths) map.rows.push_back(decimal("%.0f %%", 100 * depth));
  return "<figure><h2>" + std::string(kTaskTitles[task]) + "</h2><small>found, " + measured.name + "</small>" +
         heat_map_svg(map) + "</figure>\n";
}

}  // namespace

Json extension_json(const Extension& extension) {
  Json known = Json::object(), measured = Json::object();
  for (const NamedRopeFactors& each : extension.factors.known) {
    known[each.name] = {{"factors", each.values}, {"loss", each.loss}};
  }
  for (const MeasuredContext& each : extension.measured) {
    Json& out = measured[each.name] = {{"losses", each.losses}};
    for (size_t task = 0; task < kRetrievalTasks.size(); ++task) {
      if (!each.retrieval[task].empty()) out[kRetrievalTasks[task]] = shares_json(each.retrieval[task]);
    }
  }
  return {{"lengths", extension.lengths},
          {"depths", extension.depths},
          {"factors", extension.factors.best.values},
          {"searched_loss", extension.factors.best.loss},
          {"known", std::move(known)},
          {"measured", std::move(measured)}};
}

std::string extension_table(const Extension& extension) {
  const auto columns_of = [&](const char* what, const auto& cell) {
    std::string head = std::string("  ") + what, names;
    std::vector<std::string> lines(extension.lengths.size());
    for (const MeasuredContext& measured : extension.measured) {
      names += padded(measured.name, 9);
      for (size_t i = 0; i < lines.size(); ++i) lines[i] += padded(cell(measured, i), 9);
    }
    head.resize(std::max(head.size(), names.size()), ' ');
    lines.insert(lines.begin(), {head, names});
    return lines;
  };
  const size_t width = std::max(std::string("tokens").size(), std::to_string(extension.lengths.back()).size());
  std::vector<std::string> table = {padded("", width), padded("tokens", width)};
  for (const int64_t length : extension.lengths) table.push_back(padded(std::to_string(length), width));
  const auto add = [&](const std::vector<std::string>& lines) {
    for (size_t i = 0; i < table.size(); ++i) table[i] += lines[i];
  };
  add(columns_of("loss", [](const MeasuredContext& m, size_t i) { return decimal("%.4f", m.losses[i]); }));
  for (size_t task = 0; task < kRetrievalTasks.size(); ++task) {
    if (extension.measured.front().retrieval[task].empty()) continue;
    add(columns_of(kRetrievalTasks[task], [&](const MeasuredContext& m, size_t i) {
      const double share = mean_share(m.retrieval[task][i]);
      return share < 0 ? std::string("-") : decimal("%.0f %%", 100 * share);
    }));
  }
  std::string out;
  for (std::string& line : table) out += line.erase(line.find_last_not_of(' ') + 1) + "\n";
  return out;
}

Metrics extension_metrics(const Extension& extension) {
  Metrics metrics;
  for (const size_t i : {size_t{0}, extension.lengths.size() - 1}) {
    const std::string length = "_" + std::to_string(extension.lengths[i]) + "_";
    for (const MeasuredContext& measured : extension.measured) {
      metrics.emplace_back("loss" + length + measured.name, measured.losses[i]);
      for (size_t task = 0; task < kRetrievalTasks.size(); ++task) {
        if (measured.retrieval[task].empty()) continue;
        const double share = mean_share(measured.retrieval[task][i]);
        if (share >= 0) metrics.emplace_back(kRetrievalTasks[task] + length + measured.name, share);
      }
    }
  }
  return metrics;
}

Status write_extension(const Extension& extension, const std::filesystem::path& folder, std::string_view title) {
  PHIAL_CHECKED(write_json_file(folder / "extension.json", extension_json(extension)));
  std::string body = "<main>\n" + loss_figure(extension) + "</main>\n";
  for (size_t task = 0; task < kRetrievalTasks.size(); ++task) {
    if (extension.measured.front().retrieval[task].empty()) continue;
    body += "<main>\n";
    for (const MeasuredContext& measured : extension.measured) body += retrieval_figure(extension, task, measured);
    body += "</main>\n";
  }
  return write_plot_page(folder / "extension.html", title, body, std::string(kHeatMapStyle) + kExtensionStyle);
}

}  // namespace phial::train

#include "phial/train/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

size_t count_of(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

// The <figure> whose heading is `title`.
std::string figure_named(const std::string& page, const std::string& title) {
  const size_t begin = page.find("<figure><h2>" + title + "</h2>");
  if (begin == std::string::npos) return "no such figure";
  return page.substr(begin, page.find("</figure>", begin) - begin);
}

class Report : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Status report(std::string_view lines, std::string_view title = "a run") const {
    std::ofstream(folder_ / "metrics.jsonl", std::ios::binary) << lines;
    return write_report(folder_ / "metrics.jsonl", folder_ / "report.html", title);
  }
  std::string page(std::string_view lines, std::string_view title = "a run") const {
    const Status written = report(lines, title);
    EXPECT_TRUE(written) << written.error().text();
    return *read_text_file(folder_ / "report.html");
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) /
      (std::string("phial_report_") + testing::UnitTest::GetInstance()->current_test_info()->name());
};

// As pretrain writes it; the loss falls to 2.5, held out it is measured every fourth step.
std::string lines_of_run(int steps) {
  std::string out;
  for (int step = 1; step <= steps; ++step) {
    Json line = {{"step", step},          {"loss", 2.5 + 4.0 / step}, {"gradient_norm", 1.0 / step},     {"lr", 3e-4},
                 {"tokens", 8192 * step}, {"skipped", false},         {"tokens_per_second", 4000 + step}};
    if (step % 4 == 0) line["held_out_loss"] = 2.75 + 4.0 / step;
    out += dump_json(line) + "\n";
  }
  return out;
}

constexpr const char* kSkippedStep =
    R"({"step": 9, "loss": null, "gradient_norm": null, "lr": 3e-4, "tokens": 73728, "skipped": true})"
    "\n";

TEST_F(Report, TheHeadHasTheFiguresOfTheRun) {
  const std::string html = page(lines_of_run(8) + kSkippedStep);
  for (const char* figure :
       {"<dt>Steps</dt><dd>9</dd>", "<dt>Tokens</dt><dd>73,728</dd>",
        "<dt>Last loss</dt><dd>3 <small>step 8</small></dd>", "<dt>Lowest loss</dt><dd>3 <small>step 8</small></dd>",
        "<dt>Held-out loss</dt><dd>3.25 <small>step 8</small></dd>", "<dt>Skipped steps</dt><dd>1</dd>",
        "<dt>Speed, median</dt><dd>4,005 <small>tokens/s</small></dd>"}) {
    EXPECT_THAT(html, HasSubstr(figure));
  }
}

TEST_F(Report, EveryKeyHasAPlotThatSaysWhatItIs) {
  const std::string html = page(lines_of_run(40));
  for (const char* title : {"Loss", "Gradient norm", "Learning rate", "Speed", "Tokens"}) {
    EXPECT_THAT(figure_named(html, title), AllOf(HasSubstr("role=\"img\" aria-label=\"" + std::string(title)),
                                                 HasSubstr("<path"), HasSubstr(">step</text>")));
  }
  EXPECT_EQ(count_of(html, "<svg"), 5U);
  EXPECT_THAT(html, HasSubstr("aria-label=\"Loss in nats: 6.5 at step 1, 2.6 at step 40\""));
}

TEST_F(Report, HeldOutLossSharesThePlotOfTheLoss) {
  const std::string loss = figure_named(page(lines_of_run(40)), "Loss");
  EXPECT_THAT(loss, AllOf(HasSubstr("<path class=\"faint\""), HasSubstr("<path class=\"thick\""),
                          HasSubstr("<path class=\"held-out\""), HasSubstr("average"), HasSubstr("held out")));
}

TEST_F(Report, KeysThatNobodyKnowsHaveTheirPlotsToo) {
  const std::string html = page(
      R"({"step": 1, "entropy": 1.5, "held_out_entropy": 1.75, "held_out_score": 4, "note": "words", "skipped": false})"
      "\n"
      R"({"step": 2, "entropy": 1.25})");
  EXPECT_THAT(figure_named(html, "entropy"), AllOf(HasSubstr("class=\"line\""), HasSubstr("class=\"held-out\"")));
  EXPECT_THAT(figure_named(html, "score"), HasSubstr("class=\"held-out\""));
  EXPECT_EQ(count_of(html, "<svg"), 2U);
}

TEST_F(Report, ThePageNeedsNothingElse) {
  const std::string html = page(lines_of_run(40));
  EXPECT_THAT(html,
              AllOf(HasSubstr("prefers-color-scheme:dark"), HasSubstr("width=device-width"), Not(HasSubstr("<script")),
                    Not(HasSubstr("<link")), Not(HasSubstr("//")), Not(HasSubstr("url("))));
}

TEST_F(Report, WhatComesFromOutsideIsShownLetterByLetter) {
  const std::string html = page(R"({"step": 1, "<script>\"&": 2})", "<b>\"fast\" & wide</b>");
  EXPECT_THAT(html, AllOf(HasSubstr("<h1>&lt;b&gt;&quot;fast&quot; &amp; wide&lt;/b&gt;</h1>"),
                          HasSubstr("<h2>&lt;script&gt;&quot;&amp;</h2>"),
                          HasSubstr("aria-label=\"&lt;script&gt;&quot;&amp;: 2 at step 1"), Not(HasSubstr("<script")),
                          Not(HasSubstr("<b>"))));
}

TEST_F(Report, ALongRunIsThinnedOutAndKeepsItsSpikes) {
  std::string lines;
  for (int step = 1; step <= 100'000; ++step) {
    const double spike = step == 50'000 ? 900 : 0;
    lines += "{\"step\": " + std::to_string(step) + ", \"x\": " + std::to_string(step % 7 + spike) + "}\n";
  }
  const std::string plot = figure_named(page(lines), "x");
  const size_t begin = plot.find("<path class=\"faint\"");
  const std::string curve = plot.substr(begin, plot.find("/>", begin) - begin);
  EXPECT_EQ(count_of(curve, "L"), 999U);
  EXPECT_THAT(plot, HasSubstr(">1000</text>"));
  EXPECT_LT(plot.size(), 40'000U);
}

TEST_F(Report, AFileWithoutLinesMakesAPageThatSaysSo) {
  const std::string html = page("");
  EXPECT_THAT(html, AllOf(HasSubstr("metrics.jsonl has no lines"), Not(HasSubstr("<svg"))));
}

TEST_F(Report, ADamagedLineIsAnErrorThatNamesIt) {
  for (const char* line : {"{\"step\": 3, \"lo", "", "[3]", "{\"loss\": 3}", "{\"step\": -1}", "{\"step\": 1.5}",
                           "{\"step\": 2000000000000}", "{\"step\": \"3\"}", "{\"step\": 3, \"loss\": NaN}"}) {
    const Status written = report(lines_of_run(2) + line + "\n" + lines_of_run(1));
    ASSERT_FALSE(written) << line;
    EXPECT_EQ(written.error().code, Code::kCorrupt);
    EXPECT_THAT(written.error().message, HasSubstr("metrics.jsonl, line 3)")) << line;
  }
  EXPECT_FALSE(fs::exists(folder_ / "report.html"));
}

TEST_F(Report, ValuesBeyondAllBoundsAreLeftOut) {
  const std::string html = page(R"({"step": 1, "x": 1e300, "y": -1e100})"
                                "\n"
                                R"({"step": 2, "x": 5})");
  EXPECT_THAT(figure_named(html, "x"), HasSubstr("5 at step 2, 5 at step 2"));
  EXPECT_EQ(count_of(html, "<svg"), 1U);
}

TEST_F(Report, AFileThatIsNotThereIsAnErrorThatNamesIt) {
  const Status written = write_report(folder_ / "none.jsonl", folder_ / "report.html", "a run");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kNotFound);
  EXPECT_THAT(written.error().message, HasSubstr("none.jsonl"));
}

}  // namespace
}  // namespace phial::train

#include "phial/cli/bench_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <string>
#include <string_view>
#include <vector>

#include "phial/cli/bench_page.h"
#include "phial/cli/roofline.h"

namespace phial::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

// Round numbers: a gigabyte of weights, 10 ms a token, a probe of 200 GB/s and 1000 GOPS.
BenchReport report() {
  return {.model = "model.gguf",
          .precision = "fast",
          .kv = "f16",
          .isa = "avx2",
          .best_isa = "avx512",
          .processor = "Some <Processor>",
          .threads = 2,
          .prompt = 100,
          .gen = 8,
          .machine_bytes = 16'000'000'000,
          .model_bytes = 1'100'000'000,
          .kv_bytes = 300'000'000,
          .peak_bytes = 1'500'000'000,
          .int8_gops = 1000,
          .work = {.weights_bytes = 1'000'000'000, .multiply_adds = 1e9, .output_multiply_adds = 1e8},
          .slow_paths = {{.what = "3 matrices are stored as Q6_K", .matters = false}},
          .runs = {{.depth = 0, .prefill_ms = 400, .token_ms = 10, .first_token_ms = 400, .read_gbps = 200},
                   {.depth = 2048,
                    .prefill_ms = 500,
                    .token_ms = 20,
                    .first_token_ms = 500,
                    .kv_bytes = 200'000'000,
                    .read_gbps = 120}}};
}

TEST(BenchReport, DerivesWhatFollowsFromTheTimes) {
  const BenchReport r = report();
  EXPECT_DOUBLE_EQ(r.decode_tps(r.runs[0]), 100);
  EXPECT_DOUBLE_EQ(r.decode_gbps(r.runs[0]), 100);
  EXPECT_DOUBLE_EQ(r.decode_fraction(r.runs[0]), 0.5);
  EXPECT_DOUBLE_EQ(r.decode_gops(r.runs[0]), 220);
  EXPECT_DOUBLE_EQ(r.prefill_tps(r.runs[0]), 250);
  EXPECT_DOUBLE_EQ(r.prefill_gops(r.runs[0]), 2 * (1e9 * 100 + 1e8) / 0.4 / 1e9);
  EXPECT_DOUBLE_EQ(r.decode_gbps(r.runs[1]), 60);  // weights and the cache
  EXPECT_DOUBLE_EQ(r.decode_fraction(r.runs[1]), 0.5);
}

TEST(BenchReport, JsonHasTheFirstDepthOnTopAndAllInAnArray) {
  const Json json = bench_json(report());
  EXPECT_EQ(json["depth"], 0);
  EXPECT_EQ(json["decode_tps"], 100.0);
  EXPECT_EQ(json["read_gbps"], 200.0);
  EXPECT_EQ(json["peak_rss_bytes"], 1'500'000'000U);
  EXPECT_EQ(json["slow_paths"], Json::array({"3 matrices are stored as Q6_K"}));
  ASSERT_EQ(json["runs"].size(), 2U);
  for (const char* field :
       {"depth", "decode_tps", "decode_gbps", "decode_fraction", "prefill_tps", "first_token_ms", "token_bytes"}) {
    EXPECT_EQ(json["runs"][0][field], json[field]) << field;
  }
  EXPECT_EQ(json["runs"][1]["depth"], 2048);
  EXPECT_EQ(json["runs"][1]["token_bytes"], 1'200'000'000U);
}

TEST(BenchReport, TextHasUnitsAndALineADepth) {
  const std::string text = bench_text(report());
  EXPECT_THAT(text, HasSubstr("2 threads, kernels for avx2 (this machine has avx512)"));
  EXPECT_THAT(text, HasSubstr("200 GB/s"));
  EXPECT_THAT(text, HasSubstr("1000 GOPS"));
  EXPECT_THAT(text, HasSubstr("50 %"));
  EXPECT_THAT(text, HasSubstr("peak memory 1.5 GB"));
  EXPECT_THAT(text, HasSubstr("slow path: 3 matrices are stored as Q6_K\n"));
  size_t begin = text.find("tokens   ");
  std::vector<size_t> widths;  // of the two lines of headings and the two of figures: aligned at the right
  for (int i = 0; i < 4; ++i) {
    const size_t end = text.find('\n', begin);
    widths.push_back(end - begin);
    begin = end + 1;
  }
  EXPECT_THAT(widths, testing::Each(widths.front()));
}

TEST(BenchReport, WhatWasNotMeasuredIsLeftOut) {
  BenchReport r = report();
  r.int8_gops = 0;
  for (BenchRun& run : r.runs) run.read_gbps = 0;
  EXPECT_THAT(bench_text(r), Not(HasSubstr("at best")));
  EXPECT_EQ(bench_json(r)["decode_fraction"], 0);
  EXPECT_EQ(roofline_svg(r), "");
  r.prompt = 0;
  EXPECT_THAT(bench_text(r), Not(HasSubstr("prompt")));
}

TEST(FigureText, HasThreeDigitsThatCount) {
  EXPECT_EQ(figure_text(1234.5), "1234");
  EXPECT_EQ(figure_text(98.44), "98.4");
  EXPECT_EQ(figure_text(1.104), "1.10");
  EXPECT_EQ(figure_text(0), "-");
  EXPECT_EQ(percent_text(0.714), "71 %");
  EXPECT_EQ(percent_text(0.0123), "1.2 %");
}

// Every element is closed where it was opened; text holds no bare < or &. Enough of XML for what these pages use.
testing::AssertionResult is_well_formed(std::string_view page) {
  std::vector<std::string> open;
  for (size_t at = 0; at < page.size(); ++at) {
    if (page[at] == '&') {
      const size_t end = page.find(';', at);
      if (end == page.npos || end - at > 6) return testing::AssertionFailure() << "bare & at " << page.substr(at, 40);
    }
    if (page[at] != '<') continue;
    const size_t end = page.find('>', at);
    if (end == page.npos) return testing::AssertionFailure() << "open tag at " << page.substr(at, 40);
    const std::string_view tag = page.substr(at + 1, end - at - 1);
    const std::string name(tag.substr(tag.starts_with('/') ? 1 : 0, tag.find_first_of(" />", 1) - (tag[0] == '/')));
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != tag.substr(1)) return testing::AssertionFailure() << "stray </" << name;
      open.pop_back();
    } else if (!tag.ends_with('/') && !tag.starts_with('!')) {
      open.push_back(std::string(tag.substr(0, tag.find(' '))));
    }
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return testing::AssertionFailure() << "quotes in " << tag;
    at = end;
  }
  if (!open.empty()) return testing::AssertionFailure() << "never closed: " << open.back();
  return testing::AssertionSuccess();
}

TEST(BenchPage, IsWellFormedAndStandsAlone) {
  const std::string page = bench_page(report());
  EXPECT_TRUE(is_well_formed(page));
  EXPECT_THAT(page, HasSubstr("<svg"));
  for (const char* outside : {"src=", "href=", "url(", "@import", "<script"}) {
    EXPECT_THAT(page, Not(HasSubstr(outside))) << outside;
  }
}

TEST(BenchPage, ShowsNamesLetterByLetter) {
  BenchReport r = report();
  r.model = "<b>&\"'\xff</b>.gguf";
  const std::string page = bench_page(r);
  EXPECT_TRUE(is_well_formed(page));
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;&amp;&quot;&#39;\xEF\xBF\xBD&lt;/b&gt;.gguf"));
  EXPECT_THAT(page, HasSubstr("Some &lt;Processor&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
}

TEST(Roofline, HasAPointForEveryFigureAndNoNumberThatIsNone) {
  const std::string svg = roofline_svg(report());
  EXPECT_TRUE(is_well_formed(svg));
  size_t points = 0;
  for (size_t at = svg.find("<circle"); at != svg.npos; at = svg.find("<circle", at + 1)) ++points;
  EXPECT_EQ(points, 4U);
  for (const char* bad : {"nan", "inf"}) EXPECT_THAT(svg, Not(HasSubstr(bad)));
  EXPECT_THAT(svg, HasSubstr("memory 200 GB/s"));
  EXPECT_THAT(svg, HasSubstr("8-bit peak 1000 GOPS"));
}

}  // namespace
}  // namespace phial::cli

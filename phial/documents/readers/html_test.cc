#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "phial/documents/testing.h"

namespace phial::documents {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(Html, BlocksAreWhatABrowserWouldSetApart) {
  const auto document = read_well("a.html",
                                  "<title>The  title</title><h1>One</h1><p>Some <b>bold</b>\n text<br>next line"
                                  "<div>box<p>inner</div><ul><li>first<li>second</ul><ol start=3><li>third</ol>"
                                  "<pre>int x;\n  int y;</pre>");
  EXPECT_EQ(document.title, "The title");
  EXPECT_EQ(document.format, "html");
  EXPECT_THAT(outline(document), ElementsAre("h1:One", "p:Some bold text\nnext line", "p:box", "p:inner", "li:- first",
                                             "li:- second", "li:3. third", "code:int x;\n  int y;"));
}

TEST(Html, ButtonsAndSignsThatLinkToAHeadingAreNoText) {
  const auto document =
      read_well("a.html",
                "<h1>Path<span><a class=mark href='#path'>#</a></span></h1><h2>Join<a href=#j>\u00B6</a>"
                "</h2><pre>x<button>copy</button></pre><p>See <a href='#n'>note #</a><a href=b>#</a>.");
  EXPECT_THAT(outline(document), ElementsAre("h1:Path", "h2:Join", "code:x", "p:See note ##."));
}

TEST(Html, OnlyTheFirstTextOfAListItemCarriesTheBullet) {
  const auto document = read_well("a.html", "<ul><li><p>head</p><p>tail</p><ul><li>sub</ul></ul>");
  EXPECT_THAT(outline(document), ElementsAre("li:- head", "p:tail", "li:- sub"));
}

TEST(Html, TablesOfDataAreRowsAndTablesForLayoutAreText) {
  const auto data =
      read_well("a.html", "<table><caption>Ages</caption><tr><th>Name<th>Age<tr><td>Ada<td>36<tr><td>Bob<td></table>");
  EXPECT_THAT(outline(data), ElementsAre("table:Ages\nName | Age\nAda | 36\nBob |"));
  const auto layout = read_well("a.html", "<table><tr><td><h2>Left</h2><p>text<td>right</table>");
  EXPECT_THAT(outline(layout), ElementsAre("h2:Left", "p:text", "p:right"));
}

TEST(Html, WhatIsNotShownIsLeftOutAndReported) {
  const char* const kHidden[] = {
      "<span style='display: none'>PLANTED</span>",
      "<span style='font-size:0px'>PLANTED</span>",
      "<span style='color:#fff;background:#fff'>PLANTED</span>",
      "<span style='opacity:0'>PLANTED</span>",
      "<span style='position:absolute;left:-9999px'>PLANTED</span>",
      "<div hidden>PLANTED</div>",
      "<div aria-hidden=true>PLANTED</div>",
      "<style>.x{display:none}</style><p class='y x'>PLANTED</p>",
      "<style>/* a */ p.x, #z { visibility : hidden }</style><p id=z>PLANTED</p>",
      "<div style='display:none'><p>deep <b>PLANTED</b></p></div>",
      "<style>@media screen{.m{display:none}}</style><p class=m>PLANTED</p>",
      "<style>#box div.x > p{display:none}</style><div id=box><div class='x y'><p>PLANTED</p></div></div>",
      "<style>.a .b{display:none}</style><div class=a><div><i class=b>PLANTED</i></div></div>",
      "<span style='display:/**/none'>PLANTED</span>",
      "<span style='clip-path:inset(50%)'>PLANTED</span>",
      "<span style='transform:scale(0)'>PLANTED</span>",
      "<span style='color:rgba(0,0,0,0)'>PLANTED</span>",
      "<span style='color:#fffffe;background-color:#ffffff'>PLANTED</span>",
      "<span style='position:absolute;width:1px;height:1px;overflow:hidden'>PLANTED</span>",
      "<dialog>PLANTED</dialog>",
  };
  for (const char* hidden : kHidden) {
    const auto document = read_well("a.html", std::string("<p>seen</p>") + hidden + "<p>too</p>");
    EXPECT_THAT(document.text, Not(HasSubstr("PLANTED"))) << hidden;
    EXPECT_THAT(outline(document), ElementsAre("p:seen", "p:too")) << hidden;
    EXPECT_THAT(document.left_out, Contains(HasSubstr("left out"))) << hidden;
  }
  for (const char* never : {"<script>PLANTED</script>", "<!-- PLANTED -->", "<template>PLANTED</template>",
                            "<noscript>PLANTED</noscript>", "<img alt=PLANTED>", "<script>'<!--' PLANTED</script>"}) {
    EXPECT_EQ(read_well("a.html", std::string("<p>seen</p>") + never).text, "seen") << never;
  }
}

TEST(Html, ALaterRuleMayShowWhatAnEarlierOneHid) {
  EXPECT_EQ(read_well("a.html", "<style>.x{display:none}.x{display:block}</style><p class=x>seen").text, "seen");
  EXPECT_EQ(read_well("a.html", "<style>@media print{.x{display:none}}</style><p class=x>seen").text, "seen");
}

TEST(Html, TheMoreSpecificRuleCountsAndTheElementsOwnStyleMost) {
  const std::string sheet = "<style>.tab.on{display:block} .tab{display:none} @media print{.p{display:none}}</style>";
  const auto document = read_well("a.html", sheet +
                                                "<p class='tab on'>one<p class=tab>two<p class=tab "
                                                "style='display:block'>three<p class=p>four");
  EXPECT_THAT(outline(document), ElementsAre("p:one", "p:three", "p:four"));
}

TEST(Html, PowersAndSignsOfNotesStayApartFromWhatTheyFollow) {
  const auto document = read_well("a.html",
                                  "<p>10<sup>6</sup> m<sup>2</sup>, costs 25<sup><a href=#n>1</a></sup>, the 1"
                                  "<sup>st</sup><table><tr><td>2<sup>8</sup><td>256</table>");
  EXPECT_THAT(outline(document), ElementsAre("p:10^6 m^2, costs 25[1], the 1st", "table:2^8 | 256"));
}

TEST(Html, ItemsMayNameTheirNumberAndCommentsMayEndBadly) {
  EXPECT_THAT(outline(read_well("a.html", "<ol><li>a<li value=7>b<li>c</ol>")),
              ElementsAre("li:1. a", "li:7. b", "li:8. c"));
  EXPECT_THAT(outline(read_well("a.html", "<p>a</p><!-- x --!><p>b</p><!-- y --><p>c</p>")),
              ElementsAre("p:a", "p:b", "p:c"));
}

TEST(Html, InvisibleCharactersAreDropped) {
  const auto document = read_well("a.html", "<p>a\u200Bb\u202Ec\U000E0041d&shy;e&nbsp;f</p>");
  EXPECT_EQ(document.text, "abcde f");
}

TEST(Html, ADeclaredCharsetIsBelieved) {
  EXPECT_EQ(read_well("a.html", "<meta charset=iso-8859-1><p>caf\xE9 na\xEFve").text, "café naïve");
  EXPECT_EQ(
      read_well("a.html", "<meta http-equiv=content-type content='text/html; charset=koi8-r'><p>\xD0\xD2\xC9").text,
      "при");
}

TEST(Html, AHundredThousandNestedElementsAreReadInBoundedDepth) {
  for (const char* tag : {"<div>", "<b>", "<b id=x>", "<table><tr><td>", "<ul><li>", "<span><p>", "<a href=x><i>"}) {
    std::string page;
    for (int i = 0; i < 100'000; ++i) page += tag;
    page += "the end";
    const Reading reading = read_bytes("a.html", page);
    ASSERT_TRUE(reading.document) << tag;
    EXPECT_THAT(reading.document->text, HasSubstr("the end")) << tag;
  }
}

TEST(Html, ATagOfAHundredThousandAttributesIsPassedOver) {
  std::string page = "<p>one</p><div ";
  for (int i = 0; i < 100'000; ++i) page.append("a").append(std::to_string(i)).append("=1 ");
  EXPECT_THAT(read_well("a.html", page + ">two</div>").text, HasSubstr("two"));
}

TEST(Html, APageWithoutTextIsAnError) {
  EXPECT_EQ(error_of("a.html", "<html><body><script>x</script></body></html>"),
            "the html file holds no text: there is nothing to index");
}

TEST(Markdown, HeadingsListsTablesAndCodeAreKept) {
  const auto document =
      read_well("a.md",
                "---\ntitle: \"From the front\"\ntags: x\n---\n\n# One\n\nSome *text* with [a link](http://x.y).\n\n"
                "- first\n- second\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```c\nint x;\n```\n");
  EXPECT_EQ(document.title, "From the front");
  EXPECT_THAT(outline(document), ElementsAre("h1:One", "p:Some text with a link.", "li:- first", "li:- second",
                                             "table:a | b\n1 | 2", "code:int x;"));
}

TEST(Markdown, WithoutFrontMatterTheFirstHeadingIsTheTitle) {
  EXPECT_EQ(read_well("a.md", "intro\n\nHead\n====\n").title, "Head");
  EXPECT_EQ(read_well("a.md", "---\n\nonly a rule\n").title, "");
}

TEST(Markdown, LinesDrawnAcrossThePageAreNoFrontMatter) {
  EXPECT_EQ(read_well("a.md", "---\n\nText here.\n\n---\n\nMore\n").text, "Text here.\n\nMore");
  EXPECT_EQ(read_well("a.md", "---\nJust a sentence\n---\nMore\n").text, "Just a sentence\n\nMore");
  EXPECT_EQ(read_well("a.md", "---\ntitle: T\ntags:\n- a\n---\nMore\n").text, "More");
}

TEST(Markdown, TasksShowWhetherTheyAreDoneAndNotesTheirSign) {
  EXPECT_THAT(outline(read_well("a.md", "- [x] done\n- [ ] open\n\nIn 2020[^1] it fell.\n\n[^1]: A note.\n")),
              ElementsAre("li:- [x] done", "li:- [ ] open", "p:In 2020[1] it fell.", "li:1. A note."));
}

TEST(Markdown, HiddenHtmlIsLeftOutHereToo) {
  const auto document =
      read_well("a.md", "text <span style=\"display:none\">PLANTED *more*</span> on\n\n<!-- PLANTED -->\n");
  EXPECT_THAT(outline(document), ElementsAre("p:text on"));
}

}  // namespace
}  // namespace phial::documents

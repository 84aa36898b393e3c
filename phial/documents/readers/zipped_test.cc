// DOCX and EPUB files made here, so that each test shows what it is about.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zip.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "phial/documents/archive.h"
#include "phial/documents/testing.h"

namespace phial::documents {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Members = std::vector<std::pair<std::string, std::string>>;

std::string zipped(const Members& members) {
  zip_error_t problem;
  zip_source_t* const source = zip_source_buffer_create(nullptr, 0, 0, &problem);
  zip_source_keep(source);
  zip_t* const archive = zip_open_from_source(source, ZIP_TRUNCATE, &problem);
  for (const auto& [name, content] : members) {
    zip_file_add(archive, name.c_str(), zip_source_buffer(archive, content.data(), content.size(), 0), 0);
  }
  EXPECT_EQ(zip_close(archive), 0);
  zip_source_open(source);
  zip_source_seek(source, 0, SEEK_END);
  std::string bytes(static_cast<size_t>(zip_source_tell(source)), '\0');
  zip_source_seek(source, 0, SEEK_SET);
  zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  zip_source_free(source);
  return bytes;
}

std::string docx(const std::string& body, Members more = {}) {
  more.insert(more.begin(),
              {"word/document.xml", "<w:document xmlns:w='w' xmlns:m='m'><w:body>" + body + "</w:body></w:document>"});
  return zipped(more);
}

TEST(Docx, HeadingsComeFromStylesAndWhatTheyAreBasedOn) {
  const auto document =
      read_well("a.docx", docx("<w:p><w:pPr><w:pStyle w:val='T'/></w:pPr><w:r><w:t>The title</w:t></w:r></w:p>"
                               "<w:p><w:pPr><w:pStyle w:val='My'/></w:pPr><w:r><w:t>Part</w:t></w:r></w:p>"
                               "<w:p><w:pPr><w:outlineLvl w:val='2'/></w:pPr><w:r><w:t>Own level</w:t></w:r></w:p>"
                               "<w:p><w:r><w:t>Plain</w:t><w:tab/><w:t>text</w:t><w:br/><w:t>below</w:t></w:r></w:p>",
                               {{"word/styles.xml",
                                 "<w:styles xmlns:w='w'><w:style w:styleId='T'><w:name w:val='Title'/></w:style>"
                                 "<w:style w:styleId='H2'><w:name w:val='heading 2'/></w:style>"
                                 "<w:style w:styleId='My'><w:name w:val='Mine'/><w:basedOn w:val='H2'/></w:style>"
                                 "<w:style w:styleId='Ring'><w:basedOn w:val='Ring'/></w:style></w:styles>"}}));
  EXPECT_EQ(document.title, "The title");
  EXPECT_THAT(outline(document), ElementsAre("h1:The title", "h2:Part", "h3:Own level", "p:Plain text\nbelow"));
}

TEST(Docx, ListsCountOrCarryBullets) {
  const std::string item = "<w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='";
  const auto document = read_well(
      "a.docx",
      docx(item + "1'/></w:numPr></w:pPr><w:r><w:t>one</w:t></w:r></w:p>" + item +
               "1'/></w:numPr></w:pPr><w:r><w:t>two</w:t></w:r></w:p>" + item +
               "2'/></w:numPr></w:pPr><w:r><w:t>dot</w:t></w:r></w:p>",
           {{"word/numbering.xml",
             "<w:numbering xmlns:w='w'><w:abstractNum w:abstractNumId='7'><w:lvl w:ilvl='0'><w:numFmt "
             "w:val='decimal'/></w:lvl></w:abstractNum><w:abstractNum w:abstractNumId='8'><w:lvl "
             "w:ilvl='0'><w:numFmt w:val='bullet'/></w:lvl></w:abstractNum><w:num w:numId='1'><w:abstractNumId "
             "w:val='7'/></w:num><w:num w:numId='2'><w:abstractNumId w:val='8'/></w:num></w:numbering>"}}));
  EXPECT_THAT(outline(document), ElementsAre("li:1. one", "li:2. two", "li:- dot"));
}

TEST(Docx, DeletedHiddenAndCommentedTextIsLeftOutAndReported) {
  const auto document = read_well(
      "a.docx", docx("<w:p><w:r><w:t>kept</w:t></w:r><w:del><w:r><w:delText>GONE</w:delText></w:r></w:del>"
                     "<w:ins><w:r><w:t> new</w:t></w:r></w:ins>"
                     "<w:r><w:rPr><w:vanish/></w:rPr><w:t>HIDDEN</w:t></w:r>"
                     "<w:r><w:rPr><w:sz w:val='1'/></w:rPr><w:t>TINY</w:t></w:r></w:p>",
                     {{"word/comments.xml", "<w:comments xmlns:w='w'><w:comment ><w:p/></w:comment></w:comments>"}}));
  EXPECT_EQ(document.text, "kept new");
  EXPECT_THAT(document.warnings, testing::IsEmpty());
  EXPECT_THAT(document.left_out,
              ElementsAre("comments were left out", "text deleted under change tracking was left out",
                          "hidden text was left out"));
}

TEST(Docx, TextThatAStyleHidesAndDeletedRowsAreLeftOut) {
  const auto document = read_well(
      "a.docx",
      docx("<w:p><w:pPr><w:pStyle w:val='Hid'/></w:pPr><w:r><w:t>PLANTED</w:t></w:r></w:p>"
           "<w:p><w:r><w:rPr><w:rStyle w:val='Hid'/></w:rPr><w:t>PLANTED</w:t></w:r><w:r><w:t>10</w:t></w:r>"
           "<w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr><w:t>6</w:t></w:r></w:p>"
           "<w:tbl><w:tr><w:trPr><w:del/></w:trPr><w:tc><w:p><w:r><w:t>PLANTED</w:t></w:r></w:p></w:tc></w:tr>"
           "<w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc>"
           "</w:tr></w:tbl>",
           {{"word/styles.xml",
             "<w:styles xmlns:w='w'><w:style w:styleId='Hid'><w:rPr><w:vanish/></w:rPr></w:style></w:styles>"}}));
  EXPECT_THAT(outline(document), ElementsAre("p:10^6", "table:a | b"));
  EXPECT_THAT(document.left_out, testing::SizeIs(2));
}

TEST(Docx, NumbersAreThoseThatWordShows) {
  const auto item = [](const std::string& text, const std::string& list, int depth) {
    return "<w:p><w:pPr><w:numPr><w:ilvl w:val='" + std::to_string(depth) + "'/><w:numId w:val='" + list +
           "'/></w:numPr></w:pPr><w:r><w:t>" + text + "</w:t></w:r></w:p>";
  };
  const auto level = [](int depth, const std::string& format, const std::string& text) {
    return "<w:lvl w:ilvl='" + std::to_string(depth) + "'><w:start w:val='1'/><w:numFmt w:val='" + format +
           "'/><w:lvlText w:val='" + text + "'/></w:lvl>";
  };
  const std::string numbering =
      "<w:numbering xmlns:w='w'><w:abstractNum w:abstractNumId='0'>" + level(0, "decimal", "%1.") +
      level(1, "decimal", "%1.%2") + level(2, "lowerLetter", "(%3)") + level(3, "upperRoman", "%4:") +
      "</w:abstractNum><w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num>"
      "<w:num w:numId='2'><w:abstractNumId w:val='0'/></w:num>"
      "<w:num w:numId='3'><w:abstractNumId w:val='0'/><w:lvlOverride w:ilvl='0'><w:startOverride w:val='7'/>"
      "</w:lvlOverride></w:num></w:numbering>";
  const std::string styles =
      "<w:styles xmlns:w='w'><w:style w:styleId='H'><w:name w:val='heading 1'/><w:pPr><w:numPr><w:numId w:val='3'/>"
      "</w:numPr></w:pPr></w:style></w:styles>";
  const std::string heading = "<w:p><w:pPr><w:pStyle w:val='H'/></w:pPr><w:r><w:t>Costs</w:t></w:r></w:p>";
  const auto document =
      read_well("a.docx", docx(item("a", "1", 0) + item("b", "1", 1) + item("c", "1", 2) + item("d", "1", 2) +
                                   item("e", "1", 3) + item("f", "2", 1) + item("g", "2", 0) + heading + heading,
                               {{"word/numbering.xml", numbering}, {"word/styles.xml", styles}}));
  EXPECT_THAT(outline(document), ElementsAre("li:1. a", "li:1.1 b", "li:(a) c", "li:(b) d", "li:I: e", "li:1.2 f",
                                             "li:2. g", "h1:7. Costs", "h1:8. Costs"));
}

TEST(Docx, TablesAreRowsAndFramesAreTheirContent) {
  const std::string cell = "<w:tc><w:p><w:r><w:t>";
  const std::string end = "</w:t></w:r></w:p></w:tc>";
  const auto document = read_well(
      "a.docx", docx("<w:tbl><w:tr>" + cell + "a" + end + cell + "b" + end + "</w:tr><w:tr>" + cell + "1" + end + cell +
                     "2" + end + "</w:tr></w:tbl><w:tbl><w:tr>" + cell + "framed" + end + "</w:tr></w:tbl>"));
  EXPECT_THAT(outline(document), ElementsAre("table:a | b\n1 | 2", "p:framed"));
}

TEST(Docx, FootnotesFollowTheParagraphThatRefersToThem) {
  const auto document = read_well(
      "a.docx",
      docx(
          "<w:p><w:r><w:t>claim</w:t><w:footnoteReference w:id='2'/></w:r></w:p><w:p><w:r><w:t>next</w:t></w:r></w:p>",
          {{"word/footnotes.xml",
            "<w:footnotes xmlns:w='w'><w:footnote w:id='0' w:type='separator'/><w:footnote w:id='2'><w:p><w:r><w:t>the "
            "note</w:t><w:footnoteReference w:id='2'/></w:r></w:p></w:footnote></w:footnotes>"}}));
  EXPECT_THAT(outline(document), ElementsAre("p:claim", "p:the note", "p:next"));
}

TEST(Docx, EquationsAreALineOfText) {
  const std::string r = "<m:r><m:t>";
  const std::string e = "</m:t></m:r>";
  const auto document =
      read_well("a.docx", docx("<w:p><m:oMath><m:f><m:num>" + r + "a+b" + e + "</m:num><m:den>" + r + "2" + e +
                               "</m:den></m:f>" + r + "=" + e + "<m:rad><m:e><m:sSup><m:e>" + r + "x" + e +
                               "</m:e><m:sup>" + r + "2" + e + "</m:sup></m:sSup></m:e></m:rad></m:oMath></w:p>"));
  EXPECT_EQ(document.text, "(a+b)/2=√(x^2)");
}

TEST(Docx, ElementsNestedAHundredThousandDeepEndWhereTheBoundIs) {
  std::string body = "<w:p><w:r><w:t>top</w:t></w:r></w:p>";
  for (int i = 0; i < 100'000; ++i) body += "<w:sdt>";
  body += "<w:p/>";
  for (int i = 0; i < 100'000; ++i) body += "</w:sdt>";
  EXPECT_EQ(read_well("a.docx", docx(body)).text, "top");
}

TEST(Docx, ADamagedPartIsNamed) {
  EXPECT_THAT(error_of("a.docx", docx("<w:p><w:r>")), HasSubstr("'word/document.xml' is damaged"));
  EXPECT_THAT(error_of("a.docx", zipped({{"word/document2.xml", "x"}})), HasSubstr("no part 'word/document.xml'"));
}

TEST(Archives, WhatUnpacksToTooMuchIsRefused) {
  const std::string bomb = docx(std::string(size_t{80} << 20, ' '));
  EXPECT_LT(bomb.size(), size_t{1} << 20);
  EXPECT_THAT(error_of("a.docx", bomb), HasSubstr("unpacks to more than"));
}

TEST(Archives, ReferencesStayInside) {
  EXPECT_EQ(resolve_reference("OEBPS/content.opf", "text/ch%201.xhtml#a"), "OEBPS/text/ch 1.xhtml");
  EXPECT_EQ(resolve_reference("OEBPS/content.opf", "../ch.xhtml"), "ch.xhtml");
  EXPECT_EQ(resolve_reference("content.opf", "../../etc/passwd"), "");
  EXPECT_EQ(resolve_reference("a/b", "/c/./d"), "c/d");
}

TEST(Archives, OtherOfficeFilesAreRefusedByName) {
  EXPECT_THAT(error_of("a.xlsx", zipped({{"xl/workbook.xml", "x"}})), HasSubstr("Excel"));
  EXPECT_THAT(error_of("a.pptx", zipped({{"ppt/presentation.xml", "x"}})), HasSubstr("PowerPoint"));
  EXPECT_THAT(error_of("a.zip", zipped({{"a", "x"}})), HasSubstr("zip archive"));
}

Members book(const std::string& spine, Members pages) {
  std::string manifest;
  for (const auto& [name, content] : pages) {
    manifest += "<item id='" + name + "' href='" + name + "' media-type='application/xhtml+xml'/>";
  }
  Members members = {
      {"META-INF/container.xml", "<container><rootfiles><rootfile full-path='O/p.opf'/></rootfiles></container>"},
      {"O/p.opf", "<package xmlns:dc='d'><metadata><dc:title>Book</dc:title></metadata><manifest>" + manifest +
                      "</manifest><spine>" + spine + "</spine></package>"}};
  for (auto& [name, content] : pages) members.emplace_back("O/" + name, content);
  return members;
}

TEST(Epub, PagesComeInTheOrderOfTheSpine) {
  const auto document = read_well(
      "a.epub", zipped(book("<itemref idref='b'/><itemref idref='a'/>",
                            {{"a", "<html><head><title/></head><body><h1>A<a id='x'/></h1><p>one</p></body></html>"},
                             {"b", "<html><body><p>two</p></body></html>"}})));
  EXPECT_EQ(document.title, "Book");
  EXPECT_THAT(outline(document), ElementsAre("p:two", "h1:A", "p:one"));
}

TEST(Epub, AMissingPageIsReportedAndTheRestIsRead) {
  auto members = book("<itemref idref='a'/><itemref idref='b'/>",
                      {{"a", "<html><body><p>one</p></body></html>"}, {"b", "<p>two</p>"}});
  members.pop_back();
  const auto document = read_well("a.epub", zipped(members));
  EXPECT_THAT(outline(document), ElementsAre("p:one"));
  EXPECT_THAT(document.warnings, ElementsAre(HasSubstr("1 pages of the book")));
}

TEST(Epub, ABookWithoutOrderIsReadAsItsPagesAreListedAndNoPageTwice) {
  const std::string page = "<html><body><p>one</p></body></html>", other = "<html><body><p>two</p></body></html>";
  const auto book = [&](const std::string& spine) {
    return zipped({{"mimetype", "application/epub+zip"},
                   {"b.opf",
                    "<package><manifest><item id='a' href='a.html' media-type='text/x-oeb1-document'/><item id='b' "
                    "href='b.html' media-type='application/xhtml+xml'/></manifest><spine>" +
                        spine + "</spine></package>"},
                   {"a.html", page},
                   {"b.html", other}});
  };
  EXPECT_THAT(outline(read_well("a.epub", book(""))), ElementsAre("p:one", "p:two"));
  EXPECT_THAT(outline(read_well("a.epub", book("<itemref idref='b'/><itemref idref='a'/><itemref idref='b'/>"))),
              ElementsAre("p:two", "p:one"));
}

TEST(Epub, ALockedBookIsRefused) {
  auto members = book("<itemref idref='a'/>", {{"a", "<p>x</p>"}});
  members.emplace_back("META-INF/encryption.xml", "<CipherReference URI='O/a.xhtml'/>");
  EXPECT_THAT(error_of("a.epub", zipped(members)), HasSubstr("DRM"));
}

}  // namespace
}  // namespace phial::documents

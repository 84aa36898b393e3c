#include "phial/base/html.h"

#include <gtest/gtest.h>

namespace phial {
namespace {

TEST(Html, TextIsNeitherMarkupNorTheEndOfAnAttribute) {
  EXPECT_EQ(html_text("<b a=\"x\" c='y'>&</b>"), "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;&lt;/b&gt;");
  EXPECT_EQ(html_text("größer 数"), "größer 数");
}

TEST(Html, ControlCharactersAreMadeVisibleAndLongTextStaysWhole) {
  EXPECT_EQ(html_text(std::string("a\nb")).find('\n'), std::string::npos);
  EXPECT_EQ(html_text(std::string(5000, 'x')).size(), 5000U);
}

}  // namespace
}  // namespace phial

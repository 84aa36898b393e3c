#include "phial/rag/graphemes.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace phial::rag {
namespace {

// All borders of `text`, without its beginning.
std::vector<std::string> pieces(const std::string& text) {
  std::vector<std::string> found;
  size_t start = 0;
  for (size_t at = 1; at <= text.size(); ++at) {
    if (grapheme_floor(text, at) != at) continue;
    found.push_back(text.substr(start, at - start));
    start = at;
  }
  return found;
}

TEST(Graphemes, AreWhatPeopleTakeForOneCharacter) {
  const std::vector<std::string> clusters = {
      "a",
      "e\u0301",                                     // with an accent of its own
      "\U0001F468\u200D\U0001F469\u200D\U0001F467",  // a family
      "\u2764\uFE0F",                                // a heart in colour
      "\U0001F44D\U0001F3FD",                        // a thumb with a skin tone
      "\U0001F1E9\U0001F1EA",
      "\U0001F1EB\U0001F1F7",  // two flags, one after the other
      "1\uFE0F\u20E3",         // a keycap
      "\u1112\u1161\u11AB",    // Hangul in parts
      "\u0E01\u0E33",          // Thai
      "\u6F22",
      "\r\n",
      " ",
  };
  std::string text;
  for (const std::string& one : clusters) text += one;
  EXPECT_EQ(pieces(text), clusters);
}

TEST(Graphemes, OneThatNeverEndsIsCutBetweenCodePoints) {
  std::string text = "x";
  for (int i = 0; i < 1000; ++i) text += "\u0301";
  EXPECT_EQ(grapheme_floor(text, 1000), 999U);
  EXPECT_EQ(grapheme_floor(text, 99), 0U);
}

TEST(Graphemes, MalformedTextIsCutAnywhereAndPlacesBeyondTheEndAreTheEnd) {
  EXPECT_EQ(grapheme_floor("\xFF\xFE\x80", 2), 2U);
  EXPECT_EQ(grapheme_floor("", 5), 0U);
  EXPECT_EQ(grapheme_floor("abc", 5), 3U);
}

}  // namespace
}  // namespace phial::rag

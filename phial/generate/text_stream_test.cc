#include "phial/generate/text_stream.h"

#include <gtest/gtest.h>

#include "phial/base/random.h"
#include "phial/base/utf8.h"

namespace phial::generate {
namespace {

TEST(TextStream, ShowsACharacterOnlyWhenItIsWhole) {
  TextStream stream({});
  EXPECT_EQ(stream.push("a\xE2\x82"), "a");
  EXPECT_EQ(stream.push("\xAC!"), "\xE2\x82\xAC!");
}

TEST(TextStream, MalformedBytesBecomeTheReplacementCharacter) {
  TextStream stream({});
  EXPECT_EQ(stream.push("\xFFx"), "\xEF\xBF\xBDx");
  EXPECT_EQ(stream.push("\xE2\x82"), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
}

TEST(TextStream, AStopTextAcrossPiecesIsNeverShown) {
  TextStream stream({"<end>", "STOP"});
  EXPECT_EQ(stream.push("one <e"), "one ");
  EXPECT_EQ(stream.push("n"), "");
  EXPECT_EQ(stream.push("ough <end> more"), "<enough ");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.push("late"), "");
  EXPECT_EQ(stream.finish(), "");
  EXPECT_EQ(stream.text(), "one <enough ");
}

TEST(TextStream, TheFirstStopTextWins) {
  TextStream stream({"b", "ab"});
  EXPECT_EQ(stream.push("xab"), "x");
  EXPECT_TRUE(stream.stopped());
}

TEST(TextStream, AnythingInAnyPiecesComesOutAsTheRepairedWhole) {
  Random random(5);
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    for (int i = 0; i < 40; ++i) {
      if (random.below(3) == 0) {
        bytes.push_back(static_cast<char>(random.below(256)));
      } else {
        append_utf8(bytes, static_cast<char32_t>(0x20 + random.below(0x3000)));
      }
    }
    TextStream stream({});
    std::string shown;
    for (size_t at = 0; at < bytes.size();) {
      const size_t n = 1 + random.below(4);
      const std::string piece = stream.push(std::string_view(bytes).substr(at, n));
      EXPECT_TRUE(is_valid_utf8(piece));
      shown += piece;
      at += n;
    }
    shown += stream.finish();
    EXPECT_EQ(shown, repair_utf8(bytes));
  }
}

}  // namespace
}  // namespace phial::generate

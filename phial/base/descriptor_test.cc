#include "phial/base/descriptor.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace phial {
namespace {

TEST(SystemError, TellsWhatCanBeDone) {
  const auto remedy = [](int reason) {
    errno = reason;
    return system_error("/place", "open").remedy;
  };
  EXPECT_EQ(remedy(ENOENT), "check the path");
  EXPECT_EQ(remedy(EACCES), "check its permissions");
  EXPECT_EQ(remedy(EPERM), "check its permissions");
  EXPECT_EQ(remedy(EISDIR), "name a file");
  EXPECT_EQ(remedy(EROFS), "name a place that can be written");
  EXPECT_EQ(remedy(ENOSPC), "free some space on that disk and try again");
  EXPECT_NE(remedy(EMFILE), "");
}

}  // namespace
}  // namespace phial

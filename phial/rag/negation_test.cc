#include "phial/rag/negation.h"

#include <gmock/gmock.h>

namespace phial::rag {
namespace {

using testing::UnorderedElementsAre;

bool are_opposed(std::string_view a, std::string_view b) { return contradict(polarity_of(a), polarity_of(b)); }

TEST(Negation, DeniesTheWordsThatFollowInItsClause) {
  const Polarity polarity = polarity_of("The log does not grow, and readers never wait long for locks.");
  EXPECT_THAT(polarity.denied, UnorderedElementsAre("grow", "wait"));
  EXPECT_THAT(polarity.affirmed, UnorderedElementsAre("log", "reader", "lock"));
}

TEST(Negation, OppositesAreTold) {
  EXPECT_TRUE(are_opposed("WAL works over a network.", "WAL does not work over a network."));
  EXPECT_TRUE(are_opposed("A server is needed.", "No server is needed."));
  EXPECT_TRUE(are_opposed("It doesn't truncate text.", "It truncates text."));
  EXPECT_TRUE(are_opposed("Der Hund ist nicht erlaubt.", "Der Hund ist erlaubt."));
  EXPECT_TRUE(are_opposed("请不要使用醋。", "请使用醋。"));
}

TEST(Negation, OppositeWordsAreTold) {
  EXPECT_TRUE(are_opposed("DUSP4 decreases apoptosis.", "DUSP4 increased drug-induced apoptosis."));
  EXPECT_TRUE(are_opposed("Dogs are allowed in the flat.", "Dogs are forbidden in the flat."));
  EXPECT_TRUE(are_opposed("Der Strompreis steigt.", "Der Strompreis sinkt."));
  EXPECT_TRUE(are_opposed("该药提高血压。", "该药降低血压。"));
  // The other text also says the word itself, denies the opposite, or speaks of both.
  EXPECT_FALSE(are_opposed("The limit was raised.", "The limit was reduced in May and raised in June."));
  EXPECT_FALSE(are_opposed("The price rose.", "The price never fell."));
  EXPECT_FALSE(are_opposed("It rises by day and falls by night.", "It falls by night."));
}

TEST(Negation, WhatSaysTheSameOrSpeaksOfOtherThingsIsNotOpposed) {
  EXPECT_FALSE(are_opposed("Content is never truncated.", "It does not truncate content."));
  EXPECT_FALSE(are_opposed("The log grows.", "The log grows, but readers do not wait."));
  EXPECT_FALSE(are_opposed("It grows by day. It does not grow by night.", "It grows."));
  EXPECT_FALSE(are_opposed("", "No."));
}

}  // namespace
}  // namespace phial::rag

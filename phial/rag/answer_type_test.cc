#include "phial/rag/answer_type.h"

#include <gmock/gmock.h>

#include <utility>

namespace phial::rag {
namespace {

TEST(AnswerType, IsToldByTheWordsOfTheQuestion) {
  using enum AnswerType;
  for (const auto& [question, type] : std::initializer_list<std::pair<const char*, AnswerType>>{
           {"How many rooms does the house have?", kNumber},
           {"For how long is the warranty valid?", kDuration},
           {"Wie alt ist die Heizung?", kAge},
           {"How old is Mr Lund?", kAge},
           {"How do I reset it?", kExplanation},
           {"Why was it refused?", kExplanation},
           {"Wozu dient der Hebel?", kExplanation},
           {"What caused the fire?", kExplanation},
           {"How much is the rent per month?", kMoney},
           {"What does a beech chair cost?", kMoney},
           {"What is Elena's salary?", kMoney},
           {"Was kostet der Eintritt?", kMoney},
           {"Which costs are covered?", kAny},
           {"When does the lease end?", kTime},
           {"By when must I pay?", kTime},
           {"In which year was it built?", kYear},
           {"In welchem Monat ist die Wartung?", kTime},
           {"What is the phone number of the clinic?", kPhone},
           {"What is Noor's email address?", kEmail},
           {"What did the email say?", kAny},
           {"How do I change my phone number?", kExplanation},
           {"Why is an email address required?", kExplanation},
           {"Who is the landlord?", kAny},
           {"", kAny},
       }) {
    EXPECT_EQ(expected_answer(question).type, type) << question;
  }
}

TEST(AnswerType, CanStandInATextOrNot) {
  using enum AnswerType;
  EXPECT_TRUE(can_answer({kNumber}, "There are three rooms."));
  EXPECT_TRUE(can_answer({kNumber}, "It is cleaned every Monday."));
  EXPECT_FALSE(can_answer({kNumber}, "The rooms are painted white."));
  EXPECT_TRUE(can_answer({kAge}, "Mr Lund is 62 years old."));
  EXPECT_TRUE(can_answer({kAge}, "The tower of 1880 leans."));
  EXPECT_TRUE(can_answer({kAge}, "Sie ist seit drei Jahren dabei."));
  EXPECT_FALSE(can_answer({kAge}, "Mr Lund has been born again."));
  EXPECT_FALSE(can_answer({kAge}, "Mr Lund has 2 cars."));
  EXPECT_TRUE(can_answer({kDuration}, "Delivery takes a week."));
  EXPECT_TRUE(can_answer({kMoney}, "It costs \u20AC40."));
  EXPECT_TRUE(can_answer({kMoney}, "Item: Pine shelf; Price: 129"));
  EXPECT_TRUE(can_answer({kMoney}, "Entry is free."));
  EXPECT_FALSE(can_answer({kMoney}, "She has worked there since 2019."));
  EXPECT_TRUE(can_answer({kTime}, "It ends on the last Friday."));
  EXPECT_TRUE(can_answer({kTime}, "As soon as the seal is broken."));
  EXPECT_FALSE(can_answer({kTime}, "The landlord is Maria Novak."));
  EXPECT_TRUE(can_answer({kTime}, "The office opens at 9."));
  EXPECT_TRUE(can_answer({kTime}, "Doors: 18.30"));
  EXPECT_FALSE(can_answer({kTime}, "She is 87 and has two cats."));
  EXPECT_TRUE(can_answer({kYear}, "It stands there since 1873."));
  EXPECT_FALSE(can_answer({kYear}, "It was built on a Monday in May."));
  EXPECT_TRUE(can_answer({kPhone}, "Call 555-0134."));
  EXPECT_TRUE(can_answer({kPhone}, "(030) 12 34"));
  EXPECT_FALSE(can_answer({kPhone}, "Room 12, floor 3, bed 4"));
  EXPECT_FALSE(can_answer({kPhone}, "Version 3.8.11 of 2019."));
  EXPECT_TRUE(can_answer({kEmail}, "noor@example.org"));
  EXPECT_FALSE(can_answer({kEmail}, "Noor Haddad"));
  EXPECT_TRUE(can_answer({kExplanation}, ""));
  EXPECT_TRUE(can_answer({kAny}, ""));
}

TEST(AnswerType, WhatIsCountedIsNamed) {
  const ExpectedAnswer rooms = expected_answer("How many rooms does the hotel have?");
  EXPECT_TRUE(can_answer(rooms, "There are nine rooms."));
  EXPECT_FALSE(can_answer(rooms, "It is eight minutes on foot."));
  EXPECT_FALSE(can_answer(rooms, "The rooms are white."));
  EXPECT_TRUE(can_answer(expected_answer("How many litres of oil does the tank hold?"), "The tank holds 900 l."));
  EXPECT_TRUE(can_answer(expected_answer("Wie viele Stockwerke hat das Haus?"), "Das Haus hat vier Stockwerke."));
  EXPECT_TRUE(can_answer(expected_answer("How many people came?"), "There were forty guests."));
  EXPECT_TRUE(can_answer(expected_answer("How many euros is the rent?"), "The rent is \u20AC40."));
  EXPECT_TRUE(expected_answer("How many, then?").counted.empty());
  EXPECT_TRUE(expected_answer("How much is the rent?").counted.empty());
}

}  // namespace
}  // namespace phial::rag

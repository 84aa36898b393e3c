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
           {"Wie alt ist die Heizung?", kNumber},
           {"Wie hei\u00DFt der Verwalter?", kAny},
           {"Wie kann man das Wasser abstellen?", kExplanation},
           {"How expensive is it?", kAny},
           {"Was the fire caused by a lamp?", kAny},
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
           {"In which year was it built?", kTime},
           {"In welchem Monat ist die Wartung?", kTime},
           {"What is the phone number of the clinic?", kPhone},
           {"What is Noor's email address?", kEmail},
           {"What did the email say?", kAny},
           {"How do I change my phone number?", kExplanation},
           {"Why is an email address required?", kExplanation},
           {"Who is the landlord?", kAny},
           {"", kAny},
       }) {
    EXPECT_EQ(answer_type_of(question), type) << question;
  }
}

TEST(AnswerType, CanStandInATextOrNot) {
  using enum AnswerType;
  EXPECT_TRUE(can_answer(kNumber, "There are three rooms."));
  EXPECT_TRUE(can_answer(kNumber, "It is cleaned every Monday."));
  EXPECT_FALSE(can_answer(kNumber, "The rooms are painted white."));
  EXPECT_TRUE(can_answer(kDuration, "Delivery takes a week."));
  EXPECT_TRUE(can_answer(kMoney, "It costs \u20AC40."));
  EXPECT_TRUE(can_answer(kMoney, "Item: Pine shelf; Price: 129"));
  EXPECT_TRUE(can_answer(kMoney, "Entry is free."));
  EXPECT_FALSE(can_answer(kMoney, "She has worked there since 2019."));
  EXPECT_TRUE(can_answer(kTime, "It ends on the last Friday."));
  EXPECT_TRUE(can_answer(kTime, "The sauna is open on Tuesdays."));
  EXPECT_TRUE(can_answer(kTime, "Die Sauna \u00F6ffnet dienstags."));
  EXPECT_TRUE(can_answer(kTime, "As soon as the seal is broken."));
  EXPECT_TRUE(can_answer(kTime, "The caf\u00E9 opens at nine."));
  EXPECT_TRUE(can_answer(kTime, "Die Kasse schlie\u00DFt um halb acht."));
  EXPECT_FALSE(can_answer(kTime, "The landlord is Maria Novak."));
  EXPECT_FALSE(can_answer(kTime, "One of the two keys is lost."));
  EXPECT_FALSE(can_answer(kTime, "The course is limited to ten people."));
  EXPECT_TRUE(can_answer(kPhone, "Call 555-0134."));
  EXPECT_TRUE(can_answer(kPhone, "(030) 12 34"));
  EXPECT_FALSE(can_answer(kPhone, "Room 12, floor 3, bed 4"));
  EXPECT_FALSE(can_answer(kPhone, "Version 3.8.11 of 2019."));
  EXPECT_TRUE(can_answer(kEmail, "noor@example.org"));
  EXPECT_FALSE(can_answer(kEmail, "Noor Haddad"));
  EXPECT_TRUE(can_answer(kExplanation, ""));
  EXPECT_TRUE(can_answer(kAny, ""));
}

}  // namespace
}  // namespace phial::rag
